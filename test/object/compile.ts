// Objects compiled by the test itself.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Debian keeps asm/types.h in a directory that only the host's own compiler knows. */
const INCLUDES = ['x86_64', 'aarch64'].map((machine) => `-I/usr/include/${machine}-linux-gnu`);

/** The newest clang for BPF that is installed. */
export const CLANG = ['clang-22', 'clang-19', 'clang'].find((tool) => canCompile(tool));

function canCompile(tool: string): boolean {
  const run = spawnSync(tool, ['--target=bpfel', '-fsyntax-only', ...INCLUDES, '-x', 'c', '-'], {
    input: '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n',
  });
  return run.status === 0;
}

/** A source beside the tests, or its text, as an object for one byte order. */
export function compile(source: string, target: 'bpfel' | 'bpfeb' = 'bpfel'): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'compile-'));
  try {
    const out = join(directory, 'out.o');
    const isPath = source.endsWith('.bpf.c');
    const input = isPath ? new URL(source, import.meta.url).pathname : '-';
    const flags = ['-g', '-O2', `--target=${target}`, '-mcpu=v3', ...INCLUDES, '-x', 'c', '-c', input, '-o', out];
    const run = spawnSync(CLANG ?? 'clang', flags, { encoding: 'utf8', ...(!isPath && { input: source }) });
    if (run.status !== 0) throw new Error(run.stderr);
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
