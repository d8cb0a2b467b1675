// A directory of its own for a test, with names that are bytes, and the walk over it as plain lists.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Diagnostic } from '../../src/diagnostics.ts';
import type { WalkOptions } from '../../src/source/directory.ts';
import type { Patterns } from '../../src/source/glob.ts';
import type { FilePath } from '../../src/source/path.ts';
import { isBatch, walk } from '../../src/source/walk.ts';

export interface Tree {
  readonly root: string;
  /** A path below the root; latin1 characters are its bytes when `bytes` says so. */
  at(name: string): string;
  file(name: string | Buffer, content?: string | Uint8Array): void;
  directory(name: string | Buffer): void;
  remove(): void;
}

export function newTree(): Tree {
  const root = mkdtempSync(join(tmpdir(), 'bpfcarve-test-'));
  const place = (name: string | Buffer) =>
    typeof name === 'string' ? join(root, name) : Buffer.concat([Buffer.from(`${root}/`), name]);
  return {
    root,
    at: (name) => join(root, name),
    file(name, content = '') {
      if (typeof name === 'string') mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(place(name), content);
    },
    directory: (name) => void mkdirSync(place(name), { recursive: true }),
    // Not rmSync: it fails on paths that are too long for one call.
    remove: () => void spawnSync('rm', ['-rf', root]),
  };
}

export interface Walked {
  readonly paths: readonly FilePath[];
  readonly diagnostics: readonly Diagnostic[];
}

export async function walked(
  targets: readonly FilePath[],
  options: Partial<WalkOptions> = {},
  patterns: Partial<Patterns> = {},
): Promise<Walked> {
  const paths: FilePath[] = [];
  const diagnostics: Diagnostic[] = [];
  const all = { follow: false, oneFileSystem: false, avoid: [], ...options };
  for await (const item of walk(targets, { include: [], exclude: [], ...patterns }, all)) {
    if (isBatch(item)) paths.push(...item.paths);
    else diagnostics.push(item);
  }
  return { paths, diagnostics };
}

/** Sorted paths below `root`; bytes that are no text in latin1. */
export function below(root: string, { paths }: Walked): string[] {
  const prefix = `${root}/`;
  return paths
    .map((path) => (typeof path === 'string' ? path : `bytes:${Buffer.from(path).toString('latin1')}`))
    .map((path) => path.replace(prefix, ''))
    .sort();
}
