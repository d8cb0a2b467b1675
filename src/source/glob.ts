// Patterns people give, with fast-glob's meaning and none of its losses: names that hold a newline, a
// backslash or bytes that are not UTF-8 go through it in a spelling that it passes unharmed.
import type { Dirent, Stats } from 'node:fs';
import { lstatSync, statSync } from 'node:fs';
import fastGlob from 'fast-glob';
import type { DirectoryLister } from './directory.ts';
import { type FilePath, join, simplify } from './path.ts';
import { reaching } from './reach.ts';

export interface Patterns {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Whether `pattern` has glob characters at all, by fast-glob's rules. */
export function isPattern(pattern: string): boolean {
  return fastGlob.isDynamicPattern(pattern);
}

/** Paths that match a pattern on the command line, files and directories, sorted. */
export function expandPattern(pattern: string): string[] {
  return fastGlob
    .sync(pattern, { dot: true, onlyFiles: false, unique: true, suppressErrors: true, followSymbolicLinks: false })
    .sort();
}

/** Files below `root` that match, in batches as they are found. */
export async function* filesMatching(
  root: FilePath,
  patterns: Patterns,
  lister: DirectoryLister,
): AsyncGenerator<FilePath[]> {
  const include = patterns.include.length > 0 ? [...patterns.include] : ['**/*'];
  const stream = fastGlob.stream(include, {
    cwd: '.',
    ignore: [...patterns.exclude],
    dot: true,
    followSymbolicLinks: false,
    suppressErrors: true,
    unique: true,
    fs: adapter(root, lister),
  });
  let batch: FilePath[] = [];
  for await (const name of stream as AsyncIterable<string>) {
    batch.push(join(root, restore(name)));
    if (batch.length === 256) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

type ReaddirCallback = (error: NodeJS.ErrnoException | null, entries: Dirent[]) => void;

/** A filesystem for fast-glob whose root is `root` and whose names are all well behaved. */
function adapter(root: FilePath, lister: DirectoryLister) {
  const base = process.cwd();
  const actual = (path: string): FilePath => {
    const rest = path === base ? '' : path.slice(base.endsWith('/') ? base.length : base.length + 1);
    return rest === '' ? root : join(root, restore(rest));
  };
  // Synchronous on purpose: each trip through the thread pool would compete with the workers for a core.
  const readdir = (path: string, _options: unknown, callback: ReaddirCallback) => {
    callback(
      null,
      lister.list(actual(path)).map((entry) => dirent(spell(entry.name), entry.kind)),
    );
  };
  const status =
    (read: (path: string | Buffer) => Stats) =>
    (path: string, callback: (error: NodeJS.ErrnoException | null, stats: Stats) => void) => {
      callback(null, reaching(actual(path), read));
    };
  return { readdir, lstat: status(lstatSync), stat: status(statSync) } as unknown as NonNullable<
    fastGlob.Options['fs']
  >;
}

function dirent(name: string, kind: string): Dirent {
  const is = (wanted: string) => () => kind === wanted;
  const no = () => false;
  return {
    name,
    parentPath: '',
    path: '',
    isFile: is('file'),
    isDirectory: is('directory'),
    isSymbolicLink: no,
    isBlockDevice: no,
    isCharacterDevice: no,
    isFIFO: no,
    isSocket: no,
  };
}

/*
 * Lone low surrogates cannot come from a decoded name: U+DC00 + byte stands for a byte that fast-glob
 * would lose or rewrite.
 */
const ESCAPE = 0xdc00;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

function spell(name: FilePath): string {
  if (typeof name === 'string') {
    if (!name.includes('\n') && !name.includes('\\')) return name;
    return name
      .replaceAll('\n', String.fromCharCode(ESCAPE + NEWLINE))
      .replaceAll('\\', String.fromCharCode(ESCAPE + BACKSLASH));
  }
  let text = '';
  for (const byte of name) {
    const plain = byte < 0x80 && byte !== NEWLINE && byte !== BACKSLASH;
    text += String.fromCharCode(plain ? byte : ESCAPE + byte);
  }
  return text;
}

function restore(spelled: string): FilePath {
  const bytes: number[] = [];
  let escaped = false;
  for (const character of spelled) {
    const code = character.codePointAt(0) as number;
    if (code >= ESCAPE && code < ESCAPE + 0x100) {
      escaped = true;
      bytes.push(code - ESCAPE);
    } else bytes.push(...Buffer.from(character));
  }
  return escaped ? simplify(Uint8Array.from(bytes)) : spelled;
}
