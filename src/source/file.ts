// One file's bytes: opened without side effects, read by position, closed.
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import type { Reader } from '../bytes/reader.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import { type FilePath, nameOf, type PathName } from './path.ts';
import { reaching } from './reach.ts';

export interface OpenOptions {
  /** Open the file behind a symbolic link; otherwise a link is an error. */
  readonly follow: boolean;
  /** The filesystem may return less than asked before the end, as FUSE and network filesystems do. */
  readonly shortReads: boolean;
}

const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Reads one open file by position. A failing read ends the file and leaves its reason in `failure`. */
export class OpenFile implements Reader {
  /** Why reading stopped before the end, if it did. */
  failure: Diagnostic | undefined;
  private readonly fd: number;
  private readonly shortReads: boolean;
  private readonly path: FilePath;
  private named: PathName | undefined;
  private known: Stats | undefined;

  /** @throws the system's error when the file cannot be opened. */
  constructor(path: FilePath, options: OpenOptions) {
    this.path = path;
    this.shortReads = options.shortReads;
    const flags = options.follow ? FLAGS : FLAGS | constants.O_NOFOLLOW;
    this.fd = reaching(path, (short) => openQuietly(short, flags));
  }

  readInto(target: Uint8Array, at: number): number {
    try {
      let count = readSync(this.fd, target, 0, target.length, at);
      while (this.shortReads && count > 0 && count < target.length) {
        const more = readSync(this.fd, target, count, target.length - count, at + count);
        if (more === 0) break;
        count += more;
      }
      return count;
    } catch (error) {
      this.failure ??= errnoDiagnostic(error, this.name, `cannot read at ${at}`);
      return 0;
    }
  }

  get name(): PathName {
    this.named ??= nameOf(this.path);
    return this.named;
  }

  /** The file's status when it was first asked for. */
  get stats(): Stats {
    this.known ??= fstatSync(this.fd);
    return this.known;
  }

  /** The descriptor, for calls that Node does not offer; valid until `close`. */
  get descriptor(): number {
    return this.fd;
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Without touching the access time where the system allows that: for one's own files, and for root. */
function openQuietly(path: string | Buffer, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOATIME);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EPERM') throw error;
    return openSync(path, flags);
  }
}
