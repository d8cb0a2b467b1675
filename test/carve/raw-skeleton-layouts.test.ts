// Where compilers and programs put the two parts of a light skeleton, over real objects: in files, in a heap, in a core file.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryReader, type Reader } from '../../src/bytes/reader.ts';
import { carveLightSkeletons, type LightSkeleton } from '../../src/carve/light-skeleton.ts';
import { GROUPS } from '../link/objects.ts';
import { COMPILERS, generateSkeleton, NO_SKELETONS, prologuesIn, type Skeleton } from './skeletons.ts';

const OBJECTS = GROUPS.filter(({ group }) => ['libbpf-tools', 'our samples'].includes(group)).flatMap(
  ({ objects }) => objects,
);
const reason = NO_SKELETONS ?? (OBJECTS.length < 20 ? 'libbpf-tools is not installed' : undefined);
const skipped = reason ? ` (skipped: ${reason})` : '';
const NO_GO = reason ?? (spawnSync('go', ['version']).status === 0 ? undefined : 'no Go');
const NO_CORE = reason ?? (spawnSync('gdb', ['--version']).status === 0 ? undefined : 'no gdb');

const directory = mkdtempSync(join(tmpdir(), 'layouts-'));
const skeletons: (Skeleton & { readonly name: string })[] = [];
beforeAll(() => {
  if (reason !== undefined) return;
  for (const { name, bytes } of OBJECTS) {
    const skeleton = generateSkeleton(bytes);
    if (skeleton !== undefined) skeletons.push({ name, ...skeleton });
  }
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

function carved(bytes: Uint8Array): readonly LightSkeleton[] {
  return carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes)).skeletons;
}

/** What is said of the one skeleton in `bytes`, or how many there are. */
function found(bytes: Uint8Array, { data, loader }: Skeleton) {
  const [skeleton, ...more] = carved(bytes);
  if (skeleton === undefined || more.length > 0) return `${more.length + (skeleton ? 1 : 0)} skeletons`;
  const place = skeleton.data ?? { offset: 0, size: 0 };
  const isData = Buffer.from(data).equals(bytes.subarray(place.offset, place.offset + place.size));
  const isLoader = Buffer.from(loader).equals(skeleton.loader.code);
  return { isData, isLoader };
}
const WHOLE = { isData: true, isLoader: true };

/** bpftool up to 7.3 writes literals into the call, newer ones two arrays before it. */
const STYLES: Readonly<Record<string, (data: string, loader: string) => string>> = {
  literals: (data, loader) => `int main(void) { keep(${data}, ${loader}); return 0; }`,
  arrays: (data, loader) => `int main(void)
{
	static const char opts_data[] __attribute__((__aligned__(8))) = ${data};
	static const char opts_insn[] __attribute__((__aligned__(8))) = ${loader};
	keep(opts_data, opts_insn);
	return 0;
}`,
};
const FLAGS = [
  '-O0',
  '-O2',
  '-Os',
  '-O2 -static',
  '-O0 -no-pie',
  '-O2 -fPIE -pie',
  '-O2 -fdata-sections -Wl,--gc-sections',
];
const WAYS = Object.keys(STYLES).flatMap((style) =>
  COMPILERS.flatMap((compiler) => FLAGS.map((flags) => ({ compiler, flags, style }))),
);
const KEEP =
  'static void *volatile kept[2];\nstatic void keep(const void *a, const void *b) { kept[0] = (void *)a; kept[1] = (void *)b; }\n';

function literal(bytes: Uint8Array): string {
  return `"${Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}"`;
}

