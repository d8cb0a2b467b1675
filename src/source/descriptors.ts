// What kinds of things a process has open, as far as /proc names them.
import { readdirSync, readlinkSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** Descriptors that are looked at: who has BPF open rarely has it behind thousands of others. */
const MOST = 4096;

/** Whether process `pid` has a BPF program, map or link open; false where that is not to be seen. */
export function holdsBpf(pid: number): boolean {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory)
      .slice(0, MOST)
      .some((fd) => nameOf(`${directory}/${fd}`).startsWith('anon_inode:bpf'));
  } catch (error) {
    if (!isErrno(error)) throw error;
    return false;
  }
}

function nameOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (!isErrno(error)) throw error;
    return '';
  }
}
