import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import { EvidenceDirectory, verifyEvidence } from '../../src/evidence/evidence.ts';
import { ARGV, dumpOf, objectOf, reportOf, temporaryDirectory } from './build.ts';

describe('a full disk', () => {
  test('is an error that names the file, and leaves the objects before it and nothing of this one', (ctx) => {
    const root = join(mountedTmpfs(ctx, 'size=256k'), 'dump');
    const evidence = EvidenceDirectory.create(root);
    const small = Buffer.alloc(50_000, 1);
    const big = Buffer.alloc(500_000, 2);
    evidence.add(objectOf(small), small);
    expect(() => evidence.add(objectOf(big), big)).toThrow(
      expect.objectContaining({
        name: 'EvidenceError',
        code: 'ENOSPC',
        path: expect.stringContaining(`${root}/objects/opensnoop-0x38498-`),
        message: expect.stringMatching(/^cannot write .*: no space left on device \(ENOSPC\); free some space/),
      }),
    );
    evidence.abandon();
    expect(readdirSync(join(root, 'objects'))).toHaveLength(1);
    expect(readFileSync(join(root, 'objects', readdirSync(join(root, 'objects'))[0] ?? '')).equals(small)).toBe(true);
  });

  test('while the manifest is written leaves the objects and no manifest', async (ctx) => {
    const root = join(mountedTmpfs(ctx, 'size=256k'), 'dump');
    const evidence = EvidenceDirectory.create(root);
    const objects = Array.from({ length: 2000 }, (_, offset) => objectOf('x', '/usr/bin/x', offset));
    evidence.add(objects[0] ?? expect.fail(), Buffer.from('x'));
    await expect(evidence.close(reportOf(objects), ARGV)).rejects.toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'ENOSPC', path: join(root, 'manifest.json') }),
    );
    expect(readdirSync(root)).toEqual(['objects']);
  });

  test('of names, not of bytes, is the same error', (ctx) => {
    const root = mountedTmpfs(ctx, 'nr_inodes=4');
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf('x'), Buffer.from('x'));
    expect(() => evidence.add(objectOf('y'), Buffer.from('y'))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    evidence.abandon();
    expect(readdirSync(join(root, 'objects'))).toHaveLength(1);
  });
});

test('a file size limit is an error that leaves nothing half-written', (ctx) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) ctx.skip('needs prlimit of util-linux');
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  const big = Buffer.alloc(100_000, 3);
  withFileSizeLimit(8192, () => {
    expect(() => evidence.add(objectOf(big), big)).toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'EFBIG', message: expect.stringContaining('ulimit -f') }),
    );
  });
  evidence.abandon();
  expect(readdirSync(join(root, 'objects'))).toEqual([]);
});

describe('a directory that cannot be written', () => {
  test('on a file system mounted read-only is an error that says so', (ctx) => {
    const mount = mountedTmpfs(ctx, 'size=64k');
    mkdirSync(join(mount, 'empty'));
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    for (const name of ['new', 'empty']) {
      expect(() => EvidenceDirectory.create(join(mount, name)), name).toThrow(
        expect.objectContaining({
          name: 'EvidenceError',
          code: 'EROFS',
          message: expect.stringContaining('read-only'),
        }),
      );
    }
  });

  test('that turns read-only meanwhile is an error at the next object', (ctx) => {
    const mount = mountedTmpfs(ctx, 'size=64k');
    const evidence = EvidenceDirectory.create(join(mount, 'dump'));
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(expect.objectContaining({ code: 'EROFS' }));
    evidence.abandon();
    expect(readdirSync(join(mount, 'dump/objects'))).toEqual([]);
  });

  test('for lack of permission is an error that names it', async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'empty'), 0o555);
    chmodSync(root, 0o555);
    await asOrdinaryUser(() => {
      for (const [dump, refused] of [
        ['new', 'new'],
        ['empty', 'empty/objects'],
      ] as const) {
        expect(() => EvidenceDirectory.create(join(root, dump)), dump).toThrow(
          expect.objectContaining({ name: 'EvidenceError', code: 'EACCES', path: join(root, refused) }),
        );
      }
    });
  });

  test('that turns unwritable meanwhile is an error at the next object', async () => {
    const root = temporaryDirectory();
    chmodSync(root, 0o777);
    await asOrdinaryUser(() => {
      const evidence = EvidenceDirectory.create(join(root, 'dump'));
      chmodSync(join(root, 'dump/objects'), 0o500);
      expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(expect.objectContaining({ code: 'EACCES' }));
      evidence.abandon();
    });
    expect(readdirSync(join(root, 'dump/objects'))).toEqual([]);
  });
});

test('a whole dump can be written and verified by an ordinary user', async () => {
  const root = temporaryDirectory();
  chmodSync(root, 0o777);
  await asOrdinaryUser(async () => {
    const evidence = EvidenceDirectory.create(join(root, 'dump'));
    evidence.add(objectOf('x'), Buffer.from('x'));
    await evidence.close(reportOf([objectOf('x')]), ARGV);
    expect(verifyEvidence(join(root, 'dump')).differences).toEqual([]);
  });
});

test('a file that may not be read is a difference, and the others are still checked', async () => {
  const dump = await dumpOf('one', 'two');
  for (const path of [join(dump, '..'), dump, join(dump, 'objects')]) chmodSync(path, 0o755);
  for (const name of ['manifest.json', 'manifest.json.sha256']) chmodSync(join(dump, name), 0o644);
  const [first = '', second = ''] = readdirSync(join(dump, 'objects'));
  chmodSync(join(dump, 'objects', second), 0o644);
  chmodSync(join(dump, 'objects', first), 0o200);
  await asOrdinaryUser(() => {
    expect(verifyEvidence(dump)).toMatchObject({
      bytes: 3,
      differences: [{ kind: 'unreadable', path: `objects/${first}`, message: /permission denied \(EACCES\)/ }],
    });
  });
});

/** A small file system of its own, gone when the test ends. */
function mountedTmpfs(ctx: TestContext, options: string): string {
  const path = temporaryDirectory();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { encoding: 'utf8' });
  if (mounted.status !== 0) ctx.skip(`needs the right to mount a tmpfs: ${mounted.stderr?.trim()}`);
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  return path;
}

/** Runs with the rights of nobody when the tests run as root, whom permissions do not stop. */
async function asOrdinaryUser(act: () => void | Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65534);
  try {
    await act();
  } finally {
    if (root) process.seteuid?.(0);
  }
}

function withFileSizeLimit(bytes: number, act: () => void): void {
  const limit = (soft: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${soft}:`]);
  limit(String(bytes));
  try {
    act();
  } finally {
    limit('unlimited');
  }
}