function compile(compiler: string, flags: string, source: string): string {
  const [input, output] = [join(directory, 'main.c'), join(directory, 'main')];
  writeFileSync(input, source);
  const build = spawnSync(compiler, ['-w', '-s', ...flags.split(' '), '-o', output, input], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(build.stderr);
  return output;
}

describe('hosts in files', () => {
  test.skipIf(reason !== undefined)(
    `give the skeleton of each object, however it is compiled${skipped}`,
    () => {
      expect(skeletons.length).toBeGreaterThanOrEqual(Math.max(20, WAYS.length));
      for (const [index, skeleton] of skeletons.slice(0, WAYS.length).entries()) {
        const { compiler, flags, style } = WAYS[index % WAYS.length] ?? {
          compiler: 'cc',
          flags: '-O0',
          style: 'literals',
        };
        const body = STYLES[style]?.(literal(skeleton.data), literal(skeleton.loader));
        const host = new Uint8Array(readFileSync(compile(compiler, flags, `${KEEP}${body}\n`)));
        expect([skeleton.name, compiler, flags, style, found(host, skeleton)]).toEqual([
          skeleton.name,
          compiler,
          flags,
          style,
          WHOLE,
        ]);
      }
    },
    300_000,
  );

  test.skipIf(NO_GO !== undefined)(
    `of Go keep them among other constants, at no alignment${NO_GO ? ` (skipped: ${NO_GO})` : ''}`,
    () => {
      const [skeleton] = skeletons;
      if (skeleton === undefined) throw new Error('no skeleton');
      const quote = (bytes: Uint8Array) =>
        literal(bytes).replaceAll(
          /\\(\d{3})/g,
          (_, octal) => `\\x${Number.parseInt(octal, 8).toString(16).padStart(2, '0')}`,
        );
      writeFileSync(
        join(directory, 'main.go'),
        `package main\n\nimport "fmt"\n\nvar data = ${quote(skeleton.data)}\nvar loader = ${quote(skeleton.loader)}\n\nfunc main() { fmt.Println(len(data), len(loader), data, loader) }\n`,
      );
      const build = spawnSync('go', ['build', '-o', 'main-go', 'main.go'], {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, GOFLAGS: '-mod=mod', GOCACHE: join(directory, 'cache'), GO111MODULE: 'off' },
      });
      if (build.status !== 0) throw new Error(build.stderr);
      expect(found(new Uint8Array(readFileSync(join(directory, 'main-go'))), skeleton)).toEqual(WHOLE);
    },
    300_000,
  );

  test.skipIf(reason !== undefined)(`with several skeletons give each its own data${skipped}`, () => {
    const some = skeletons.slice(0, 8);
    const twins = some.flatMap((each) => [each, { ...each, data: otherLicense(each.data) }]);
    for (const order of ['data first', 'loader first']) {
      const parts = twins.flatMap(({ data, loader }) => (order === 'data first' ? [data, loader] : [loader, data]));
      const bytes = new Uint8Array(Buffer.concat([Buffer.alloc(9), ...parts]));
      const sizes = carved(bytes).map(
        ({ data }) => data && Buffer.from(bytes.subarray(data.offset, data.offset + data.size)),
      );
      expect(sizes.map((data, index) => data?.equals(twins[index]?.data ?? new Uint8Array(0)))).toEqual(
        twins.map(() => true),
      );
    }
  });
});

/** The same in every way but one. */
function otherLicense(data: Uint8Array): Uint8Array {
  const copy = data.slice();
  const at = Buffer.from(copy).indexOf('GPL\0');
  if (at >= 0) copy.set(Buffer.from('gpl'), at);
  return copy;
}

/** Copies of both parts in the heap, so many bytes apart; then the process waits. */
function heapSource({ data, loader }: Skeleton, gap: number): string {
  return `#include <malloc.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
static const char data[] = ${literal(data)};
static const char loader[] = ${literal(loader)};
int main(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	char *first = memcpy(malloc(sizeof(data)), data, sizeof(data));
	char *between = memset(malloc(${gap}), 0x5a, ${gap});
	char *second = memcpy(malloc(sizeof(loader)), loader, sizeof(loader));
	puts(first && between && second ? "ready" : "");
	fflush(stdout);
	getchar();
	return 0;
}
`;
}

