// A directory held open, and the names in it.
import { isUtf8 } from 'node:buffer';
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { during, isSystemError } from './error.ts';

/**
 * What is done to the names of a held directory happens in that very directory, even when its path is renamed, replaced or
 * turned into a symbolic link meanwhile: names are reached through `/proc/self/fd`, which is openat(2) for a program that
 * has none. Where /proc cannot be used they are reached by path, and that protection is lost.
 */
export class Directory {
  /** As a person would type it; for messages. */
  readonly path: string;
  readonly #fd: number;
  readonly #base: string | Buffer;

  /** Opens the directory at a path the user named, whose symbolic links are followed. Throws EvidenceError. */
  static open(path: string): Directory {
    return new Directory(path, path, 0);
  }

  private constructor(path: string, reach: string | Buffer, flags: number) {
    this.path = path;
    this.#fd = during('open directory', path, () =>
      openSync(reach, constants.O_RDONLY | constants.O_DIRECTORY | flags),
    );
    const held = `/proc/self/fd/${this.#fd}`;
    this.#base = this.#isAt(`${held}/.`) ? held : reach;
  }

  /** Opens a directory in this one; a symbolic link under that name is refused. Throws EvidenceError. */
  openChild(name: string | Buffer): Directory {
    return new Directory(this.pathOf(name), this.at(name), constants.O_NOFOLLOW);
  }

  /** What to hand to system calls for a name in this directory. */
  at(name: string | Buffer): string | Buffer {
    if (typeof name === 'string' && typeof this.#base === 'string') return `${this.#base}/${name}`;
    return Buffer.concat([Buffer.from(this.#base), Buffer.from('/'), Buffer.from(name)]);
  }

  /** The path of a name in this directory, for messages. */
  pathOf(name: string | Buffer): string {
    const shown = typeof name === 'string' ? name : printable(name);
    return this.path.endsWith('/') ? `${this.path}${shown}` : `${this.path}/${shown}`;
  }

  /** Every name in the directory, as bytes: not all are UTF-8. Throws EvidenceError. */
  names(): readonly Buffer[] {
    return during('list', this.path, () => readdirSync(this.at('.'), { encoding: 'buffer' }));
  }

  /** Whether its path still leads to this very directory. */
  isInPlace(): boolean {
    return this.#isAt(this.path);
  }

  /** Whether the name is `child` itself, not a link to it. */
  holds(name: string, child: Directory): boolean {
    return sameFile(lstat(this.at(name)), child.#identity());
  }

  /** Makes the names durable, on file systems that can say so. Throws EvidenceError. */
  sync(): void {
    during('flush', this.path, () => flush(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #isAt(path: string): boolean {
    return sameFile(
      unlessDenied(() => statSync(path, { bigint: true, throwIfNoEntry: false })),
      this.#identity(),
    );
  }

  #identity(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }
}

/** A name as reports show it: bytes that are not UTF-8 stand as `\\xNN`. */
export function printable(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  return name.toString('latin1').replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** Whether two stats are of one file. */
export function sameFile(one: BigIntStats | undefined, other: BigIntStats): boolean {
  return one?.dev === other.dev && one.ino === other.ino;
}

/** The stats of a name itself, undefined when nothing is there. */
export function lstat(path: string | Buffer): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** Whether an fsync(2) failed only because the file system has none for a file or a directory, as some FUSE and network ones. */
export function cannotFlush(error: unknown): boolean {
  return isSystemError(error) && ['EINVAL', 'ENOTSUP', 'ENOSYS'].includes(error.code);
}

/** fsync(2), where there is one. */
export function flush(fd: number): void {
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!cannotFlush(error)) throw error;
  }
}

function unlessDenied<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return undefined;
  }
}
