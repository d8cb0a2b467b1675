// Patterns people give, with fast-glob's meaning and none of its losses: names that hold a newline, a
// backslash or bytes that are not UTF-8 go through it in a spelling that it passes unharmed.
import type { Dirent, Stats } from 'node:fs';
import { lstatSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import fastGlob from 'fast-glob';
import type { Diagnostic } from '../diagnostics.ts';
import { type DirectoryLister, type EntryKind, nameIn, readNames } from './directory.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import { decodeLoosely, type FilePath, join, nameOf, simplify } from './path.ts';
import { reaching } from './reach.ts';

export interface Patterns {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export interface Expansion {
  /** Files, directories and links that match, sorted by name. */
  readonly paths: readonly FilePath[];
  /** Directories on the way that could not be listed. */
  readonly diagnostics: readonly Diagnostic[];
}

const OPTIONS = { dot: true, followSymbolicLinks: false, suppressErrors: true, unique: true } as const;

/** Whether `pattern` has glob characters at all, by fast-glob's rules. */
export function isPattern(pattern: string): boolean {
  return pattern !== '' && fastGlob.isDynamicPattern(pattern);
}

/** What a pattern on the command line stands for. */
export function expandPattern(pattern: string): Expansion {
  const diagnostics: Diagnostic[] = [];
  const here = process.cwd();
  const actual = (path: string): FilePath => (path === here ? '.' : restore(withoutBase(path, here) ?? path));
  const list = (path: string): NamedEntry[] => {
    const directory = actual(path);
    try {
      return readNames(directory).map((entry) => ({
        name: nameIn(entry),
        kind: entry.isDirectory() ? 'directory' : 'file',
      }));
    } catch (error) {
      diagnostics.push(errnoDiagnostic(error, nameOf(directory), 'cannot list directory'));
      return [];
    }
  };
  const status = (path: string, read: ReadStatus) => reaching(actual(path), read);
  const names = fastGlob.sync(spellPattern(pattern), { ...OPTIONS, onlyFiles: false, fs: adapter(list, status) });
  return { paths: names.sort().map(restore), diagnostics };
}

/** Files below `root` that match, in batches as they are found. */
export async function* filesMatching(
  root: FilePath,
  patterns: Patterns,
  lister: DirectoryLister,
): AsyncGenerator<FilePath[]> {
  const include = patterns.include.length > 0 ? patterns.include : ['**/*'];
  // To fast-glob `root` is the root of everything.
  const actual = (path: string): FilePath => (path === '/' ? root : join(root, restore(path.slice(1))));
  // fast-glob goes straight to where a pattern begins, or to the file that it names: only by the way that a walk would take.
  const known = new Set(['/']);
  const list = (path: string): readonly NamedEntry[] => {
    if (!known.has(path)) list(posix.dirname(path));
    if (!known.has(path)) return [];
    const entries = lister.list(actual(path));
    for (const { name, kind } of entries) if (kind === 'directory') known.add(posix.join(path, spell(name)));
    return entries;
  };
  const status = (path: string, read: ReadStatus) => {
    const name = posix.basename(path);
    if (name !== '' && !list(posix.dirname(path)).some((entry) => spell(entry.name) === name)) throw noEntry(path);
    return reaching(actual(path), read);
  };
  const stream = fastGlob.stream(include.map(spellPattern), {
    ...OPTIONS,
    cwd: '/',
    ignore: patterns.exclude.map(spellPattern),
    fs: adapter(list, status),
  });
  let batch: FilePath[] = [];
  for await (const name of stream as AsyncIterable<string>) {
    // Not above the root, whatever the pattern says.
    batch.push(join(root, restore(posix.join('/', name).slice(1))));
    if (batch.length === 256) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

interface NamedEntry {
  readonly name: FilePath;
  readonly kind: EntryKind;
}
type ReadStatus = (path: string | Buffer) => Stats;
type Callback<T> = (error: NodeJS.ErrnoException | null, result: T) => void;

/** Directories listed in one turn of the event loop. */
const LISTED_PER_TURN = 32;

/** A filesystem for fast-glob, whose names are all well behaved. */
function adapter(
  list: (path: string) => readonly NamedEntry[],
  status: (path: string, read: ReadStatus) => Stats,
): Partial<fastGlob.FileSystemAdapter> {
  const readdirSync = (path: string) => list(path).map((entry) => dirent(spell(entry.name), entry.kind));
  const lookUp = (path: string) => status(path, lstatSync);
  const lookUpBehind = (path: string) => status(path, statSync);
  let listed = 0;
  // Synchronous on purpose: each trip through the thread pool would compete with the workers for a core. Only the answer
  // comes later, or every level of directories would be a level of the stack; now and then it lets other work in.
  const readdir = (path: string, _options: unknown, callback: Callback<Dirent[]>) => {
    const entries = readdirSync(path);
    const later = ++listed % LISTED_PER_TURN === 0 ? setImmediate : queueMicrotask;
    later(() => callback(null, entries));
  };
  return {
    readdirSync,
    readdir,
    lstatSync: lookUp,
    lstat: answering(lookUp),
    statSync: lookUpBehind,
    stat: answering(lookUpBehind),
  } as unknown as Partial<fastGlob.FileSystemAdapter>;
}

function answering(act: (path: string) => Stats): (path: string, callback: Callback<Stats>) => void {
  return (path, callback) => {
    let stats: Stats;
    try {
      stats = act(path);
    } catch (error) {
      if (!isErrno(error)) throw error;
      (callback as (error: NodeJS.ErrnoException) => void)(error);
      return;
    }
    callback(null, stats);
  };
}

function noEntry(path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`ENOENT: not among the files that are walked, '${path}'`), { code: 'ENOENT' });
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

function withoutBase(path: string, base: string): string | undefined {
  const prefix = base.endsWith('/') ? base : `${base}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

/*
 * Lone low surrogates cannot come from a decoded name: U+DC00 + byte stands for a byte that fast-glob
 * would lose or rewrite.
 */
const ESCAPE = 0xdc00;
const NEWLINE = String.fromCharCode(ESCAPE + 0x0a);
const BACKSLASH = String.fromCharCode(ESCAPE + 0x5c);

function spell(name: FilePath): string {
  const text = typeof name === 'string' ? name : decodeLoosely(name, (byte) => String.fromCharCode(ESCAPE + byte));
  if (!text.includes('\n') && !text.includes('\\')) return text;
  return text.replaceAll('\n', NEWLINE).replaceAll('\\', BACKSLASH);
}

/** In a pattern a backslash takes the meaning of the next character; one before another stands for itself. */
function spellPattern(pattern: string): string {
  return pattern.replaceAll('\\\\', BACKSLASH).replaceAll('\n', NEWLINE);
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
