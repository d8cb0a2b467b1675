// The real tools, started with what they need, asked which programs they hold, and ended again.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface HeldProgram {
  readonly id: number;
  /** In full where the program has BTF, else its first 15 characters. */
  readonly name: string;
  readonly tag: string;
}

const MOUNTS = [
  'mount -t tracefs none /sys/kernel/tracing',
  'mount -t debugfs none /sys/kernel/debug',
  'mount -t bpf none /sys/fs/bpf',
];
const PATIENCE_MS = 6000;
const STEP_MS = 100;

/** What the tool holds once it has settled; empty when it ends before it holds any. */
export async function programsHeldBy(path: string, args: readonly string[]): Promise<HeldProgram[]> {
  const script = `${MOUNTS.join(' 2>/dev/null; ')} 2>/dev/null; exec "$0" "$@"`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script, path, ...args], { stdio: 'ignore' });
  try {
    return await settled(child);
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }
}

/** Programs are loaded one after another, and attached after that: their number must hold still for a while. */
async function settled(child: ChildProcess): Promise<HeldProgram[]> {
  let last = 0;
  let still = 0;
  for (let waited = 0; waited < PATIENCE_MS && child.exitCode === null; waited += STEP_MS) {
    await sleep(STEP_MS);
    const { length } = programIds(child.pid ?? 0);
    still = length > 0 && length === last ? still + 1 : 0;
    last = length;
    if (still === 5) break;
  }
  const ids = new Set(programIds(child.pid ?? 0));
  return shownPrograms().filter(({ id }) => ids.has(id));
}

function programIds(pid: number): number[] {
  const ids = new Set<number>();
  for (const fd of list(`/proc/${pid}/fdinfo`)) {
    const [, id] = /^prog_id:\s*(\d+)$/m.exec(read(`/proc/${pid}/fdinfo/${fd}`)) ?? [];
    if (id !== undefined) ids.add(Number(id));
  }
  return [...ids];
}

function shownPrograms(): HeldProgram[] {
  const shown = spawnSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  return JSON.parse(shown.stdout === '' ? '[]' : shown.stdout);
}

/** A process may end between two looks at it. */
function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
