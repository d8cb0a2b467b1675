// New files that appear whole or not at all, and never in the place of something else.
import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { cannotFlush, type Directory, flush, lstat, sameFile } from './directory.ts';
import { during, EvidenceError, explained, isSystemError, reason, systemFailure } from './error.ts';

/**
 * Writes a file of mode 0600 under the first of `names` that is free, and returns that name. The bytes go to a temporary
 * with an unguessable name, created exclusively; it takes its final name only when complete. `safe` bytes are on the disk
 * before they have that name, others once `flushFiles` has seen to it. Whatever fails, the temporary is removed. Throws
 * EvidenceError: the errno of the step, `EEXIST` when every name is taken, `replaced` when somebody exchanged the temporary.
 */
export function writeNewFile(
  directory: Directory,
  names: readonly string[],
  chunks: Iterable<Uint8Array>,
  safety: 'safe' | 'flushed later',
): string {
  const temporary = `.partial-${randomBytes(16).toString('hex')}`;
  const wanted = directory.pathOf(names[0] ?? temporary);
  const fd = during('create', wanted, () => openSync(directory.at(temporary), NEW_FILE, 0o600));
  try {
    during('write', wanted, () => {
      for (const chunk of chunks) writeAll(fd, chunk);
      if (safety === 'safe') flush(fd);
    });
    return moveToNew(directory, temporary, names, fstatSync(fd, { bigint: true }));
  } catch (error) {
    throw withTemporaryRemoved(directory, temporary, error);
  } finally {
    closeSync(fd);
  }
}

/**
 * Puts files on the disk. Several at once, because a journaling file system then commits them together: 1000 files on ext4
 * took 0.4 s so, and 3.6 s one by one. A file whose bytes did not arrive is removed, and the EvidenceError of the first such
 * is thrown when all are done.
 */
export async function flushFiles(directory: Directory, names: readonly string[]): Promise<void> {
  const failures: unknown[] = [];
  const waiting = names.values();
  const flushWaiting = async () => {
    for (const name of waiting) {
      try {
        await flushFile(directory, name);
      } catch (error) {
        failures.push(explained('write', directory.pathOf(name), error));
      }
    }
  };
  await Promise.all(Array.from({ length: FLUSHES_AT_ONCE }, flushWaiting));
  if (failures.length > 0) throw failures[0];
}

/**
 * Gives the file `from` the first of `names` that is free, and returns it; nothing that exists is overwritten. When `file`
 * is given, what arrives must be that file. Throws EvidenceError as `writeNewFile` does.
 */
export function moveToNew(directory: Directory, from: string, names: readonly string[], file?: BigIntStats): string {
  for (const name of names) {
    if (during('create', directory.pathOf(name), () => moveUnlessTaken(directory, from, name, file))) return name;
  }
  throw systemFailure('create', directory.pathOf(names[0] ?? from), 'EEXIST');
}

/** As many as Node has threads for file operations. */
const FLUSHES_AT_ONCE = 4;
const EXISTING_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

async function flushFile(directory: Directory, name: string): Promise<void> {
  const path = directory.at(name);
  const file = await open(path, EXISTING_FILE);
  try {
    await file.sync();
  } catch (error) {
    if (cannotFlush(error)) return;
    rmSync(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  // A nearly full disk takes a part and says so only by the count; the next write then says why.
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
}

/** link(2) fails where anything, even a dangling symbolic link, has the name; rename(2) would replace it. */
function moveUnlessTaken(directory: Directory, from: string, to: string, file: BigIntStats | undefined): boolean {
  try {
    linkSync(directory.at(from), directory.at(to));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'EEXIST') return false;
    if (!WITHOUT_LINKS.has(error.code)) throw error;
    return renameUnlessTaken(directory, from, to);
  }
  if (file !== undefined && !sameFile(lstat(directory.at(to)), file)) throw exchanged(directory, to);
  unlinkSync(directory.at(from));
  return true;
}

/** What file systems without hard links answer: vfat and exfat EPERM, some FUSE and network ones the others. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK']);

/** Without links: an empty file created exclusively holds the name until the complete one replaces it. */
function renameUnlessTaken(directory: Directory, from: string, to: string): boolean {
  try {
    closeSync(openSync(directory.at(to), NEW_FILE, 0o600));
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false;
    throw error;
  }
  try {
    renameSync(directory.at(from), directory.at(to));
  } catch (error) {
    unlinkSync(directory.at(to));
    throw error;
  }
  return true;
}

function exchanged(directory: Directory, name: string): EvidenceError {
  unlinkSync(directory.at(name));
  const path = directory.pathOf(name);
  return new EvidenceError('replaced', path, `cannot create ${path}: its temporary was exchanged while being written`);
}

/** `error`, which says so when even removing the temporary failed. */
function withTemporaryRemoved(directory: Directory, temporary: string, error: unknown): unknown {
  try {
    unlinkSync(directory.at(temporary));
    return error;
  } catch (obstacle) {
    if (!isSystemError(obstacle) || !(error instanceof EvidenceError)) return error;
    if (obstacle.code === 'ENOENT') return error;
    const left = `${error.message}; its temporary ${temporary} is left: ${reason(obstacle.code)}`;
    return new EvidenceError(error.code, error.path, left, { cause: error });
  }
}
