// What a path leads to, told apart by what the file system calls it.
import { type BigIntStats, statSync } from 'node:fs';
import type { FilePath } from '../index.ts';

/** Of what is there; what cannot be looked at is for those to report who need it. */
export function statusOf(path: FilePath): BigIntStats | undefined {
  try {
    return statSync(typeof path === 'string' ? path : Buffer.from(path), { bigint: true });
  } catch (error) {
    if (!(error instanceof Error && 'errno' in error)) throw error;
    return undefined;
  }
}

export function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one?.dev === other?.dev && one?.ino === other?.ino;
}
