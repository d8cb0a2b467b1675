// Lists directories for a walk: every name there is, exact, with what must not be entered left out.
import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import type { Mounts } from './mounts.ts';
import { type FilePath, join, nameOf, placeOf, simplify } from './path.ts';
import { reaching } from './reach.ts';

export type EntryKind = 'file' | 'directory' | 'other';

export interface Entry {
  readonly name: FilePath;
  readonly path: FilePath;
  readonly kind: EntryKind;
}

export interface WalkOptions {
  readonly follow: boolean;
  readonly oneFileSystem: boolean;
  /** Directories to stay out of, absolute and real. */
  readonly avoid: readonly string[];
}

/** Lists the directories below one target and keeps what that needs: mounts, the target's device, directories seen. */
export class DirectoryLister {
  readonly diagnostics: Diagnostic[] = [];
  private readonly options: WalkOptions;
  private readonly mounts: Mounts;
  private readonly root: FilePath;
  /** Absent when it is too long for the system to say. */
  private readonly realRoot: FilePath | undefined;
  private readonly device: number;
  /** By identity, the path by which a directory was reached first; patterns may list it several times by that. */
  private readonly visited = new Map<string, string>();

  /** @throws the system's error when `root` cannot be looked at. */
  constructor(root: FilePath, options: WalkOptions, mounts: Mounts) {
    this.root = root;
    this.options = options;
    this.mounts = mounts;
    this.realRoot = resolveReal(root);
    const stats = reaching(root, (path) => statSync(path));
    this.device = stats.dev;
    this.isFirstWay(stats, root);
  }

  /** Files and directories in `directory`; symbolic links only when they are followed. Errors become diagnostics. */
  list(directory: FilePath): Entry[] {
    const entries: Entry[] = [];
    for (const dirent of this.read(directory)) {
      const name = nameIn(dirent);
      const path = join(directory, name);
      const kind = this.kindOf(dirent, path);
      if (kind === 'file' || (kind === 'directory' && this.mayEnter(path))) entries.push({ name, path, kind });
    }
    return entries;
  }

  /** Whether reads of files directly in `directory` may come up short before their end. */
  hasShortReads(directory: FilePath): boolean {
    // Behind a link that was followed any filesystem may lie.
    const real = this.options.follow ? undefined : this.realPath(directory);
    return real === undefined || this.mounts.hasShortReads(textOf(real));
  }

  private read(directory: FilePath): AnyDirent[] {
    try {
      return readNames(directory);
    } catch (error) {
      this.diagnostics.push(errnoDiagnostic(error, nameOf(directory), 'cannot list directory'));
      return [];
    }
  }

  private kindOf(dirent: AnyDirent, path: FilePath): EntryKind {
    if (dirent.isFile()) return 'file';
    if (dirent.isDirectory()) return 'directory';
    if (!dirent.isSymbolicLink() || !this.options.follow) return 'other';
    try {
      const stats = reaching(path, (short) => statSync(short));
      return stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
    } catch (error) {
      this.diagnostics.push(errnoDiagnostic(error, nameOf(path), 'cannot follow symbolic link', 'info'));
      return 'other';
    }
  }

  private mayEnter(path: FilePath): boolean {
    try {
      const real = this.options.follow ? resolveReal(path) : this.realPath(path);
      if (typeof real === 'string' && this.options.avoid.includes(real)) return false;
      if (typeof real === 'string' && (SKIPPED.has(real) || this.mounts.isKernel(real))) {
        const message = 'filesystem of the kernel: name it on the command line to scan it';
        this.diagnostics.push({ severity: 'info', code: 'skipped', ...placeOf(path), message });
        return false;
      }
      if (!this.options.oneFileSystem && !this.options.follow) return true;
      const stats = reaching(path, (short) => (this.options.follow ? statSync(short) : lstatSync(short)));
      if (this.options.oneFileSystem && stats.dev !== this.device) return false;
      return !this.options.follow || this.isFirstWay(stats, path);
    } catch (error) {
      this.diagnostics.push(errnoDiagnostic(error, nameOf(path), 'cannot look at directory'));
      return false;
    }
  }

  private isFirstWay({ dev, ino }: Stats, path: FilePath): boolean {
    const identity = `${dev}:${ino}`;
    const way = nameOf(path).path;
    const first = this.visited.get(identity) ?? way;
    this.visited.set(identity, first);
    return first === way;
  }

  /** The absolute path, from that of the root: exact as long as no link was followed on the way. */
  private realPath(path: FilePath): FilePath | undefined {
    if (this.realRoot === undefined) return undefined;
    if (typeof path === 'string' && typeof this.root === 'string') {
      const rest = path.slice(this.root.length).replace(/^\/+/, '');
      return rest === '' ? this.realRoot : join(this.realRoot, rest);
    }
    const rest = Buffer.from(path).subarray(Buffer.from(this.root).length);
    const start = rest.findIndex((byte) => byte !== SLASH);
    return start < 0 ? this.realRoot : join(this.realRoot, rest.subarray(start));
  }
}

type AnyDirent = Dirent<string | Buffer>;

const SKIPPED = new Set(['/proc', '/sys', '/dev']);
const SLASH = 0x2f;

/**
 * What is in `directory`, in the order of the system.
 * @throws the system's error when it cannot be listed.
 */
export function readNames(directory: FilePath): AnyDirent[] {
  return reaching(directory, (path) => {
    const entries: AnyDirent[] = readdirSync(path, { withFileTypes: true });
    // A name that is not UTF-8 comes back with replacement characters: only then are the bytes asked for.
    const exact = entries.every((entry) => !(entry.name as string).includes('\ufffd'));
    return exact ? entries : readdirSync(path, { withFileTypes: true, encoding: 'buffer' });
  });
}

/** The exact name of an entry. */
export function nameIn({ name }: AnyDirent): FilePath {
  return typeof name === 'string' ? name : simplify(name);
}

/** The absolute path without links; `undefined` when it is longer than the system can say. */
function resolveReal(path: FilePath): FilePath | undefined {
  try {
    // Only the native call takes bytes; the other one turns them into text first.
    return simplify(reaching(path, (short) => realpathSync.native(short, 'buffer')));
  } catch (error) {
    if (isErrno(error) && error.code === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

/** Up to the last directory that has a name in UTF-8: mounts are known by such names. */
function textOf(path: FilePath): string {
  let text = path;
  while (typeof text !== 'string') text = simplify(text.subarray(0, Math.max(1, text.lastIndexOf(SLASH))));
  return text;
}
