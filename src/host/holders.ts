// Who holds programs, maps and links: the descriptors of every process and thread, and the programs behind their perf events.
// A program without a holder here may still have one: a descriptor in flight between processes, a socket, another pid namespace.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isErrno } from '../source/errno.ts';
import type { Bpf, PerfAnswer } from './bpf.ts';
import { counted } from './count.ts';
import { descriptorKind, type Fdinfo, numberOf, parseFdinfo } from './fdinfo.ts';
import { kernelPlace } from './links.ts';
import { describeProcess, namespaceOf, orAbsent, type Process, processIds, readStartTime } from './processes.ts';
import type { Attachment, HolderVia, View } from './records.ts';
import { ERRNO } from './syscall.ts';
import { threadsWithOwnTable } from './threads.ts';

/** One descriptor of a BPF object. */
export interface Held {
  readonly process: Process;
  /** Of a thread whose descriptors are not the process's. */
  readonly tid?: number;
  readonly descriptor: number;
  readonly via: HolderVia;
  /** What is held: one of the three, and of a link the program as well. */
  readonly programId?: number;
  readonly mapId?: number;
  readonly linkId?: number;
  /** Empty for perf events. */
  readonly fdinfo: Fdinfo;
  /** Of a perf event: where its program runs. */
  readonly attachment?: Attachment;
}

export interface HoldersView {
  readonly view: View;
  readonly held: readonly Held[];
}

export interface HolderOptions {
  readonly proc: string;
  /** Absent where perf events cannot be asked for their programs. */
  readonly bpf?: Bpf;
  /** Milliseconds after which the walk ends early. */
  readonly budget: number;
}

/** PROC_PID_INIT_INO: the pid namespace that sees every process. */
const INITIAL_PID_NAMESPACE = 0xefff_fffc;
/** Milliseconds in a row before others get their turn. */
const SLICE = 20;

export async function readHolders({ proc, bpf, budget }: HolderOptions): Promise<HoldersView> {
  const pids = orAbsent(() => processIds(proc));
  if (pids === undefined) return { view: { status: 'unsupported', reason: `${proc} cannot be listed` }, held: [] };
  // Another pid namespace's /proc has numbers that the system calls would take for other processes.
  const asked = orAbsent(() => readlinkSync(`${proc}/self`)) === String(process.pid) ? bpf : undefined;
  const walk: Walk = {
    proc,
    ...(asked && { bpf: asked }),
    held: [],
    visited: 0,
    denied: new Set(),
    guessed: 0,
    perfDenied: 0,
  };
  const end = performance.now() + budget;
  let turn = performance.now() + SLICE;
  for (const table of tablesOf(walk, pids)) {
    if (performance.now() > end) break;
    if (performance.now() > turn) {
      await nextTurn();
      turn = performance.now() + SLICE;
    }
    visitTable(walk, table);
  }
  const reasons = missing(walk, pids.length, budget);
  if (reasons.length === 0) return { view: { status: 'ok' }, held: walk.held };
  return { view: { status: 'partial', reason: reasons.join('; ') }, held: walk.held };
}

interface Walk extends Pick<HolderOptions, 'proc' | 'bpf'> {
  readonly held: Held[];
  /** Processes of which every table was seen. */
  visited: number;
  readonly denied: Set<number>;
  guessed: number;
  perfDenied: number;
}

/** What was not seen, in words. */
function missing({ proc, visited, denied, guessed, perfDenied }: Walk, all: number, budget: number): string[] {
  const processes = counted(all, 'process', 'processes');
  return [
    visited < all && `stopped after ${budget} ms with ${visited} of ${processes} seen`,
    denied.size > 0 && `the descriptors of ${denied.size} of ${processes} could not be read`,
    guessed > 0 &&
      `kcmp(2) is not to be had: threads of ${counted(guessed, 'process', 'processes')} are taken to share their descriptors where the numbers are the same`,
    perfDenied > 0 &&
      `${counted(perfDenied, 'perf event')} may not be asked for ${perfDenied === 1 ? 'its program' : 'their programs'}`,
    (namespaceOf(proc, 'self', 'pid') ?? INITIAL_PID_NAMESPACE) !== INITIAL_PID_NAMESPACE &&
      'this is not the initial pid namespace: processes outside are not seen',
  ].filter((reason) => reason !== false);
}

/** The descriptors of a process, or those of one of its threads. */
interface Table {
  readonly directory: string;
  readonly pid: number;
  readonly tid?: number;
}

