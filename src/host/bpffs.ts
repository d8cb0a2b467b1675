// Pins: the files of every bpffs, in every mount namespace. A file is looked at and asked for its object by path; it is never
// opened, for opening an iterator's pin runs its program.
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import type { Bpf } from './bpf.ts';
import { counted } from './count.ts';
import { descriptorKind, parseFdinfo } from './fdinfo.ts';
import { heldIds } from './holders.ts';
import { findMounts } from './mounts.ts';
import { isoTime } from './programs.ts';
import type { Pin, View } from './records.ts';
import { ERRNO, errnoName } from './syscall.ts';

export interface PinsView {
  readonly view: View;
  readonly pins: readonly Pin[];
}

/** Without `bpf` the files are listed, and what they stand for is not known. */
export function readPins(bpf: Bpf | undefined, proc: string, pids: readonly number[]): PinsView {
  const { points, unknown, hidden } = findMounts(proc, 'bpf', pids);
  const walk: Walk = { bpf, pins: [], failures: new Map() };
  for (const { path } of points) visit(walk, path, 0);
  const reasons = [...walk.failures].map(([reason, count]) => `${reason} on ${counted(count, 'file')}`);
  if (unknown) return { view: { status: 'unsupported', reason: `${proc}/self/mountinfo cannot be read` }, pins: [] };
  if (hidden > 0) reasons.push(`the mounts of ${counted(hidden, 'process', 'processes')} may not be read`);
  return {
    view: reasons.length === 0 ? { status: 'ok' } : { status: 'partial', reason: reasons.join('; ') },
    pins: walk.pins,
  };
}

interface Walk {
  readonly bpf: Bpf | undefined;
  readonly pins: Pin[];
  readonly failures: Map<string, number>;
}

const MAX_DEPTH = 64;

function visit(walk: Walk, directory: string, depth: number): void {
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch (error) {
    fail(walk, error);
    return;
  }
  for (const name of names) {
    const path = `${directory}/${name}`;
    try {
      const stats = lstatSync(path);
      if (stats.isDirectory()) {
        if (depth < MAX_DEPTH) visit(walk, path, depth + 1);
      } else {
        walk.pins.push(describe(walk, path, stats));
      }
    } catch (error) {
      fail(walk, error);
    }
  }
}

function describe(walk: Walk, path: string, stats: Stats): Pin {
  const pin = {
    path,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    pinnedAt: isoTime(stats.mtimeMs) ?? '',
  };
  if (stats.isSymbolicLink()) return { ...pin, target: readlinkSync(path) };
  if (!stats.isFile()) return pin;
  return { ...pin, ...identify(walk, path) };
}

/** ENOENT is what the kernel's own iterators, progs.debug and maps.debug, answer. */
function identify({ bpf, failures }: Walk, path: string): Pick<Pin, 'kind' | 'id'> {
  if (bpf === undefined) return {};
  const descriptor = bpf.openPin(Buffer.from(path));
  if (descriptor < 0) {
    if (descriptor !== -ERRNO.ENOENT) count(failures, errnoName(descriptor));
    return {};
  }
  try {
    const kind = descriptorKind(bpf.sys.link(descriptor));
    if (kind === undefined || kind === 'perf') return {};
    const { linkId, mapId, programId } = heldIds(parseFdinfo(bpf.sys.fdinfo(descriptor)), kind);
    const id = { link: linkId, map: mapId, program: programId }[kind];
    return { kind, ...(id !== undefined && { id }) };
  } finally {
    bpf.sys.close(descriptor);
  }
}

function fail(walk: Walk, error: unknown): void {
  if (!isErrno(error)) throw error;
  if (error.code !== 'ENOENT') count(walk.failures, error.code);
}

function count(failures: Map<string, number>, reason: string): void {
  failures.set(reason, (failures.get(reason) ?? 0) + 1);
}
