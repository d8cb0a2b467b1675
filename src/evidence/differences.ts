// What a verification found, and the careful looks at an evidence directory that find it.
import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type Directory, lstat, printable } from './directory.ts';
import { during, EvidenceError, reason } from './error.ts';

export interface Difference {
  /** `manifest`: the manifest contradicts itself or cannot have been written by a dump. */
  readonly kind: 'changed' | 'missing' | 'extra' | 'unreadable' | 'manifest';
  /** Relative to the directory; bytes that are not UTF-8 stand as `\xNN`. */
  readonly path: string;
  readonly message: string;
}

/** The differences found, of which a hostile manifest or directory could hold millions. */
export class Differences {
  readonly list: Difference[] = [];
  /** How many more there were than `list` holds. */
  omitted = 0;

  add(kind: Difference['kind'], path: string, message: string): void {
    if (this.list.length < MAX_DIFFERENCES) this.list.push({ kind, path, message });
    else this.omitted += 1;
  }
}

/** Uses a file, only when it is a regular one; anything else under its name, or nothing, is a difference and not opened. */
export function withRegularFile<T>(
  directory: Directory,
  name: string,
  path: string,
  differences: Differences,
  use: (fd: number, size: number) => T,
): T | undefined {
  return orDifference(path, differences, () => {
    const whole = directory.pathOf(name);
    const stats = during('examine', whole, () => lstat(directory.at(name)));
    if (!isExpected(stats, 'regular file', path, differences)) return undefined;
    const fd = during('open', whole, () => openSync(directory.at(name), READ_ONLY));
    try {
      return during('read', whole, () => use(fd, fstatSync(fd).size));
    } finally {
      closeSync(fd);
    }
  });
}

/** Uses a directory inside another, only when it is one and not a symbolic link to one. */
export function withDirectory<T>(
  parent: Directory,
  name: string | Buffer,
  path: string,
  differences: Differences,
  use: (directory: Directory) => T,
): T | undefined {
  return orDifference(path, differences, () => {
    const stats = during('examine', parent.pathOf(name), () => lstat(parent.at(name)));
    if (!isExpected(stats, 'directory', path, differences)) return undefined;
    const directory = parent.openChild(name);
    try {
      return use(directory);
    } finally {
      directory.close();
    }
  });
}

/** Names everything in a directory but the `expected`, and everything below the directories among it. */
export function reportExtras(
  directory: Directory,
  prefix: string,
  expected: ReadonlySet<string>,
  differences: Differences,
  depth = 0,
): void {
  for (const name of [...directory.names()].sort(Buffer.compare)) {
    if (expected.has(name.toString('latin1'))) continue;
    const path = `${prefix}${printable(name)}`;
    const type = orDifference(path, differences, () =>
      during('examine', directory.pathOf(name), () => typeOf(lstat(directory.at(name)))),
    );
    if (type === undefined) continue;
    const unseen = type === 'directory' && depth === MAX_DEPTH ? '; what is below was not looked at' : '';
    differences.add('extra', path, `the dump has no such ${type}${unseen}`);
    if (type !== 'directory' || depth === MAX_DEPTH) continue;
    withDirectory(directory, name, path, differences, (child) =>
      reportExtras(child, `${path}/`, new Set(), differences, depth + 1),
    );
  }
}

const MAX_DIFFERENCES = 10_000;
/** Each level holds a descriptor. */
const MAX_DEPTH = 64;
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What the system refuses is a difference: `path` could not be compared. */
function orDifference<T>(path: string, differences: Differences, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    differences.add('unreadable', path, `it could not be read: ${reason(error.code)}`);
    return undefined;
  }
}

function isExpected(
  stats: BigIntStats | undefined,
  type: FileType,
  path: string,
  differences: Differences,
): stats is BigIntStats {
  const actual = typeOf(stats);
  if (actual === type) return true;
  if (actual === undefined) differences.add('missing', path, 'it does not exist');
  else differences.add('changed', path, `it is a ${actual}, not a ${type}`);
  return false;
}

type FileType = 'regular file' | 'directory' | 'symbolic link' | 'FIFO' | 'socket' | 'device';

function typeOf(stats: BigIntStats | undefined): FileType | undefined {
  if (stats === undefined) return undefined;
  if (stats.isFile()) return 'regular file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symbolic link';
  if (stats.isFIFO()) return 'FIFO';
  return stats.isSocket() ? 'socket' : 'device';
}
