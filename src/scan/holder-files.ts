// The files that hold the code of processes: executables and what is mapped from files, each once whoever maps it.
// Opens no memory.
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import { parseMaps } from '../source/maps.ts';
import { byteLength, type FilePath, join } from '../source/path.ts';

/** Files of these processes, in the order met. A process that is gone or out of reach has none. */
export function holderFiles(pids: Iterable<number>): FilePath[] {
  const files = new Map<string, FilePath>();
  for (const pid of pids) {
    for (const path of filesOf(pid)) {
      const identity = identityOf(path);
      if (identity !== undefined && !files.has(identity)) files.set(identity, path);
    }
  }
  return [...files.values()];
}

function filesOf(pid: number): FilePath[] {
  const proc = `/proc/${pid}`;
  const text = orNothing(() => readFileSync(`${proc}/maps`));
  const exe = executableOf(proc);
  if (text === undefined) return exe === undefined ? [] : [exe];
  const root = rootOf(proc);
  const mapped = parseMaps(text).mappings.flatMap(({ path, inode }) =>
    path !== undefined && inode !== 0 && startsWithSlash(path) && !isDeleted(path)
      ? [root === '' ? path : join(root, path)]
      : [],
  );
  return exe === undefined ? mapped : [exe, ...mapped];
}

/** The path, or the kernel's own link when the file has none any more or lies in another mount namespace. */
function executableOf(proc: string): FilePath | undefined {
  const link = orNothing(() => readlinkSync(`${proc}/exe`));
  if (link === undefined) return undefined;
  return link.endsWith(' (deleted)') || rootOf(proc) !== '' ? `${proc}/exe` : link;
}

/** What to put before the process's paths to reach them from here: nothing in the same mount namespace. */
function rootOf(proc: string): string {
  const theirs = orNothing(() => readlinkSync(`${proc}/ns/mnt`));
  const ours = orNothing(() => readlinkSync('/proc/self/ns/mnt'));
  return theirs === ours && orNothing(() => readlinkSync(`${proc}/root`)) === '/' ? '' : `${proc}/root`;
}

function identityOf(path: FilePath): string | undefined {
  const stats = orNothing(() => statSync(typeof path === 'string' ? path : Buffer.from(path)));
  return stats?.isFile() ? `${stats.dev}:${stats.ino}` : undefined;
}

function startsWithSlash(path: FilePath): boolean {
  return typeof path === 'string' ? path.startsWith('/') : path[0] === 0x2f;
}

function isDeleted(path: FilePath): boolean {
  return byteLength(path) > 10 && Buffer.from(path).toString('latin1').endsWith(' (deleted)');
}

function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}
