// Processes: which there are, which one a pid names, and hold on exactly that one while it is read.
// Attaches to none, stops none and changes nothing in them.
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoDiagnostic, isErrno } from './errno.ts';
import { type Mappings, parseMaps } from './maps.ts';
import { nameOf, simplify } from './path.ts';
import type { ProcessSource } from './source.ts';

/** Why a process cannot be examined, or not to its end. */
export interface Refusal {
  readonly reason: 'kernel-thread' | 'zombie' | 'thread' | 'gone' | 'exec' | 'denied' | 'failed';
  /** An errno name, or `reason`. */
  readonly code: string;
  readonly message: string;
}

interface Identity {
  readonly source: ProcessSource;
  /** Told apart by this: the process from a later one with its pid, and its program from the one before an exec. */
  readonly process: string;
  readonly program: string;
  readonly refusal?: Refusal;
}

/** All thread group leaders that /proc shows, ascending. */
export function listProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** A process that is held: its memory, and what it was when that was opened. */
export class OpenProcess {
  readonly source: ProcessSource;
  readonly mappings: Mappings['mappings'];
  /** Mappings that are never read, by the rule that says so. */
  readonly skipped: Mappings['skipped'];
  /** /proc/PID/mem and /proc/PID/pagemap. Both stay with this memory: after an exit or exec they read as empty. */
  readonly memory: number;
  readonly pagemap: number;
  /** Names this memory of this process: no other process has it, nor this one after an exec. */
  readonly identity: string;
  private readonly opened: Identity;

  constructor(opened: Identity, memory: number, pagemap: number, mappings: Mappings) {
    this.opened = opened;
    this.source = opened.source;
    this.identity = `${opened.process} ${opened.program}`;
    this.memory = memory;
    this.pagemap = pagemap;
    this.mappings = mappings.mappings;
    this.skipped = mappings.skipped;
  }

  /** What became of the process since it was opened; `undefined` when it still is what it was. */
  changed(): Refusal | undefined {
    const { pid } = this.source;
    try {
      const now = identify(pid);
      if (now.process !== this.opened.process)
        return gone(`ended while it was read, and pid ${pid} is another process`);
      if (now.refusal?.reason === 'zombie') return gone('ended while it was read');
      return now.program === this.opened.program ? undefined : executed('executed another program while it was read');
    } catch (error) {
      return refusalOf(error, 'ended while it was read');
    }
  }

  close(): void {
    closeSync(this.memory);
    closeSync(this.pagemap);
  }
}

/** Three starts suffice for any process that does not execute programs in a loop. */
const ATTEMPTS = 3;

/** Opens the memory of `pid`, all of one moment between two execs. */
export function openProcess(pid: number): OpenProcess | Refusal {
  for (let attempt = 1; ; attempt++) {
    const process = tryOpen(pid);
    if (process instanceof OpenProcess || process.reason !== 'exec' || attempt === ATTEMPTS) return process;
  }
}

function tryOpen(pid: number): OpenProcess | Refusal {
  const descriptors: number[] = [];
  let held = false;
  const open = (name: string) => {
    const descriptor = openSync(`/proc/${pid}/${name}`, 'r');
    descriptors.push(descriptor);
    return descriptor;
  };
  try {
    const before = identify(pid);
    if (before.refusal) return before.refusal;
    // Each of the three is bound to the memory that the process has at that moment: none may be of another program.
    const maps = open('maps');
    const memory = open('mem');
    const pagemap = open('pagemap');
    const mappings = parseMaps(readFileSync(maps));
    const after = identify(pid);
    if (after.process !== before.process) return gone(`ended, and pid ${pid} is another process`);
    if (after.program !== before.program) return executed('executed one program after another');
    if (mappings.mappings.length === 0) return gone('ended, or has no memory');
    held = true;
    return new OpenProcess(before, memory, pagemap, mappings);
  } catch (error) {
    return refusalOf(error, 'no such process, or it ended');
  } finally {
    for (const descriptor of held ? descriptors.slice(0, 1) : descriptors) closeSync(descriptor);
  }
}

/**
 * Reads who `pid` is.
 * @throws the system's error when there is no such process.
 */
