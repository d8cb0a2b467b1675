import { lstatSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { EvidenceDirectory, verifyEvidence } from '../../src/evidence/evidence.ts';
import { ARGV, objectOf, reportOf, sha256, temporaryDirectory } from './build.ts';

type Link = (from: string, to: string) => void;

const system = vi.hoisted(() => ({ link: (_from: string, _to: string): void => {}, sync: () => {} }));

vi.mock('node:fs', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:fs')>()),
  linkSync: (from: string, to: string) => system.link(from, to),
}));

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const open: typeof original.open = async (...args) =>
    Object.assign(await original.open(...args), { sync: async () => system.sync() });
  return { ...original, open };
});

const { linkSync } = await vi.importActual<{ linkSync: Link }>('node:fs');

describe('a file system without hard links', () => {
  // vfat and exfat, the file systems of memory sticks, refuse link(2) with EPERM.
  beforeEach(() => {
    system.link = failWith('EPERM', -1);
    system.sync = () => {};
  });

  test('holds a whole dump', async () => {
    const root = temporaryDirectory();
    const objects = [objectOf('same', '/bin/a', 1), objectOf('same', '/bin/b', 2)];
    const evidence = EvidenceDirectory.create(root);
    for (const object of objects.toReversed()) evidence.add(object, Buffer.from('same'));
    await evidence.close(reportOf(objects), ARGV);
    expect(readdirSync(join(root, 'objects'))).toEqual([`a-0x1-${sha256('same').slice(0, 12)}.bpf.o`]);
    expect(verifyEvidence(root)).toMatchObject({ files: 1, bytes: 4, differences: [] });
  });

  test('still has what is planted under a name neither followed nor overwritten', () => {
    const root = temporaryDirectory();
    const target = join(temporaryDirectory(), 'target');
    const evidence = EvidenceDirectory.create(root);
    symlinkSync(target, join(root, nameOf('x', 12)));
    evidence.add(objectOf('x'), Buffer.from('x'));
    evidence.abandon();
    expect(lstatSync(join(root, nameOf('x', 12))).isSymbolicLink()).toBe(true);
    expect(lstatSync(target, { throwIfNoEntry: false })).toBeUndefined();
    expect(readFileSync(join(root, nameOf('x', 16)), 'utf8')).toBe('x');
  });
});

test.each([
  ['a symbolic link', (path: string) => symlinkSync('/etc/hostname', path)],
  ['another file', (path: string) => writeFileSync(path, 'y')],
])('a temporary exchanged for %s never gets the final name', (_what, plant) => {
  system.link = (from, to) => {
    unlinkSync(from);
    plant(from);
    linkSync(from, to);
  };
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(
    expect.objectContaining({ name: 'EvidenceError', code: 'replaced', path: join(root, nameOf('x', 12)) }),
  );
  evidence.abandon();
  expect(readdirSync(join(root, 'objects'))).toEqual([]);
});

test('a link that fails for another reason is that error, and leaves nothing', () => {
  system.link = failWith('EIO', -5);
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(
    expect.objectContaining({
      name: 'EvidenceError',
      code: 'EIO',
      message: expect.stringContaining('i/o error (EIO)'),
    }),
  );
  evidence.abandon();
  expect(readdirSync(join(root, 'objects'))).toEqual([]);
});

describe('an object whose bytes do not reach the disk', () => {
  // NFS and file systems with quotas may say only at fsync(2) that there is no room.
  test('is an error, and no file and no manifest is left', async () => {
    system.link = linkSync;
    system.sync = failWith('EDQUOT', -122);
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf('x'), Buffer.from('x'));
    await expect(evidence.close(reportOf([objectOf('x')]), ARGV)).rejects.toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'EDQUOT', path: join(root, nameOf('x', 12)) }),
    );
    expect(readdirSync(root, { recursive: true })).toEqual(['objects']);
  });

  test('is fine where the file system knows no flushing', async () => {
    system.link = linkSync;
    system.sync = failWith('EINVAL', -22);
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf('x'), Buffer.from('x'));
    await evidence.close(reportOf([objectOf('x')]), ARGV);
    expect(verifyEvidence(root).differences).toEqual([]);
  });
});

function failWith(code: string, errno: number): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: as the test wants it`), { code, errno });
  };
}

function nameOf(content: string, digits: number): string {
  return `objects/opensnoop-0x38498-${sha256(content).slice(0, digits)}.bpf.o`;
}
