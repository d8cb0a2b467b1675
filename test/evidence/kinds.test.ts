// Code that is no ELF object in a dump: its exact bytes, and the same programs as an object for tools that read nothing else.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EvidenceDirectory, type Manifest, verifyEvidence } from '../../src/evidence/evidence.ts';
import type { CarvedObject } from '../../src/scan/events.ts';
import { ARGV, objectOf, recordOf, reportOf, sha256, temporaryDirectory } from './build.ts';

interface Added {
  readonly record: CarvedObject;
  readonly content?: string;
  readonly elf?: string;
}

const short = (content: string) => sha256(content).slice(0, 12);
const INSNS = recordOf('instructions', 'insns');
const AGAIN = recordOf('instructions', 'insns', '/usr/lib/libraw.so', 0x800);

describe('instructions', () => {
  const dump = () => dumpOf([{ record: INSNS, content: 'insns', elf: 'elf' }, { record: AGAIN }]);

  test('are kept as they were found, and as an object beside them', async () => {
    const root = await dump();
    expect(readObjects(root)).toEqual({
      [`raw-0x40-${short('insns')}.insns`]: 'insns',
      [`raw-0x40-${short('elf')}.bpf.o`]: 'elf',
    });
  });

  test('are in the manifest with all their places, and so is the object, which says what it was made of', async () => {
    const { files, objects } = manifestOf(await dump());
    const occurrences = [
      { source: INSNS.source, offset: 0x40 },
      { source: AGAIN.source, offset: 0x800 },
    ];
    expect(objects.map(({ kind }) => kind)).toEqual(['instructions', 'instructions']);
    expect(files).toEqual([
      { path: `objects/raw-0x40-${short('insns')}.insns`, size: 5, sha256: sha256('insns'), occurrences },
      {
        path: `objects/raw-0x40-${short('elf')}.bpf.o`,
        size: 3,
        sha256: sha256('elf'),
        occurrences,
        derivedFrom: [sha256('insns')],
      },
    ]);
  });

  test('are verified, and so is the object', async () => {
    const root = await dump();
    expect(verifyEvidence(root)).toMatchObject({ files: 2, bytes: 8, differences: [] });
    const path = `objects/raw-0x40-${short('elf')}.bpf.o`;
    writeFileSync(join(root, path), 'ELF');
    expect(verifyEvidence(root).differences).toMatchObject([{ kind: 'changed', path }]);
  });

  test('are what sha256sum -c accepts', async () => {
    const root = await dump();
    const lines = manifestOf(root).files.map(({ path, sha256: digest }) => `${digest}  ${path}\n`);
    const options = { cwd: root, input: lines.join('') };
    expect(execFileSync('sha256sum', ['-c', '--strict', '-'], options).toString()).toMatch(/^(.*: OK\n){2}$/);
  });
});

test('every kind has a name of its own', async () => {
  const kinds = ['light-skeleton', 'instructions', 'classic-filter', 'btf'] as const;
  const root = await dumpOf(kinds.map((kind) => ({ record: recordOf(kind, kind), content: kind })));
  expect(readObjects(root)).toEqual({
    [`raw-0x40-${short('light-skeleton')}.lskel`]: 'light-skeleton',
    [`raw-0x40-${short('instructions')}.insns`]: 'instructions',
    [`raw-0x40-${short('classic-filter')}.sock_filter`]: 'classic-filter',
    [`raw-0x40-${short('btf')}.btf`]: 'btf',
  });
  expect(verifyEvidence(root).differences).toEqual([]);
});

test('files are named for the first occurrence of the report, in whatever order they came', async () => {
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  evidence.add(AGAIN, Buffer.from('insns'), Buffer.from('elf'));
  await evidence.close(reportOf([INSNS, AGAIN]), ARGV);
  expect(Object.keys(readObjects(root)).sort()).toEqual(
    [`raw-0x40-${short('insns')}.insns`, `raw-0x40-${short('elf')}.bpf.o`].sort(),
  );
  expect(verifyEvidence(root).differences).toEqual([]);
});