function identify(pid: number): Identity {
  const stat = readFileSync(`/proc/${pid}/stat`).toString('latin1');
  const comm = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  // proc_pid_stat(5) numbers the fields from 1; the third is the first after the name.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => fields[number - 3] ?? '';
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const exe = readExe(pid);
  const executable = exe === undefined ? undefined : nameOf(exe);
  const refusal = refusalFor(pid, field(3), Number(field(9)), numbersOf(status, 'Tgid')[0]);
  return {
    source: {
      kind: 'process',
      pid,
      startTime: new Date(bootTime() * 1000 + Number(field(22)) * (1000 / USER_HZ)).toISOString(),
      comm: nameOf(simplify(Buffer.from(comm, 'latin1'))).path,
      ...(executable && { exe: executable.path }),
      ...(executable?.pathBase64 !== undefined && { exeBase64: executable.pathBase64 }),
      ...namespacePid(pid, status),
      ...cgroupOf(pid),
    },
    process: `${pid} ${field(22)}`,
    // An exec lays out new memory: where its code, stack, arguments and environment begin is random each time.
    program: [26, 28, 48, 50]
      .map(field)
      .concat(executable?.path ?? '')
      .join(' '),
    ...(refusal && { refusal }),
  };
}

const USER_HZ = 100;
/** <linux/sched.h> */
const PF_KTHREAD = 0x0020_0000;

function refusalFor(pid: number, state: string, flags: number, leader: number | undefined): Refusal | undefined {
  if (Math.floor(flags / PF_KTHREAD) % 2 === 1) {
    return refuse('kernel-thread', 'is a thread of the kernel, which has no memory of its own');
  }
  if (state === 'Z' || state === 'X') return refuse('zombie', 'has ended: a zombie has no memory');
  if (leader !== undefined && leader !== pid) {
    return refuse('thread', `is a thread of process ${leader}, whose memory it shares: name that`);
  }
  return undefined;
}

function readExe(pid: number): ReturnType<typeof simplify> | undefined {
  try {
    return simplify(readlinkSync(`/proc/${pid}/exe`, { encoding: 'buffer' }));
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}

/** `NSpid:` of proc_pid_status(5): the pid in this procfs's namespace, then in each one further in. */
function namespacePid(pid: number, status: string): { readonly namespacePid?: number } {
  const inner = numbersOf(status, 'NSpid').at(-1);
  return inner === undefined || inner === pid ? {} : { namespacePid: inner };
}

/** The name on the first line can hold no newline: the kernel escapes it. */
function numbersOf(status: string, key: string): number[] {
  const line = status.split('\n').find((text) => text.startsWith(`${key}:\t`));
  return line === undefined
    ? []
    : line
        .slice(key.length + 2)
        .split('\t')
        .map(Number);
}

/** docker, containerd, CRI-O and podman end a path component with the container's id. */
const CONTAINER_ID = /(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:\/|$)/;

/** cgroups(7): `hierarchy:controllers:path` a line; the unified hierarchy is number 0. */
function cgroupOf(pid: number): Pick<ProcessSource, 'cgroup' | 'container'> {
  const paths = readCgroups(pid).map((line) => line.split(':').slice(2).join(':'));
  const cgroup = paths.at(-1) === '/' ? paths.find((path) => path.length > 1) : paths.at(-1);
  const container = paths.map((path) => CONTAINER_ID.exec(path)?.[1]).find((id) => id !== undefined);
  return { ...(cgroup !== undefined && { cgroup }), ...(container !== undefined && { container }) };
}

function readCgroups(pid: number): string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n');
    return lines.filter((line) => line !== '').sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
  } catch (error) {
    if (!isErrno(error)) throw error;
    return [];
  }
}

let bootSeconds: number | undefined;

/** `btime` of proc_stat(5), seconds since the epoch. */
function bootTime(): number {
  bootSeconds ??= Number(
    readFileSync('/proc/stat', 'latin1')
      .split('\n')
      .find((line) => line.startsWith('btime '))
      ?.slice('btime '.length) ?? 0,
  );
  return bootSeconds;
}

function refusalOf(error: unknown, ended: string): Refusal {
  if (isErrno(error) && (error.code === 'ENOENT' || error.code === 'ESRCH')) return { ...gone(ended), code: 'ESRCH' };
  const { code, message } = errnoDiagnostic(error, '', 'cannot open its memory');
  return { reason: code === 'EACCES' || code === 'EPERM' ? 'denied' : 'failed', code, message };
}

function gone(message: string): Refusal {
  return refuse('gone', message);
}

function executed(message: string): Refusal {
  return refuse('exec', message);
}

function refuse(reason: Refusal['reason'], message: string): Refusal {
  return { reason, code: reason, message };
}
