// Threads with descriptors of their own: after unshare(CLONE_FILES), or clone(2) without it, /proc/PID/fd tells of the
// leader's alone. Finds one thread for each table that is not the leader's; what is in it is for others to read.
import { readdirSync } from 'node:fs';
import { orAbsent, processIds } from './processes.ts';
import { ERRNO, type Sys } from './syscall.ts';

export interface Threads {
  readonly tids: readonly number[];
  /** Told apart by the numbers of their descriptors alone: a table that has the same ones as another was not seen. */
  readonly guessed: boolean;
}

const NONE: Threads = { tids: [], guessed: false };

/** Without `sys`, and where the kernel refuses to compare, the lists of descriptors are compared instead. */
export function threadsWithOwnTable(proc: string, pid: number, sys?: Pick<Sys, 'compareTables'>): Threads {
  const tids = orAbsent(() => processIds(`${proc}/${pid}/task`))?.filter((tid) => tid !== pid) ?? [];
  if (tids.length === 0) return NONE;
  const own = sys && byIdentity(sys, pid, tids);
  return own ? { tids: own, guessed: false } : byNumbers(proc, pid, tids);
}

/**
 * kcmp(2) says which of two tables comes first, in an order of the kernel's own: thousands of threads cost one call each
 * where they share, and a binary search where they do not. A leader that ended has none, and its threads are found.
 */
function byIdentity(sys: Pick<Sys, 'compareTables'>, pid: number, tids: readonly number[]): number[] | undefined {
  const ordered = [pid];
  const own: number[] = [];
  for (const tid of tids) {
    const place = placeOf(sys, ordered, tid);
    if (place === 'refused') return undefined;
    if (place === 'known') continue;
    own.push(tid);
    if (place !== 'gone') ordered.splice(place, 0, tid);
  }
  return own;
}

/** kcmp(2): the same, less, greater. */
const SAME = 0;
const LESS = 1;
const GREATER = 2;

/** `gone`: one of the two ended, and which is not said. */
function placeOf(
  sys: Pick<Sys, 'compareTables'>,
  ordered: readonly number[],
  tid: number,
): number | 'known' | 'gone' | 'refused' {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = sys.compareTables(tid, ordered[middle] ?? 0);
    if (order === SAME) return 'known';
    if (order === LESS) high = middle;
    else if (order === GREATER) low = middle + 1;
    else return order === -ERRNO.ESRCH ? 'gone' : 'refused';
  }
  return low;
}

function byNumbers(proc: string, pid: number, tids: readonly number[]): Threads {
  const seen = new Set([numbersOf(`${proc}/${pid}/fd`)]);
  const own: number[] = [];
  for (const tid of tids) {
    const numbers = numbersOf(`${proc}/${pid}/task/${tid}/fd`);
    // What cannot be listed is for the reader to fail on.
    if (numbers !== undefined && seen.has(numbers)) continue;
    seen.add(numbers);
    own.push(tid);
  }
  return { tids: own, guessed: own.length < tids.length };
}

function numbersOf(directory: string): string | undefined {
  return orAbsent(() => readdirSync(directory).join());
}
