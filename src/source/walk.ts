// From what the command line names to the files to read: resolves targets, walks directories, applies patterns.
// Opens no file, and never a FIFO, socket or device.
import { type Stats, statSync } from 'node:fs';
import { posix } from 'node:path';
import type { Diagnostic } from '../diagnostics.ts';
import { DirectoryLister, type WalkOptions } from './directory.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import type { Expansion, Patterns } from './glob.ts';
import { type Mounts, readMounts } from './mounts.ts';
import { type FilePath, join, nameOf, placeOf, simplify } from './path.ts';
import { reaching } from './reach.ts';

/** Files that are opened alike. */
export interface FileBatch {
  readonly paths: readonly FilePath[];
  /** Named by the user: a link there is meant, and failure to read it is an error. */
  readonly named: boolean;
  readonly shortReads: boolean;
}

/** Files in a batch from which on it goes as it is. */
const GATHERED = 256;

export type WalkItem = FileBatch | Diagnostic;

export function isBatch(item: WalkItem): item is FileBatch {
  return 'paths' in item;
}

/** Every file that `targets` (paths or patterns) name, in the order found, with what could not be reached between. */
export async function* walk(
  targets: readonly FilePath[],
  patterns: Patterns,
  options: WalkOptions,
): AsyncGenerator<WalkItem> {
  const mounts = readMounts();
  const expansions = await Promise.all(targets.map(resolve));
  const nested = nestedTargets(expansions.flatMap(({ paths }) => paths));
  for (const { paths, diagnostics } of expansions) {
    yield* diagnostics;
    for (const path of paths) yield* walkTarget(path, patterns, { ...options, nested }, mounts);
  }
}

interface TargetOptions extends WalkOptions {
  /** What is walked by itself, and not once more from a directory above it. */
  readonly nested: ReadonlyMap<string, readonly FilePath[]>;
}

/** A target that exists is taken by its name; only another one is read as a pattern. */
async function resolve(target: FilePath): Promise<Expansion> {
  const alone = { paths: [target], diagnostics: [] };
  if (typeof target !== 'string' || status(target) !== undefined) return alone;
  const { expandPattern, isPattern } = await import('./glob.ts');
  if (!isPattern(target)) return alone;
  const { paths, diagnostics } = expandPattern(target);
  return { paths: paths.length === 0 ? [target] : withoutNested(paths), diagnostics };
}

/** `a/**` matches a directory and all that is in it: the directory alone says the same. */
function withoutNested(sorted: readonly FilePath[]): FilePath[] {
  const directories = new Set<string>();
  return sorted.filter((path) => {
    const bytes = Buffer.from(path).toString('latin1');
    for (let cut = bytes.lastIndexOf('/'); cut > 0; cut = bytes.lastIndexOf('/', cut - 1)) {
      if (directories.has(bytes.slice(0, cut))) return false;
    }
    if (status(path)?.isDirectory()) directories.add(bytes);
    return true;
  });
}

async function* walkTarget(
  target: FilePath,
  patterns: Patterns,
  options: TargetOptions,
  mounts: Mounts,
): AsyncGenerator<WalkItem> {
  try {
    const stats = reaching(target, (path) => statSync(path));
    if (stats.isDirectory()) yield* walkDirectory(target, patterns, options, mounts);
    else if (stats.isFile()) yield { paths: [target], named: true, shortReads: true };
    else
      yield {
        severity: 'error',
        code: 'not-regular',
        ...placeOf(target),
        message: `is a ${kindOf(stats)}: only regular files and directories are read`,
      };
  } catch (error) {
    yield errnoDiagnostic(error, nameOf(target), 'cannot read', 'error');
  }
}

