// Runs the built program as a shell would, and takes what it says apart.
import { type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';

export const BIN = join(import.meta.dirname, '../../bin/bpfcarve.js');
export const SAMPLES = join(import.meta.dirname, '../../samples');

export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  /** A signal to send, this many milliseconds after the first output. */
  readonly interrupt?: readonly NodeJS.Signals[];
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runCommand(process.execPath, [BIN, ...args], options);
}

/** Several commands as /bin/sh understands them, with `$bpfcarve` for the program. */
export function runShell(script: string, options: RunOptions = {}): Promise<Ran> {
  return runCommand('/bin/sh', ['-c', script.replaceAll('$bpfcarve', `'${process.execPath}' '${BIN}'`)], options);
}

function runCommand(command: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  const { cwd, stdin, env, uid } = options;
  const spawnOptions: SpawnOptions = {
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...plainEnvironment(), ...env },
    ...(cwd !== undefined && { cwd }),
    ...(uid !== undefined && { uid, gid: uid }),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, spawnOptions);
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    // A program that ends before it has read everything is not our failure.
    child.stdin?.on('error', () => {}).end(stdin);
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, ...output }));
  });
}

function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '/' } = process.env;
  return { PATH, HOME, NO_COLOR: '1', LANG: 'C.UTF-8' };
}
