// A bpftrace that runs one line: what it compiles is in no file.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { heldPrograms } from './programs.ts';
import { until } from './until.ts';

const LINE =
  'tracepoint:syscalls:sys_enter_nanosleep { @[comm] = count(); } ' +
  'tracepoint:syscalls:sys_enter_openat { @path[str(args->filename)] = count(); } ' +
  'interval:s:1 { @seconds = count(); }';
/** One for each probe of the line. */
export const PROGRAMS = 3;

/** Why it cannot run here; `undefined` when it can. */
export const UNABLE: string | undefined = whyNot();

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  if (readdirSync('/sys/kernel/tracing').length === 0)
    spawnSync('mount', ['-t', 'tracefs', 'none', '/sys/kernel/tracing']);
  if (readdirSync('/sys/kernel/debug').length === 0) spawnSync('mount', ['-t', 'debugfs', 'none', '/sys/kernel/debug']);
  const line = 'tracepoint:syscalls:sys_enter_nanosleep { exit(); } interval:ms:1 { exit(); }';
  const { status, error, stderr } = spawnSync('bpftrace', ['-e', line], { encoding: 'utf8' });
  return status === 0 ? undefined : `needs bpftrace: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}

export interface Bpftrace {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Resolves when all of its probes are attached. */
export async function startBpftrace(): Promise<Bpftrace> {
  const child = spawn('bpftrace', ['-e', LINE], { stdio: 'ignore' });
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const pid = child.pid ?? 0;
  try {
    await until('the programs of bpftrace', () => (heldPrograms(pid).length === PROGRAMS ? true : undefined));
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid, stop };
}