async function* walkDirectory(
  root: FilePath,
  patterns: Patterns,
  options: TargetOptions,
  mounts: Mounts,
): AsyncGenerator<WalkItem> {
  const lister = new DirectoryLister(root, options, mounts);
  const others = options.nested.size === 0 ? [] : (options.nested.get(absolute(root)) ?? []);
  const own = spelledFrom(root, others);
  const batches =
    patterns.include.length + patterns.exclude.length > 0
      ? matchingBatches(root, patterns, lister)
      : allBatches(root, lister, own);
  for await (const batch of batches) {
    yield* lister.diagnostics.splice(0);
    const paths = own.size === 0 ? batch.paths : batch.paths.filter((path) => !own.has(bytesOf(path)));
    if (paths.length > 0) yield { ...batch, paths };
  }
  yield* lister.diagnostics.splice(0).map((diagnostic) => asNamed(diagnostic, root));
}

/** Of named directories, by their absolute paths, what else was named and lies below. */
function nestedTargets(named: readonly FilePath[]): ReadonlyMap<string, readonly FilePath[]> {
  if (named.length < 2) return new Map();
  const nested = new Map(named.map((path): [string, FilePath[]] => [absolute(path), []]));
  for (const path of named) {
    for (let at = absolute(path); at !== '/'; ) {
      at = posix.dirname(at);
      nested.get(at)?.push(path);
    }
  }
  return nested;
}

/** `targets` as a walk from `root` spells them. */
function spelledFrom(root: FilePath, targets: readonly FilePath[]): ReadonlySet<string> {
  const start = posix.join(absolute(root), '/').length;
  const spelled = new Set<string>();
  for (const target of targets) {
    const path = join(root, simplify(Buffer.from(absolute(target).slice(start), 'latin1')));
    // Behind a symbolic link `..` leads elsewhere than the text says.
    if (isSameFile(path, target)) spelled.add(bytesOf(path));
  }
  return spelled;
}

function absolute(path: FilePath): string {
  return posix.resolve(bytesOf(process.cwd()), bytesOf(path));
}

/** As text with a character for every byte. */
function bytesOf(path: FilePath): string {
  return Buffer.from(path).toString('latin1');
}

function isSameFile(one: FilePath, other: FilePath): boolean {
  const [a, b] = [status(one), status(other)];
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino;
}

/** A directory that was named and cannot be listed is an error; one met on the way is a warning. */
function asNamed(diagnostic: Diagnostic, root: FilePath): Diagnostic {
  return diagnostic.where === nameOf(root).path && diagnostic.severity === 'warning'
    ? { ...diagnostic, severity: 'error' }
    : diagnostic;
}

/** Without the directories that have a walk of their `own`: with patterns, each walk means other files. Files of several together, as far as they are opened alike: each batch takes its time on the way. */
function* allBatches(root: FilePath, lister: DirectoryLister, own: ReadonlySet<string>): Generator<FileBatch> {
  const waiting: FilePath[] = [root];
  let paths: FilePath[] = [];
  let shortReads = false;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const files: FilePath[] = [];
    for (const entry of lister.list(directory)) {
      if (own.size > 0 && own.has(bytesOf(entry.path))) continue;
      (entry.kind === 'file' ? files : waiting).push(entry.path);
    }
    if (files.length === 0) continue;
    const short = lister.hasShortReads(directory);
    if (paths.length > 0 && (short !== shortReads || paths.length >= GATHERED)) {
      yield { paths, named: false, shortReads };
      paths = [];
    }
    shortReads = short;
    for (const path of files) paths.push(path);
  }
  if (paths.length > 0) yield { paths, named: false, shortReads };
}

async function* matchingBatches(
  root: FilePath,
  patterns: Patterns,
  lister: DirectoryLister,
): AsyncGenerator<FileBatch> {
  const { filesMatching } = await import('./glob.ts');
  for await (const paths of filesMatching(root, patterns, lister)) yield { paths, named: false, shortReads: true };
}

function status(path: FilePath): Stats | undefined {
  try {
    return reaching(path, (short) => statSync(short, { throwIfNoEntry: false }));
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'FIFO';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block device';
  return 'character device';
}