test('one object that two skeletons hold is one file, with the places of both', async () => {
  const one = recordOf('light-skeleton', 'gcc', '/bin/a');
  const other = recordOf('light-skeleton', 'clang', '/bin/b');
  const root = await dumpOf([
    { record: one, content: 'gcc', elf: 'same' },
    { record: other, content: 'clang', elf: 'same' },
  ]);
  const made = manifestOf(root).files.find(({ sha256: digest }) => digest === sha256('same'));
  expect(made?.derivedFrom).toEqual([sha256('gcc'), sha256('clang')]);
  expect(made?.occurrences).toHaveLength(2);
  expect(verifyEvidence(root)).toMatchObject({ files: 3, differences: [] });
});

// A dump that is scanned holds both.
test.each(['before', 'after'])(
  'an object that was found as well, %s it was made, is one file and named for its place',
  async (when) => {
    const found = { record: objectOf('elf', '/evidence/raw.bpf.o', 0), content: 'elf' };
    const raw = { record: INSNS, content: 'insns', elf: 'elf' };
    const root = await dumpOf(when === 'before' ? [found, raw] : [raw, found]);
    const name = `raw.bpf.o-0x0-${short('elf')}.bpf.o`;
    expect(readObjects(root)).toEqual({ [name]: 'elf', [`raw-0x40-${short('insns')}.insns`]: 'insns' });
    const file = manifestOf(root).files.find(({ path }) => path === `objects/${name}`);
    expect(file).toMatchObject({ derivedFrom: [sha256('insns')], occurrences: [{ offset: 0 }] });
    expect(verifyEvidence(root).differences).toEqual([]);
  },
);

test('instructions that a live program runs unchanged are one file, with their place and the program', async () => {
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  const program = { id: 5, tag: 'b11459a0e11ca14c' };
  evidence.addInstructions(program, Buffer.from('insns'));
  evidence.add(INSNS, Buffer.from('insns'));
  await evidence.close(reportOf([INSNS]), ARGV);
  expect(manifestOf(root).files).toEqual([
    {
      path: `objects/raw-0x40-${short('insns')}.insns`,
      size: 5,
      sha256: sha256('insns'),
      occurrences: [{ source: INSNS.source, offset: 0x40 }, { program }],
    },
  ]);
  expect(verifyEvidence(root).differences).toEqual([]);
});

test('a record whose bytes only another file was made of is incomplete', async () => {
  const evidence = EvidenceDirectory.create(temporaryDirectory());
  evidence.add(INSNS, Buffer.from('insns'), Buffer.from('elf'));
  const closed = evidence.close(reportOf([INSNS, objectOf('elf')]), ARGV);
  await expect(closed).rejects.toThrow(expect.objectContaining({ name: 'EvidenceError', code: 'incomplete' }));
});

describe('a manifest is contradictory', () => {
  test.each([
    ['itself', [sha256('elf')], 'is derived from itself'],
    ['a file that is not there', ['0'.repeat(64)], 'that it is derived from'],
    ['no digest', ['x'], 'derivedFrom is not a list of sha256'],
    ['no list', sha256('insns'), 'derivedFrom is not a list of sha256'],
  ])('when a file is derived from %s', async (_what, derivedFrom, message) => {
    const root = await dumpOf([{ record: INSNS, content: 'insns', elf: 'elf' }]);
    const manifest = manifestOf(root);
    const files = manifest.files.map((file) => ('derivedFrom' in file ? { ...file, derivedFrom } : file));
    const text = JSON.stringify({ ...manifest, files });
    writeFileSync(join(root, 'manifest.json'), text);
    writeFileSync(join(root, 'manifest.json.sha256'), `${sha256(text)}  manifest.json\n`);
    expect(verifyEvidence(root).differences).toMatchObject([
      { kind: 'manifest', path: 'manifest.json', message: expect.stringContaining(message) },
    ]);
  });
});

async function dumpOf(added: readonly Added[]): Promise<string> {
  const root = temporaryDirectory();
  const evidence = EvidenceDirectory.create(root);
  for (const { record, content, elf } of added) {
    evidence.add(
      record,
      content === undefined ? undefined : Buffer.from(content),
      elf === undefined ? undefined : Buffer.from(elf),
    );
  }
  await evidence.close(reportOf(added.map(({ record }) => record)), ARGV);
  return root;
}

function readObjects(root: string): Record<string, string> {
  const directory = join(root, 'objects');
  return Object.fromEntries(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

function manifestOf(root: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8'));
}
