// Hosts of light skeletons: what bpftool generates, compiled without the struct that only its own header could type.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SkeletonHost {
  readonly bytes: Uint8Array;
  /** What bpftool put into the skeleton, from the header's own text. */
  readonly data: Uint8Array;
  readonly loader: Uint8Array;
  /** Tags of the programs in order, when the host was run and the kernel took them. */
  readonly tags?: readonly string[];
}

export const COMPILERS = ['gcc', 'clang'].filter((tool) => spawnSync(tool, ['--version']).status === 0);

export const NO_SKELETONS: string | undefined = (() => {
  if (spawnSync('bpftool', ['version']).status !== 0) return 'no bpftool';
  if (COMPILERS.length === 0) return 'no C compiler';
  const header = '#include <stdlib.h>\n#include <errno.h>\n#include <bpf/skel_internal.h>\n';
  const compiled = spawnSync('cc', ['-fsyntax-only', '-x', 'c', '-'], { input: header });
  return compiled.status === 0 ? undefined : 'no headers of libbpf';
})();

export const NO_LOADING: string | undefined = NO_SKELETONS ?? (process.getuid?.() !== 0 ? 'not root' : undefined);

export interface Skeleton {
  readonly data: Uint8Array;
  readonly loader: Uint8Array;
  readonly source: string;
}

/** `undefined` where bpftool makes no light skeleton of the object. */
export function generateSkeleton(object: Uint8Array): Skeleton | undefined {
  return inTemporary((directory) => {
    const path = join(directory, 'sample.o');
    writeFileSync(path, object);
    const run = spawnSync('bpftool', ['gen', 'skeleton', '-L', path, 'name', 'sample'], { encoding: 'utf8' });
    if (run.status !== 0) return undefined;
    const data = literalOf(run.stdout, 'opts.data = (void *)');
    const loader = literalOf(run.stdout, 'opts.insns = (void *)');
    const programs = run.stdout.match(/struct bpf_prog_desc /g)?.length ?? 0;
    const maps = run.stdout.match(/struct bpf_map_desc /g)?.length ?? 0;
    return { data: bytesOf(data), loader: bytesOf(loader), source: hostSource(data, loader, maps, programs) };
  });
}

/** Compiles the host; `load` also runs it, which loads the programs for a moment. */
export function buildHost(skeleton: Skeleton, compiler: string, flags: readonly string[], load = false): SkeletonHost {
  return inTemporary((directory) => {
    writeFileSync(join(directory, 'main.c'), skeleton.source);
    const binary = join(directory, 'main');
    const build = spawnSync(compiler, ['-w', ...flags, '-s', '-o', binary, join(directory, 'main.c'), '-lbpf'], {
      encoding: 'utf8',
    });
    if (build.status !== 0) throw new Error(build.stderr);
    const run = load ? spawnSync(binary, { encoding: 'utf8' }) : undefined;
    const tags = run?.status === 0 ? run.stdout.split('\n').filter((line) => line !== '') : undefined;
    return { ...skeleton, bytes: new Uint8Array(readFileSync(binary)), ...(tags && { tags }) };
  });
}

/** `r6 = r1; r1 = r10`, with which every loader begins. */
const PROLOGUES = ['bf16000000000000bfa1000000000000', 'bf61000000000000bf1a000000000000'];

/** Where loaders may begin, in either byte order; ascending. */
export function prologuesIn(bytes: Uint8Array): number[] {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const places: number[] = [];
  for (const needle of PROLOGUES.map((hex) => Buffer.from(hex, 'hex'))) {
    for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) places.push(at);
  }
  return places.sort((a, b) => a - b);
}

function literalOf(text: string, assignment: string): string {
  const start = text.indexOf('"', text.indexOf(assignment));
  return text.slice(start, text.indexOf('";', start) + 1);
}

/** bpftool writes zeros as \0 and every other byte as \xNN, and breaks lines with a backslash. */
function bytesOf(literal: string): Uint8Array {
  const escapes = literal.match(/\\(?:x[0-9a-f]{2}|0)/g) ?? [];
  return Uint8Array.from(escapes, (text) => (text === '\\0' ? 0 : Number.parseInt(text.slice(2), 16)));
}

/** The same call in a function of the same shape as the generated one. */
function hostSource(data: string, loader: string, maps: number, programs: number): string {
  return `#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/skel_internal.h>

static struct {
	struct bpf_loader_ctx ctx;
	struct bpf_map_desc maps[${maps}];
	struct bpf_prog_desc progs[${programs}];
} skel;

static inline int load(void)
{
	struct bpf_load_and_run_opts opts = {};

	skel.ctx.sz = sizeof(skel);
	opts.ctx = (struct bpf_loader_ctx *)&skel;
	opts.data_sz = sizeof(${data}) - 1;
	opts.data = (void *)${data};
	opts.insns_sz = sizeof(${loader}) - 1;
	opts.insns = (void *)${loader};
	return bpf_load_and_run(&opts);
}

int main(void)
{
	if (load() < 0)
		return 1;
	for (int each = 0; each < ${programs}; each++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(skel.progs[each].prog_fd, &info, &size))
			return 1;
		for (int at = 0; at < 8; at++)
			printf("%02x", info.tag[at]);
		printf("\\n");
	}
	fflush(stdout);
	/* Holds its programs until nobody listens any more. */
	getchar();
	return 0;
}
`;
}

function inTemporary<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'skeleton-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
