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
/** `main 3 map 0`: function, instruction, kind and place, as libbpf logs what a relocation refers to. */
export interface Log {
  readonly references: readonly string[];
  /** `kcfg 0 CONFIG_HZ 8`: kind, place, name, and for kcfg the offset. */
  readonly externs: readonly string[];
}

const SOURCE = new URL('libbpf.c', import.meta.url).pathname;

/** Why the test cannot run here, if it cannot. */
export const NO_LIBBPF = (() => {
  const compiled = spawnSync('cc', ['-fsyntax-only', SOURCE]);
  return compiled.status === 0 ? undefined : 'no C compiler with libbpf 1.0 or later';
})();

/** One answer for each object; `undefined` for those that libbpf refuses. */
export function open(objects: readonly Uint8Array[]): ((Opened & Log) | undefined)[] {
  return withTool((tool, directory) =>
    objects.map((bytes, index) => {
      const path = join(directory, `o${index}.o`);
      writeFileSync(path, bytes);
      const lines = run(tool, [path]);
      const opened: Opened | null = JSON.parse(lines.find((line) => !line.startsWith('#')) ?? 'null');
      return opened === null ? undefined : { ...opened, ...readLog(lines) };
    }),
  );
}

export function readNames(names: readonly string[]): ({ readonly type: string; readonly attachType: string } | null)[] {
  return withTool((tool) =>
    run(tool, ['names', ...names])
      .filter((line) => !line.startsWith('#'))
      .map((line) => JSON.parse(line)),
  );
}

function run(tool: string, args: readonly string[]): string[] {
  const text = execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return text.split('\n').filter((line) => line !== '');
}

const MAP = /^#libbpf: prog '(?<name>.*)': found (?<data>data )?map (?<place>\d+) \(.*\) for insn #?(?<at>\d+)$/;
const EXTERN = /^#libbpf: prog '(?<name>.*)': found extern #(?<place>\d+) .* for insn #(?<at>\d+)$/;
const COLLECTED =
  /^#libbpf: extern \((?<kind>kcfg|ksym)\) #(?<place>\d+): symbol \d+, (?:off (?<off>\d+), )?name (?<name>.*)$/;

function readLog(lines: readonly string[]): Log {
  const references = lines.flatMap((line) => {
    const map = MAP.exec(line)?.groups;
    if (map) return [`${map.name} ${map.at} ${map.data ? 'data' : 'map'} ${map.place}`];
    const extern = EXTERN.exec(line)?.groups;
    return extern ? [`${extern.name} ${extern.at} extern ${extern.place}`] : [];
  });
  const externs = lines.flatMap((line) => {
    const found = COLLECTED.exec(line)?.groups;
    return found ? [`${found.kind} ${found.place} ${found.name}${found.off === undefined ? '' : ` ${found.off}`}`] : [];
  });
  return { references: references.sort(), externs: externs.sort() };
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
