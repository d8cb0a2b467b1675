// The programs in `rules/`, each by every compiler that is installed and for every instruction set, and two of them linked.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { machine, tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Compiled {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

const RULES = new URL('rules/', import.meta.url).pathname;
const COMPILERS = [
  { clang: 'clang-14', sets: ['v1', 'v2', 'v3'] },
  { clang: 'clang-19', sets: ['v3', 'v4'] },
  { clang: 'clang-22', sets: ['v3', 'v4'] },
] as const;

export function compileRules(): Compiled[] {
  const directory = mkdtempSync(join(tmpdir(), 'rules-'));
  try {
    return COMPILERS.flatMap(({ clang, sets }) => sets.flatMap((set) => compileAll(clang, set, directory)));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function compileAll(clang: string, set: string, directory: string): Compiled[] {
  const compiled: Compiled[] = [];
  const paths = new Map<string, string>();
  for (const source of readdirSync(RULES).filter((name) => name.endsWith('.bpf.c'))) {
    const name = `${source.replace('.bpf.c', '')}-${clang}-${set}`;
    const out = join(directory, `${name}.o`);
    // Headers for the machine itself, which the kernel's own are made for.
    const flags = [
      '-g',
      '-O2',
      '-Wno-everything',
      '-target',
      'bpf',
      `-mcpu=${set}`,
      `-I/usr/include/${machine()}-linux-gnu`,
    ];
    if (spawnSync(clang, [...flags, '-c', join(RULES, source), '-o', out]).status !== 0) continue;
    paths.set(source, out);
    if (!source.startsWith('weak-')) compiled.push({ name, path: out, bytes: new Uint8Array(readFileSync(out)) });
  }
  const parts = ['weak-a.bpf.c', 'weak-b.bpf.c'].flatMap((part) => paths.get(part) ?? []);
  const linked = join(directory, `linked-${clang}-${set}.o`);
  if (parts.length === 2 && spawnSync('bpftool', ['gen', 'object', linked, ...parts]).status === 0) {
    compiled.push({ name: `linked-${clang}-${set}`, path: linked, bytes: new Uint8Array(readFileSync(linked)) });
  }
  return compiled;
}
