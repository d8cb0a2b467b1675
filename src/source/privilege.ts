// Which privilege would open the memory of processes that are out of reach.
import { readFileSync, statSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** What to do about processes whose memory could not be opened, in words. ptrace(2), "Ptrace access mode checking". */
export function adviceFor(pids: readonly number[]): string {
  if (process.geteuid?.() === 0) {
    return 'CAP_SYS_PTRACE is missing here, or a security module or user namespace forbids it';
  }
  const own = pids.filter((pid) => ownerOf(pid) === process.geteuid?.()).length;
  const others = pids.length - own;
  const scope = yamaScope();
  const advice: string[] = [];
  if (others > 0)
    advice.push(`${others} of other users or protected by the kernel (run as root, or with CAP_SYS_PTRACE)`);
  if (own > 0 && scope > 0) {
    advice.push(`${own} of this user (kernel.yama.ptrace_scope is ${scope}: CAP_SYS_PTRACE is exempt from it)`);
  } else if (own > 0) {
    advice.push(`${own} of this user, with more privileges or in another user namespace (CAP_SYS_PTRACE reaches them)`);
  }
  return advice.join(', ');
}

/** The effective user, or root for a process that forbids to be dumped; proc(5). */
function ownerOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}`).uid;
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}

/** 0 where there is no Yama. */
function yamaScope(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'latin1'), 10);
  } catch (error) {
    if (!isErrno(error)) throw error;
    return 0;
  }
}
