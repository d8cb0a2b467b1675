// Asks the installed libbpf, through a program compiled for the purpose, what it reads out of objects and section names.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface OpenedMap {
  readonly name: string;
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly numaNode: number;
  readonly mapExtra: string;
  readonly keyType: number;
  readonly valueType: number;
  readonly inner?: OpenedMap;
}
export interface OpenedProgram {
  readonly name: string;
  readonly section: string;
  readonly type: string;
  readonly attachType: string;
  readonly instructions: number;
  readonly autoload: boolean;
}
export interface Opened {
  readonly maps: readonly OpenedMap[];
  readonly programs: readonly OpenedProgram[];
}

const SOURCE = new URL('libbpf.c', import.meta.url).pathname;

/** Why the test cannot run here, if it cannot. */
export const NO_LIBBPF = (() => {
  const compiled = spawnSync('cc', ['-fsyntax-only', SOURCE]);
  return compiled.status === 0 ? undefined : 'no C compiler with libbpf 1.0 or later';
})();

/** One answer for each object; `null` for those that libbpf refuses. */
export function open(objects: readonly Uint8Array[]): (Opened | null)[] {
  return withTool((tool, directory) => {
    const paths = objects.map((bytes, index) => {
      const path = join(directory, `o${index}.o`);
      writeFileSync(path, bytes);
      return path;
    });
    return lines(tool, paths);
  });
}

export function readNames(names: readonly string[]): ({ readonly type: string; readonly attachType: string } | null)[] {
  return withTool((tool) => lines(tool, ['names', ...names]));
}

function lines<T>(tool: string, args: readonly string[]): T[] {
  const text = execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line));
}

function withTool<T>(act: (tool: string, directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'libbpf-'));
  try {
    const tool = join(directory, 'tool');
    execFileSync('cc', ['-o', tool, SOURCE, '-lbpf']);
    return act(tool, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
