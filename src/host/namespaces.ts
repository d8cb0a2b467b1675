// Every network namespace of the machine: those that processes live in, and those that `ip netns` gave a name.
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import { findNamespaces, namespaceOf, orAbsent } from './processes.ts';
import { errnoName, type Net } from './syscall.ts';

export interface NetworkNamespace {
  readonly inode: number;
  /** A file that stands for it. */
  readonly path: string;
  /** As `ip netns` knows it. */
  readonly name?: string;
  /** The one this process lives in. */
  readonly own: boolean;
}

export interface NetworkNamespaces {
  readonly namespaces: readonly NetworkNamespace[];
  /** Processes that do not say in which they live. */
  readonly hidden: number;
}

const NAMED = '/run/netns';

/** This process's own first. */
export function findNetworkNamespaces(proc: string, pids: readonly number[]): NetworkNamespaces {
  const own = namespaceOf(proc, 'self', 'net');
  const { members, hidden } = findNamespaces(proc, 'net', pids);
  const found = new Map<number, NetworkNamespace>();
  if (own !== undefined) found.set(own, { inode: own, path: `${proc}/self/ns/net`, own: true });
  for (const [inode, pid] of members) {
    if (!found.has(inode)) found.set(inode, { inode, path: `${proc}/${pid}/ns/net`, own: false });
  }
  for (const name of orAbsent(() => readdirSync(NAMED)) ?? []) {
    const path = `${NAMED}/${name}`;
    const stats = orAbsent(() => statSync(path));
    // A name whose namespace is gone is an empty file of another filesystem.
    if (stats === undefined || stats.dev !== namespaceDevice(proc)) continue;
    const known = found.get(stats.ino);
    found.set(stats.ino, known ? { ...known, name } : { inode: stats.ino, path, name, own: false });
  }
  return { namespaces: [...found.values()], hidden };
}

function namespaceDevice(proc: string): number | undefined {
  return orAbsent(() => statSync(`${proc}/self/ns/net`).dev);
}

/**
 * Runs `use` with this thread in another network namespace and returns to its own, all in one go: no other work of this
 * process comes to run there, and other threads stay where they are. Nothing is entered unless coming back is known to be
 * allowed. Returns what `use` gives, or why it did not run.
 */
export function inNetworkNamespace<T>(net: Net, proc: string, path: string, use: () => T): T | string {
  const home = tryOpen(`${proc}/self/ns/net`);
  if (typeof home === 'string') return home;
  try {
    const allowed = net.setns(home);
    if (allowed < 0) return errnoName(allowed);
    const away = tryOpen(path);
    if (typeof away === 'string') return away;
    try {
      const entered = net.setns(away);
      if (entered < 0) return errnoName(entered);
    } finally {
      closeSync(away);
    }
    try {
      return use();
    } finally {
      goHome(net, home);
    }
  } finally {
    closeSync(home);
  }
}

/** What was allowed a moment ago cannot fail; if it did, nothing that this process says of its network would be true. */
function goHome(net: Net, home: number): void {
  const result = net.setns(home);
  if (result < 0) throw new Error(`cannot return to the network namespace: ${errnoName(result)}`);
}

function tryOpen(path: string): number | string {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (!isErrno(error)) throw error;
    return error.code;
  }
}
