// Who holds programs, maps and links: the descriptors of every process, and the programs behind their perf events.
// A program without a holder here may still have one: a descriptor in flight between processes, a socket, another pid namespace.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isErrno } from '../source/errno.ts';
import type { Bpf, PerfAnswer } from './bpf.ts';
import { descriptorKind, type Fdinfo, numberOf, parseFdinfo } from './fdinfo.ts';
import { kernelPlace } from './links.ts';
import { describeProcess, namespaceOf, orAbsent, type Process, processIds, readStartTime } from './processes.ts';
import type { Attachment, HolderVia, View } from './records.ts';
import { ERRNO } from './syscall.ts';

/** One descriptor of a BPF object. */
export interface Held {
  readonly process: Process;
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

export async function readHolders(options: HolderOptions): Promise<HoldersView> {
  const { proc, budget } = options;
  const pids = orAbsent(() => processIds(proc));
  if (pids === undefined) return { view: { status: 'unsupported', reason: `${proc} cannot be listed` }, held: [] };
  const walk: Walk = { ...options, held: [], denied: 0, perfDenied: 0 };
  const end = performance.now() + budget;
  let turn = performance.now() + SLICE;
  let visited = 0;
  for (const pid of pids) {
    if (performance.now() > end) break;
    if (performance.now() > turn) {
      await nextTurn();
      turn = performance.now() + SLICE;
    }
    visitProcess(walk, pid);
    visited++;
  }
  const reasons = [
    visited < pids.length && `stopped after ${budget} ms with ${visited} of ${pids.length} processes seen`,
    walk.denied > 0 && `the descriptors of ${walk.denied} of ${pids.length} processes could not be read`,
    walk.perfDenied > 0 && `${walk.perfDenied} perf events may not be asked for their programs`,
    (namespaceOf(proc, 'self', 'pid') ?? INITIAL_PID_NAMESPACE) !== INITIAL_PID_NAMESPACE &&
      'this is not the initial pid namespace: processes outside are not seen',
  ].filter((reason) => reason !== false);
  if (reasons.length === 0) return { view: { status: 'ok' }, held: walk.held };
  return { view: { status: 'partial', reason: reasons.join('; ') }, held: walk.held };
}

interface Walk extends HolderOptions {
  readonly held: Held[];
  denied: number;
  perfDenied: number;
}

function visitProcess(walk: Walk, pid: number): void {
  const directory = `${walk.proc}/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (!isErrno(error)) throw error;
    // A process that ended meanwhile answers ENOENT or ESRCH.
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') walk.denied++;
    return;
  }
  let process: Process | undefined;
  const found: Held[] = [];
  let denied = false;
  for (const name of names) {
    let target: string;
    try {
      target = readlinkSync(`${directory}/${name}`);
    } catch (error) {
      if (!isErrno(error)) throw error;
      denied ||= error.code === 'EACCES' || error.code === 'EPERM';
      continue;
    }
    // Nearly every descriptor is something else.
    if (!target.startsWith('anon_inode:')) continue;
    const kind = descriptorKind(target);
    if (kind === undefined) continue;
    process ??= describeProcess(walk.proc, pid);
    const held =
      kind === 'perf' ? perfEvent(walk, process, Number(name)) : bpfObject(walk.proc, process, Number(name), kind);
    if (held) found.push(held);
  }
  if (denied) walk.denied++;
  // The number may have passed to another process in the meantime.
  if (process && readStartTime(walk.proc, pid) === process.startTime) walk.held.push(...found);
}

function bpfObject(
  proc: string,
  process: Process,
  descriptor: number,
  kind: 'program' | 'map' | 'link',
): Held | undefined {
  const text = orAbsent(() => readFileSync(`${proc}/${process.pid}/fdinfo/${descriptor}`, 'utf8'));
  if (text === undefined) return undefined;
  const fdinfo = parseFdinfo(text);
  return { process, descriptor, via: VIA[kind], fdinfo, ...heldIds(fdinfo, kind) };
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
function perfEvent(walk: Walk, process: Process, descriptor: number): Held | undefined {
  const answer = walk.bpf?.perfEvent(process.pid, descriptor) ?? -ERRNO.EPERM;
  if (typeof answer === 'number') {
    if (answer === -ERRNO.EPERM || answer === -ERRNO.EACCES) walk.perfDenied++;
    return undefined;
  }
  return {
    process,
    descriptor,
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
