// What the kernel says of programs, asked past the program under test.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../src/source/errno.ts';

/** Ids of the programs that the process holds, ascending. */
export function heldPrograms(pid: number): number[] {
  const directory = `/proc/${pid}/fdinfo`;
  const ids = readdirSync(directory).flatMap((fd) => {
    const id = /^prog_id:\t(\d+)$/m.exec(readOr('', join(directory, fd)))?.[1];
    return id === undefined ? [] : [Number(id)];
  });
  return ascending(ids);
}

/** Ids of the programs that are attached in this control group and those below it, ascending. */
export function attachedBelow(cgroup: string): number[] {
  const groups: readonly { readonly programs: readonly { readonly id: number }[] }[] = bpftool(
    'cgroup',
    'tree',
    cgroup,
  );
  return ascending(groups.flatMap(({ programs }) => programs.map(({ id }) => id)));
}

export function loadedPrograms(): number[] {
  const programs: readonly { readonly id: number }[] = bpftool('prog', 'show');
  return programs.map(({ id }) => id);
}

/** The file's text, or `otherwise` when what it tells of has ended. */
export function readOr(otherwise: string, path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isErrno(error)) return otherwise;
    throw error;
  }
}

function bpftool(...args: readonly string[]) {
  return JSON.parse(execFileSync('bpftool', ['-j', ...args], { encoding: 'utf8' }) || '[]');
}

function ascending(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}