function* tablesOf(walk: Walk, pids: readonly number[]): Generator<Table> {
  const { proc, bpf, denied } = walk;
  for (const pid of pids) {
    const directory = `${proc}/${pid}`;
    yield { directory, pid };
    if (!denied.has(pid)) {
      const { tids, guessed } = threadsWithOwnTable(proc, pid, bpf?.sys);
      if (guessed) walk.guessed++;
      for (const tid of tids) yield { directory: `${directory}/task/${tid}`, pid, tid };
    }
    walk.visited++;
  }
}

function visitTable(walk: Walk, table: Table): void {
  const { directory, pid } = table;
  let names: string[];
  try {
    names = readdirSync(`${directory}/fd`);
  } catch (error) {
    if (!isErrno(error)) throw error;
    // What ended meanwhile answers ENOENT or ESRCH.
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') walk.denied.add(pid);
    return;
  }
  let process: Process | undefined;
  const found: Held[] = [];
  for (const name of names) {
    let target: string;
    try {
      target = readlinkSync(`${directory}/fd/${name}`);
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code === 'EACCES' || error.code === 'EPERM') walk.denied.add(pid);
      continue;
    }
    // Nearly every descriptor is something else.
    if (!target.startsWith('anon_inode:')) continue;
    const kind = descriptorKind(target);
    if (kind === undefined) continue;
    process ??= describeProcess(walk.proc, pid, directory);
    const place = { process, ...(table.tid !== undefined && { tid: table.tid }), descriptor: Number(name) };
    const held = kind === 'perf' ? perfEvent(walk, place) : bpfObject(directory, place, kind);
    if (held) found.push(held);
  }
  // The number may have passed to another process in the meantime.
  if (process && readStartTime(walk.proc, pid) === process.startTime) walk.held.push(...found);
}

type Place = Pick<Held, 'process' | 'tid' | 'descriptor'>;

function bpfObject(directory: string, place: Place, kind: 'program' | 'map' | 'link'): Held | undefined {
  const text = orAbsent(() => readFileSync(`${directory}/fdinfo/${place.descriptor}`, 'utf8'));
  if (text === undefined) return undefined;
  const fdinfo = parseFdinfo(text);
  return { ...place, via: VIA[kind], fdinfo, ...heldIds(fdinfo, kind) };
}

const VIA = { program: 'prog-fd', map: 'map-fd', link: 'link-fd' } as const;

export function heldIds(
  fdinfo: Fdinfo,
  kind: 'program' | 'map' | 'link',
): Pick<Held, 'programId' | 'mapId' | 'linkId'> {
  const programId = numberOf(fdinfo, 'prog_id');
  const mapId = numberOf(fdinfo, 'map_id');
  const linkId = numberOf(fdinfo, 'link_id');
  return {
    ...(kind !== 'map' && programId !== undefined && programId > 0 && { programId }),
    ...(kind === 'map' && mapId !== undefined && { mapId }),
    ...(kind === 'link' && linkId !== undefined && { linkId }),
  };
}

/** ENOENT: the event runs no program. EOPNOTSUPP: it does, but the kernel does not tell which (sampling events). */
function perfEvent(walk: Walk, place: Place): Held | undefined {
  const { process, tid, descriptor } = place;
  const answer = walk.bpf?.perfEvent(tid ?? process.pid, descriptor) ?? -ERRNO.EPERM;
  if (typeof answer === 'number') {
    if (answer === -ERRNO.EPERM || answer === -ERRNO.EACCES) walk.perfDenied++;
    return undefined;
  }
  return {
    ...place,
    via: 'perf-fd',
    programId: answer.programId,
    fdinfo: new Map(),
    attachment: perfAttachment(process.pid, answer),
  };
}

/** enum bpf_task_fd_type */
const PERF_KINDS = ['raw_tracepoint', 'tracepoint', 'kprobe', 'kretprobe', 'uprobe', 'uretprobe'] as const;

function perfAttachment(pid: number, { type, name, offset, address }: PerfAnswer): Attachment {
  const kind = PERF_KINDS[type] ?? 'perf_event';
  switch (kind) {
    case 'uprobe':
    case 'uretprobe':
      return { kind, target: `${name}:0x${offset.toString(16)}`, pid };
    case 'kprobe':
    case 'kretprobe':
      return { kind, target: kernelPlace(name, offset, address), pid };
    default:
      return { kind, target: name, pid };
  }
}
