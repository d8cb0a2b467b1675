// Runs the command line as its users do: the built program, in a process of its own. `npm test` builds it first.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/bpfcarve.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Why it cannot run, if it cannot. */
export const NOT_BUILT = existsSync(BUILT) ? undefined : 'not built: npm run build';

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What standard input gives. */
  readonly input?: Uint8Array;
  readonly directory?: string;
}

export function bpfcarve(args: readonly string[], { input, directory }: RunOptions = {}): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 29,
    env: { ...process.env, NO_COLOR: '1' },
    ...(input && { input }),
    ...(directory !== undefined && { cwd: directory }),
  });
  return { status, stdout, stderr };
}
