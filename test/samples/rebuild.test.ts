import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

interface Place {
  readonly host: string;
  readonly offset: number;
  readonly size: number;
  readonly sha256: string;
  readonly object: string;
  readonly completeness: 'whole' | 'truncated' | 'salvaged';
}

const samples = join(import.meta.dirname, '../../samples');
const built = ['bpfel', 'bpfeb', 'damaged', 'hosts'].flatMap((directory) =>
  readdirSync(join(samples, 'built', directory)).map((name) => `built/${directory}/${name}`),
);
const objects = built.filter((path) => /^built\/bpfe[lb]\//.test(path));

describe('the committed samples', () => {
  const places: readonly Place[] = JSON.parse(text('expected.json'));
  const rejected: readonly Pick<Place, 'host' | 'offset'>[] = JSON.parse(text('rejected.json'));
  const loaded: { readonly programs: readonly Pick<Place, 'object'>[] } = JSON.parse(text('loaded.json'));

  test('every file has its size and hash in the README, and the README names no other', () => {
    const rows = text('README.md').matchAll(/^\| `(built\/[^`]+)` \| (\d+) \| `([0-9a-f]{64})` \|/gm);
    const listed = [...rows].map(([, path, size, hash]) => `${path} ${size} ${hash}`);
    expect(listed.sort()).toEqual(built.map((path) => `${path} ${bytes(path).length} ${sha256(bytes(path))}`).sort());
  });

  test.each(places)('$host holds $object at $offset', ({ host, offset, size, sha256: hash, object }) => {
    const piece = bytes(host).subarray(offset, offset + size);
    expect(sha256(piece)).toBe(hash);
    expect(piece.equals(bytes(object))).toBe(true);
  });

  test('every object is expected in its own file, except those to be refused', () => {
    const alone = built.filter((path) => path.endsWith('.bpf.o') && !path.includes('/rejected-'));
    expect(places.filter(({ host, object }) => host === object).map(({ host }) => host)).toEqual(alone.sort());
  });

  test('every header to be refused has the magic', () => {
    const magics = rejected.map(({ host, offset }) => bytes(host).toString('latin1', offset, offset + 4));
    expect(new Set(magics)).toEqual(new Set(['\x7fELF']));
  });

  test('every program a kernel has loaded is of a committed object', () => {
    expect(loaded.programs.filter(({ object }) => !built.includes(object))).toEqual([]);
  });

  test.each(built)('%s does not say where it was built', (path) => {
    expect(bytes(path).includes(join(samples, '..'))).toBe(false);
  });
});

const clang19 = runs('clang-19');
const clang = ['clang-14', 'clang'].find(runs);
const strip = ['llvm-strip-14', 'llvm-strip'].find(runs);
const readelf = ['llvm-readelf-14', 'llvm-readelf'].find(runs);
const missing = [
  !clang && 'clang',
  !strip && 'llvm-strip',
  !readelf && 'llvm-readelf',
  !runs('make') && 'make',
  !runs('gcc') && 'gcc',
  !existsSync('/usr/include/bpf/bpf_helpers.h') && 'libbpf-dev',
  !existsSync('/usr/include/linux/bpf.h') && 'linux-libc-dev',
].filter((name) => typeof name === 'string');

describe.skipIf(missing.length > 0)(
  `rebuilding the BPF objects${missing.length ? ` (no ${missing.join(', ')})` : ''}`,
  () => {
    let out = '';
    const byClang19 = (path: string) => /core-clang19|isa-v4/.test(path);
    const rebuilt = objects.filter((path) => clang19 || !byClang19(path));
    let log = '';

    beforeAll(() => {
      out = mkdtempSync(join(tmpdir(), 'samples-'));
      const targets = rebuilt.map((path) => path.replace(/^built/, out));
      const variables = [`OUT=${out}`, `CLANG=${clang}`, `STRIP=${strip}`];
      log = spawnSync('make', ['-C', samples, ...variables, ...targets], { encoding: 'utf8' }).stderr;
    });
    afterAll(() => rmSync(out, { recursive: true }));

    test('the compilers accept every source', () => {
      expect(log).toBe('');
    });

    test.each(rebuilt)('%s has the same sections and functions', (path) => {
      expect(outline(path.replace(/^built/, out))).toEqual(outline(join(samples, path)));
    });

    const others = versionsUnlikeTheReadme();
    test.skipIf(others.length > 0)(
      `the bytes are the same${others.length ? ` (other versions: ${others})` : ''}`,
      () => {
        const differing = rebuilt.filter((path) => !readFileSync(path.replace(/^built/, out)).equals(bytes(path)));
        expect(differing).toEqual([]);
      },
    );
  },
);

/** Section names in file order, and the functions of the symbol table. */
function outline(path: string) {
  const output = spawnSync(`${readelf}`, ['-S', '-s', '-W', path], { encoding: 'utf8' }).stdout;
  return {
    sections: [...output.matchAll(/^ +\[ *\d+\] (\S+) /gm)].map(([, name]) => name),
    functions: [...output.matchAll(/ FUNC +(\w+) .* (\S+)$/gm)].map(([, binding, name]) => `${binding} ${name}`).sort(),
  };
}

/** Line tables and types follow compiler and headers: equal bytes are promised for the README's versions only. */
function versionsUnlikeTheReadme(): string[] {
  const found: readonly (readonly [string, boolean])[] = [
    ['clang 14', spawnSync(`${clang}`, ['--version'], { encoding: 'utf8' }).stdout?.includes('14.0.6')],
    ['clang 19', !clang19 || spawnSync('clang-19', ['--version'], { encoding: 'utf8' }).stdout.includes('19.1.7')],
    ['libbpf 1.1', header('bpf/libbpf_version.h').includes('MINOR_VERSION 1\n')],
    ['Linux 6.1 headers', header('linux/version.h').includes('PATCHLEVEL 1\n')],
  ];
  return found.filter(([, same]) => !same).map(([name]) => `not ${name}`);
}

function header(name: string): string {
  const path = join('/usr/include', name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function runs(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

function bytes(path: string): Buffer {
  return readFileSync(join(samples, path));
}

function text(path: string): string {
  return readFileSync(join(samples, path), 'utf8');
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
