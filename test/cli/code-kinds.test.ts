// Code of every kind from a scan into a dump, and out of it again with the tools that read the same files.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectReport } from '../../src/index.ts';
import { openObject } from '../../src/object/open.ts';
import { READELF } from '../elf/readelf.ts';
import { findLlvm, LLVM_MISSING, type Llvm, objdump } from '../insn/objdump.ts';
import { bpfcarve, NOT_BUILT } from '../support/cli.ts';
import {
  codeOf,
  FILTER,
  type Host,
  hostOfCode,
  NO_LIGHT_SKELETON,
  sampleBytes,
  skeletonHost,
} from '../support/every-kind.ts';

const work = mkdtempSync(join(tmpdir(), 'code-kinds-'));
afterAll(() => rmSync(work, { recursive: true }));
const HOST = join(work, 'host');
const DUMP = join(work, 'dump');
const OBJECTS = join(DUMP, 'objects');

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly derivedFrom?: readonly string[];
}

let host: Host;
let files: readonly Listed[];

beforeAll(() => {
  if (NOT_BUILT) return;
  host = hostOfCode(NO_LIGHT_SKELETON ? undefined : skeletonHost());
  writeFileSync(HOST, host.bytes);
  expect(bpfcarve(['scan', '--raw', HOST, '--dump', DUMP, '-j', '--btf', 'none']).status).toBe(0);
  files = JSON.parse(readFileSync(join(DUMP, 'manifest.json'), 'utf8')).files;
});

/** The file of what lies at an offset of the host. */
function dumped(offset: number, suffix: string): string {
  const found = readdirSync(OBJECTS).filter(
    (name) => name.startsWith(`host-0x${offset.toString(16)}-`) && name.endsWith(`.${suffix}`),
  );
  expect(found).toHaveLength(1);
  return join(OBJECTS, found[0] ?? '');
}

const skeletonSuffix = NO_LIGHT_SKELETON ? ` [no light skeleton: ${NO_LIGHT_SKELETON}]` : '';

