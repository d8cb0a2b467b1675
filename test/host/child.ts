// The room in a process of its own: as another user, below strace, in other namespaces.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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

/** The package and those of its binaries: all are called after it. */
function copyKoffi(directory: string): void {
  const manifest = createRequire(import.meta.url).resolve('koffi/package.json');
  const modules = dirname(dirname(manifest));
  mkdirSync(join(directory, 'node_modules'));
  cpSync(dirname(manifest), join(directory, 'node_modules/koffi'), { recursive: true });
  cpSync(join(modules, '@koromix'), join(directory, 'node_modules/@koromix'), { recursive: true });
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
