// Lists directories for a walk: every name there is, exact, with what must not be entered left out.
import { type Dirent, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import type { Mounts } from './mounts.ts';
import { type FilePath, join, nameOf, simplify } from './path.ts';
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
  private readonly realRoot: string;
  private readonly device: number;
  private readonly visited = new Set<string>();

  /** @throws the system's error when `root` cannot be looked at. */
  constructor(root: FilePath, options: WalkOptions, mounts: Mounts) {
    this.root = root;
    this.options = options;
    this.mounts = mounts;
    this.realRoot = reaching(root, (path) => realpathSync(path, 'utf8'));
    this.device = reaching(root, (path) => statSync(path)).dev;
  }

  /** Files and directories in `directory`; symbolic links only when they are followed. Errors become diagnostics. */
  list(directory: FilePath): Entry[] {
    const names = this.read(directory);
    const entries: Entry[] = [];
    for (const dirent of names) {
      const name = simpleName(dirent.name);
      const path = join(directory, name);
      const kind = this.kindOf(dirent, path);
      if (kind === 'file' || (kind === 'directory' && this.mayEnter(path))) entries.push({ name, path, kind });
    }
    return entries;
  }

  /** Whether reads of files directly in `directory` may come up short before their end. */
  hasShortReads(directory: FilePath): boolean {
    return this.mounts.hasShortReads(this.realPath(directory));
  }

  private read(directory: FilePath): Dirent<string | Buffer>[] {
    try {
      return reaching(directory, (path) => {
        const entries: Dirent<string | Buffer>[] = readdirSync(path, { withFileTypes: true });
        // A name that is not UTF-8 comes back with replacement characters: only then are the bytes asked for.
        const exact = entries.every((entry) => !(entry.name as string).includes('\ufffd'));
        return exact ? entries : readdirSync(path, { withFileTypes: true, encoding: 'buffer' });
      });
    } catch (error) {
      this.diagnostics.push(errnoDiagnostic(error, nameOf(directory).path, 'cannot list directory'));
      return [];
    }
  }

  private kindOf(dirent: Dirent<string | Buffer>, path: FilePath): EntryKind {
    if (dirent.isFile()) return 'file';
    if (dirent.isDirectory()) return 'directory';
    if (!dirent.isSymbolicLink() || !this.options.follow) return 'other';
    try {
      const stats = reaching(path, (short) => statSync(short));
      return stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
    } catch (error) {
      this.diagnostics.push(errnoDiagnostic(error, nameOf(path).path, 'cannot follow symbolic link', 'info'));
      return 'other';
    }
  }

  private mayEnter(path: FilePath): boolean {
    const real = this.options.follow ? reaching(path, (short) => realpathSync(short, 'utf8')) : this.realPath(path);
    if (this.options.avoid.includes(real)) return false;
    if (SKIPPED.has(real) || this.mounts.isKernel(real)) {
      this.diagnostics.push({
        severity: 'info',
        code: 'skipped',
        where: nameOf(path).path,
        message: 'filesystem of the kernel: name it on the command line to scan it',
      });
      return false;
    }
    if (!this.options.oneFileSystem && !this.options.follow) return true;
    try {
      const stats = reaching(path, (short) => (this.options.follow ? statSync(short) : lstatSync(short)));
      if (this.options.oneFileSystem && stats.dev !== this.device) return false;
      if (!this.options.follow) return true;
      const identity = `${stats.dev}:${stats.ino}`;
      if (this.visited.has(identity)) return false;
      this.visited.add(identity);
      return true;
    } catch (error) {
      if (!isErrno(error)) throw error;
      this.diagnostics.push(errnoDiagnostic(error, nameOf(path).path, 'cannot look at directory'));
      return false;
    }
  }

  /** The absolute path, from that of the root: exact as long as no link was followed on the way. */
  private realPath(path: FilePath): string {
    if (typeof path !== 'string' || typeof this.root !== 'string') return this.realRoot;
    const rest = path.slice(this.root.length);
    if (rest === '') return this.realRoot;
    return this.realRoot === '/' ? `/${rest.replace(/^\/+/, '')}` : `${this.realRoot}/${rest.replace(/^\/+/, '')}`;
  }
}

const SKIPPED = new Set(['/proc', '/sys', '/dev']);

function simpleName(name: string | Buffer): FilePath {
  return typeof name === 'string' ? name : simplify(name);
}