describe.skipIf(NOT_BUILT)(`a dump of code of every kind${NOT_BUILT ? ` (${NOT_BUILT})` : ''}`, () => {
  test('holds exactly the carved bytes of each', () => {
    const bytes = (offset: number, suffix: string) => new Uint8Array(readFileSync(dumped(offset, suffix)));
    expect(bytes(host.at.instructions, 'insns')).toEqual(codeOf('bpfel/exits', 'do_exit'));
    expect(bytes(host.at.bigEndian, 'insns')).toEqual(codeOf('bpfeb/openat', 'exit_openat'));
    expect(bytes(host.at.filter, 'sock_filter')).toEqual(FILTER);
    expect(bytes(host.at.headerless, 'bpf.o')).toEqual(sampleBytes('bpfel/xdp'));
    const btf = readdirSync(OBJECTS).filter((name) => name.endsWith('.btf'));
    const { elf } = openObject(sampleBytes('bpfel/uprobe'));
    expect(btf.map((name) => new Uint8Array(readFileSync(join(OBJECTS, name))))).toEqual([
      elf.content(elf.section('.BTF') ?? expect.fail()).slice(),
    ]);
  });

  test('has an object beside the instructions and the light skeleton, made of them', () => {
    const carved = files.filter(({ path }) => /\.(insns|lskel)$/.test(path)).map(({ sha256 }) => sha256);
    const derived = files.filter(({ derivedFrom }) => derivedFrom !== undefined);
    expect(carved.length).toBeGreaterThanOrEqual(NO_LIGHT_SKELETON ? 2 : 3);
    expect(derived.flatMap(({ derivedFrom = [] }) => derivedFrom).sort()).toEqual([...carved].sort());
    expect(derived.every(({ path }) => path.endsWith('.bpf.o'))).toBe(true);
    expect(files.filter(({ path }) => path.endsWith('.lskel'))).toHaveLength(NO_LIGHT_SKELETON ? 0 : 1);
  });

  test('is accepted by verify and by sha256sum -c', () => {
    expect(bpfcarve(['verify', DUMP]).status).toBe(0);
    expect(execFileSync('sha256sum', ['-c', 'manifest.json.sha256'], { cwd: DUMP }).toString()).toContain('OK');
    const lines = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`);
    const checked = spawnSync('sha256sum', ['-c', '--strict', '-'], { cwd: DUMP, input: lines.join('') });
    expect(checked.status).toBe(0);
  });

  test('holds files that inspect reads: the bytes of each kind, and the objects', () => {
    const inspected = (path: string, ...args: readonly string[]): InspectReport =>
      JSON.parse(bpfcarve(['inspect', '-j', '--btf', 'none', path, ...args]).stdout);
    for (const [suffix, kind] of [
      ['insns', 'instructions'],
      ['lskel', 'light-skeleton'],
      ['sock_filter', 'classic-filter'],
      ['btf', 'btf'],
    ] as const) {
      for (const { path, sha256 } of files.filter((file) => file.path.endsWith(`.${suffix}`))) {
        expect(inspected(join(DUMP, path), '--at', '0').objects, path).toMatchObject([{ kind, sha256, offset: 0 }]);
      }
    }
    for (const { path, sha256 } of files.filter((file) => file.path.endsWith('.bpf.o'))) {
      const { objects } = inspected(join(DUMP, path));
      expect(objects, path).toMatchObject([{ kind: 'object', sha256, offset: 0, diagnostics: [] }]);
      expect(objects[0]?.programs.length).toBeGreaterThan(0);
    }
  });

  const llvm = findLlvm();
  test.skipIf(llvm === undefined)(`holds objects that llvm-objdump disassembles [${LLVM_MISSING}]`, () => {
    const objects = files.filter(({ path }) => path.endsWith('.bpf.o')).map(({ path }) => join(DUMP, path));
    for (const path of objects) {
      const lines = (objdump(llvm as Llvm, path) ?? []).flatMap((section) => section.lines);
      expect(lines.length, path).toBeGreaterThan(0);
      expect(
        lines.filter(({ text }) => text === undefined),
        path,
      ).toEqual([]);
    }
  });

  test.skipIf(READELF === undefined)(
    'holds objects that llvm-readelf has no complaint about [llvm-readelf is needed]',
    () => {
      for (const { path } of files.filter((file) => file.derivedFrom !== undefined)) {
        const { status, stderr } = spawnSync(READELF ?? '', ['-a', join(DUMP, path)], { encoding: 'utf8' });
        expect({ status, stderr }, path).toEqual({ status: 0, stderr: '' });
      }
    },
  );
});

describe.skipIf(NOT_BUILT)(`inspect of code of every kind${NOT_BUILT ? ` (${NOT_BUILT})` : ''}`, () => {
  const kindsOf = (...args: readonly string[]) => {
    const { stdout } = bpfcarve(['inspect', '-j', '--btf', 'none', HOST, ...args]);
    return (JSON.parse(stdout) as InspectReport).objects.map(({ kind }) => kind);
  };

  test(`lists what can be told without guessing${skeletonSuffix}`, () => {
    expect(kindsOf()).toEqual([...(NO_LIGHT_SKELETON ? [] : ['light-skeleton']), 'object']);
  });

  test('lists everything with --raw', () => {
    expect([...new Set(kindsOf('--raw'))].sort()).toEqual(
      ['btf', 'classic-filter', 'instructions', ...(NO_LIGHT_SKELETON ? [] : ['light-skeleton']), 'object'].sort(),
    );
  });

  test('picks one of any kind with --at, unless --no-raw is given', () => {
    const at = `0x${host.at.instructions.toString(16)}`;
    expect(kindsOf('--at', at)).toEqual(['instructions']);
    expect(bpfcarve(['inspect', HOST, '--at', at, '--no-raw']).status).toBe(1);
    expect(kindsOf('--at', String(host.at.filter))).toEqual(['classic-filter']);
  });

  test('shows the code of an instruction array', () => {
    const { status, stdout } = bpfcarve(['inspect', HOST, '--at', String(host.at.instructions), '-d', '--btf', 'none']);
    expect(status).toBe(0);
    expect(stdout).toContain('; helper ktime_get_ns');
    expect(stdout).toContain('exit');
  });

  test('shows the text of a classic filter', () => {
    const { stdout } = bpfcarve(['inspect', HOST, '--at', String(host.at.filter)]);
    expect(stdout).toContain('jeq #0x800 jt 2 jf 5');
  });

  test.skipIf(NO_LIGHT_SKELETON)(`shows one program of a light skeleton${skeletonSuffix}`, () => {
    const { status, stdout } = bpfcarve(['inspect', HOST, '--program', 'enter_openat', '-d', '--btf', 'none']);
    expect(status).toBe(0);
    expect(stdout).toContain('; map calls');
    expect(stdout).not.toContain('exit_openat');
  });

  test('--dump keeps what the report is about, and the object made of it', () => {
    const directory = join(work, 'one');
    const at = String(host.at.bigEndian);
    expect(bpfcarve(['inspect', HOST, '--at', at, '--dump', directory, '--btf', 'none']).status).toBe(0);
    const names = readdirSync(join(directory, 'objects')).map((name) => name.replace(/^.*-[0-9a-f]{12}/, ''));
    expect(names.sort()).toEqual(['.bpf.o', '.insns']);
    expect(bpfcarve(['verify', directory]).status).toBe(0);
  });
});
