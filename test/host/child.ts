// The room in a process of its own: as another user, below strace, in other namespaces.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { HostSnapshot } from '../../src/host/records.ts';

const ENTRY = `
import { writeFileSync } from 'node:fs';
import { readHost } from './src/host/host.ts';
writeFileSync(1, JSON.stringify(await readHost()));
`;

/** A copy of the room that any user may run, with koffi beside it or without. */
export async function bundle(options: { readonly koffi: boolean }): Promise<{ path: string; remove: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-child-'));
  const path = join(directory, 'host.mjs');
  const { outputFiles } = await build({
    stdin: { contents: ENTRY, resolveDir: new URL('../..', import.meta.url).pathname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    write: false,
  });
  writeFileSync(path, outputFiles[0]?.contents ?? '');
  if (options.koffi) copyKoffi(directory);
  chmodSync(directory, 0o755);
  return { path, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** The package and those of its binaries. */
function copyKoffi(directory: string): void {
  const modules = new URL('../../node_modules/', import.meta.url).pathname;
  for (const name of ['koffi', '@koromix']) {
    cpSync(join(modules, name), join(directory, 'node_modules', name), { recursive: true });
  }
}

/** Runs the copy; `wrapper` comes before node. */
export function runChild(
  path: string,
  wrapper: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): HostSnapshot {
  const [command = process.execPath, ...args] = [...wrapper, process.execPath, path];
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, env });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
}

export function readText(path: string): string {
  return readFileSync(path, 'latin1');
}
