// Processes by /proc: who they are and in which namespaces. A process that is gone is no error.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';

export interface Process {
  readonly pid: number;
  readonly comm: string;
  readonly exe?: string;
  readonly startTime?: string;
}

/** Ascending. */
export function processIds(proc: string): number[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Of its threads only the first has its name; where that one has ended, `living` still knows the executable. */
export function describeProcess(proc: string, pid: number, living = `${proc}/${pid}`): Process {
  const comm = orAbsent(() => readFileSync(`${proc}/${pid}/comm`, 'utf8'));
  const exe = orAbsent(() => readlinkSync(`${living}/exe`));
  const startTime = readStartTime(proc, pid);
  return {
    pid,
    comm: comm?.replace(/\n$/, '') ?? '',
    ...(exe !== undefined && { exe }),
    ...(startTime !== undefined && { startTime }),
  };
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything, parentheses too. */
export function readStartTime(proc: string, pid: number): string | undefined {
  const stat = orAbsent(() => readFileSync(`${proc}/${pid}/stat`, 'latin1'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

export type NamespaceKind = 'mnt' | 'net' | 'pid' | 'cgroup' | 'user';

/** The inode number that names a namespace of a process. */
export function namespaceOf(proc: string, pid: number | 'self', kind: NamespaceKind): number | undefined {
  const inode = readNamespace(proc, pid, kind);
  return typeof inode === 'number' ? inode : undefined;
}

/** Or the code of the error. */
function readNamespace(proc: string, pid: number | 'self', kind: NamespaceKind): number | string {
  try {
    const link = readlinkSync(`${proc}/${pid}/ns/${kind}`);
    return Number(/\[(\d+)\]$/.exec(link)?.[1] ?? Number.NaN);
  } catch (error) {
    if (!isErrno(error)) throw error;
    return error.code;
  }
}

/** One process of each namespace of a kind, by inode number; `hidden` counts processes that may not be asked. */
export interface Namespaces {
  readonly members: ReadonlyMap<number, number>;
  readonly hidden: number;
}

export function findNamespaces(proc: string, kind: NamespaceKind, pids: readonly number[]): Namespaces {
  const members = new Map<number, number>();
  let hidden = 0;
  for (const pid of pids) {
    const inode = readNamespace(proc, pid, kind);
    if (typeof inode === 'number') {
      if (!members.has(inode)) members.set(inode, pid);
    } else if (inode === 'EACCES' || inode === 'EPERM') hidden++;
  }
  return { members, hidden };
}

/** What `read` gives; `undefined` where the environment refuses, as it does when a process ends. */
export function orAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}
