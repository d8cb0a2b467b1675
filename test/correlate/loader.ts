// A process of our own that loads raw arrays, and the memory that it has then.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RawProgram {
  /** `kept`, `freed` or `wiped`: what became of its array. */
  readonly what: string;
  readonly tag: string;
  readonly mapFd: number;
  /** The first 16 bytes of the translated code. */
  readonly xlated: Uint8Array;
}

export interface Loader {
  readonly programs: readonly RawProgram[];
  /** Its writable memory, region by region. */
  readonly regions: readonly { readonly start: number; readonly path: string; readonly bytes: Uint8Array }[];
}

const SOURCE = new URL('loader.c', import.meta.url).pathname;

export const UNABLE: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  return spawnSync('cc', ['-fsyntax-only', SOURCE]).status === 0 ? undefined : 'no C compiler with kernel headers';
})();

/** Runs the loader, takes its memory, and ends it. */
export async function runLoader(): Promise<Loader> {
  const directory = mkdtempSync(join(tmpdir(), 'raw-'));
  const tool = join(directory, 'loader');
  const build = spawnSync('cc', ['-O1', '-o', tool, SOURCE], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(build.stderr);
  const child = spawn(tool, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    let text = '';
    for await (const chunk of child.stdout) {
      text += chunk;
      if (text.endsWith('ready\n')) break;
    }
    if (!text.endsWith('ready\n')) throw new Error(`the loader stopped after: ${text}`);
    const programs = text.split('\n').slice(0, -2).map(readLine);
    return { programs, regions: writableMemory(child.pid ?? 0) };
  } finally {
    child.kill();
    rmSync(directory, { recursive: true });
  }
}

function readLine(line: string): RawProgram {
  const [what = '', tag = '', fd = '', xlated = ''] = line.split(' ');
  return { what, tag, mapFd: Number(fd), xlated: new Uint8Array(Buffer.from(xlated, 'hex')) };
}

function writableMemory(pid: number): Loader['regions'] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .filter((line) => / rw.. /.test(line))
      .map((line) => {
        const [range = '', , , , , path = ''] = line.split(/ +/);
        const [start = 0, end = 0] = range.split('-').map((hex) => Number.parseInt(hex, 16));
        const bytes = new Uint8Array(end - start);
        return { start, path, bytes: bytes.subarray(0, readSync(memory, bytes, 0, bytes.length, start)) };
      });
  } finally {
    closeSync(memory);
  }
}