async function withHeap<T>(skeleton: Skeleton, gap: number, work: (pid: number) => T): Promise<T> {
  const child = spawn(compile('cc', '-O0', heapSource(skeleton, gap)), { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    return work(child.pid ?? 0);
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
}

/** The heap of a process as scans see it: by address, with nothing before and behind it. */
function heapReader(pid: number): { reader: Reader; prologues: number[] } {
  const line =
    readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .find((each) => each.endsWith('[heap]')) ?? '';
  const [from = 0, to = 0] = (line.split(' ')[0] ?? '').split('-').map((text) => Number.parseInt(text, 16));
  const bytes = new Uint8Array(to - from);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    readSync(memory, bytes, 0, bytes.length, from);
  } finally {
    closeSync(memory);
  }
  return { reader: memoryFrom(bytes, from), prologues: prologuesIn(bytes).map((at) => at + from) };
}

/** Memory that begins at `from`. */
function memoryFrom(bytes: Uint8Array, from: number): Reader {
  const inner = memoryReader(bytes);
  return { readInto: (target, at) => (at < from ? 0 : inner.readInto(target, at - from)) };
}

describe('copies in memory', () => {
  test.skipIf(reason !== undefined)(`that a heap has near each other are found${skipped}`, async () => {
    for (const skeleton of skeletons.slice(0, 4)) {
      await withHeap(skeleton, 100_000, (pid) => {
        const { reader, prologues } = heapReader(pid);
        const [carving, ...more] = carveLightSkeletons(reader, prologues).skeletons;
        expect([carving?.data?.size, carving?.programs.length !== 0, more]).toEqual([skeleton.data.length, true, []]);
      });
    }
  });

  test.skipIf(reason !== undefined)(
    `that lie megabytes apart leave the loader alone, and say so${skipped}`,
    async () => {
      const [skeleton] = skeletons;
      if (skeleton === undefined) throw new Error('no skeleton');
      await withHeap(skeleton, 4_000_000, (pid) => {
        const { reader, prologues } = heapReader(pid);
        const [carving, ...more] = carveLightSkeletons(reader, prologues).skeletons;
        expect(carving).not.toHaveProperty('data');
        expect([carving?.programs, carving?.maps, more]).toEqual([[], [], []]);
        expect(carving?.diagnostics.map(({ code }) => code)).toEqual(['skeleton-data']);
      });
    },
  );

  test.skipIf(NO_CORE !== undefined)(
    `are found in a core file${NO_CORE ? ` (skipped: ${NO_CORE})` : ''}`,
    async () => {
      const [skeleton] = skeletons;
      if (skeleton === undefined) throw new Error('no skeleton');
      const core = await withHeap(skeleton, 10_000, (pid) => {
        const path = join(directory, 'core');
        const save = spawnSync('gdb', ['-batch', '-nx', '-p', `${pid}`, '-ex', `generate-core-file ${path}`]);
        if (save.status !== 0) throw new Error(`${save.stderr}`);
        return new Uint8Array(readFileSync(path));
      });
      const sizes = carved(core).map(({ data }) => data?.size);
      // Once where it was compiled in, when gdb saves such pages, and once in the heap.
      expect(sizes.length).toBeGreaterThanOrEqual(1);
      expect(sizes).toEqual(sizes.map(() => skeleton.data.length));
    },
    60_000,
  );

  test.skipIf(reason !== undefined)(`that begin where memory begins are found${skipped}`, () => {
    for (const { data, loader } of skeletons.slice(0, 20)) {
      for (const parts of [
        [data, loader],
        [loader, data],
      ]) {
        const bytes = new Uint8Array(Buffer.concat(parts));
        const from = 0x5555_0000_1000;
        const [carving] = carveLightSkeletons(
          memoryFrom(bytes, from),
          prologuesIn(bytes).map((at) => at + from),
        ).skeletons;
        expect(carving?.data?.offset).toBe(from + Buffer.from(bytes).indexOf(data));
      }
    }
  });
});
