// A process that loaded programs from arrays of instructions, each with another fate.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

const SOURCE = new URL('raw-loader.c', import.meta.url).pathname;

/** Why it cannot run here; `undefined` when it can. */
export const UNABLE: string | undefined = (() => {
  if (process.geteuid?.() !== 0) return 'needs root';
  return spawnSync('gcc', ['-fsyntax-only', SOURCE]).status === 0 ? undefined : 'needs gcc and headers of the kernel';
})();

export interface RawLoader {
  readonly pid: number;
  /** Ids by what the array is and what became of it: `kept-map`, `freed-long`, `wiped`. */
  readonly programs: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Whether what became of an array leaves no proof. */
export function isLost(what: string): boolean {
  return ['wiped', 'unclear', 'spoiled'].some((fate) => what.startsWith(fate));
}

/** `seed`: makes its programs unlike those of loaders with another; 16384 apart they share no number. */
export async function startRawLoader(seed = 16384 * process.pid): Promise<RawLoader> {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-raw-'));
  const tool = join(directory, 'raw-loader');
  execFileSync('gcc', ['-O1', '-Wall', '-o', tool, SOURCE]);
  const child = spawn(tool, [String(seed % 2 ** 30)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
  };
  try {
    await until('the raw loader', () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${said}`);
      return said.endsWith('ready\n') ? said : undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const words = said
    .trimEnd()
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '));
  return { pid: child.pid ?? 0, programs: new Map(words.map(([what = '', id]) => [what, Number(id)])), stop };
}
