// The running kernel: its BPF programs, maps and links, who holds them and where they run, out of views that fail one by one.
// Only reads: nothing is loaded, attached, pinned or changed. Knows nothing of where the programs' code came from.
import { readFileSync } from 'node:fs';
import type { Diagnostic } from '../diagnostics.ts';
import { Bpf } from './bpf.ts';
import { BtfObjects } from './btf-objects.ts';
import { crossCheck } from './checks.ts';
import { counted } from './count.ts';
import { groupPrograms } from './groups.ts';
import { readKallsyms } from './kallsyms.ts';
import { type Look, look, lookFromOutside } from './look.ts';
import { type Merged, merge } from './merge.ts';
import { namespaceOf, orAbsent } from './processes.ts';
import { ProgramArrays } from './program-arrays.ts';
import { type ProgramReader, readProgram, readTag, readXlated } from './programs.ts';
import type { HostSnapshot, Inconsistency, LiveProgram, Scope } from './records.ts';
import { ERRNO, errnoName, type Native, nativeSys, type Sys } from './syscall.ts';

export interface HostOptions {
  /** The calls to use; this machine's own by default. */
  readonly native?: Native;
  /** Default `/proc`. */
  readonly proc?: string;
  /** Bytes of the kernel's BTF; by default those of /sys/kernel/btf/vmlinux. */
  readonly kernelBtf?: () => Uint8Array | undefined;
  /** Milliseconds that looking for holders may take; default 10 000. */
  readonly holderBudget?: number;
  /** Milliseconds between the looks of a cross-view check that needs a second one; default 1000. */
  readonly recheckDelay?: number;
}

/** Everything that this machine says, as far as this user may know. Never rejects for what a view cannot do. */
export async function readHost(options: HostOptions = {}): Promise<HostSnapshot> {
  const { native = nativeSys(), proc = '/proc', holderBudget = 10_000, recheckDelay = 1000 } = options;
  const surroundings = { proc, holderBudget };
  if ('missing' in native) {
    return snapshot(await lookFromOutside(native.missing, surroundings), [], proc);
  }
  const reader = newReader(native.sys, proc, options.kernelBtf);
  const lookNow = () => look(reader, native.net, surroundings);
  const first = await lookNow();
  const inconsistencies = await crossCheck({
    reader,
    first,
    lookAgain: lookNow,
    readSymbols: () => readKallsyms(proc).symbols,
    delay: recheckDelay,
  });
  return snapshot(withUnlisted(first, reader, inconsistencies), inconsistencies, proc);
}

export interface LiveTags {
  /** Ids of live programs by tag. */
  readonly tags: ReadonlyMap<string, readonly number[]>;
  /** Why there are none, or not all. */
  readonly diagnostics: readonly Diagnostic[];
}

/** What of carved code is loaded now: programs by tag, and nothing else about them. */
export function liveTags(options: Pick<HostOptions, 'native'> = {}): LiveTags {
  const { native = nativeSys() } = options;
  const refused = (code: string, message: string): LiveTags => ({
    tags: new Map(),
    diagnostics: [{ severity: 'warning', code, where: 'kernel', message }],
  });
  if ('missing' in native) return refused('unsupported', `live programs are not known: ${native.missing}`);
  const bpf = new Bpf(native.sys);
  const { ids, errno } = bpf.ids('program');
  if (errno > 0) {
    const name = errnoName(errno);
    return refused(
      name,
      `live programs are not known: ${name}; listing them takes CAP_SYS_ADMIN in the initial user namespace`,
    );
  }
  const tags = new Map<string, number[]>();
  const failures: string[] = [];
  for (const id of ids) {
    const tag = readTag(bpf, id);
    if (typeof tag === 'number') {
      if (tag !== -ERRNO.ENOENT) failures.push(`program ${id}: ${errnoName(tag)}`);
      continue;
    }
    const same = tags.get(tag);
    if (same) same.push(id);
    else tags.set(tag, [id]);
  }
  const [failure] = failures;
  if (failure === undefined) return { tags, diagnostics: [] };
  const message = `${failures.length} of ${counted(ids.length, 'live program')} could not be read, the first: ${failure}`;
  return { tags, diagnostics: [{ severity: 'warning', code: 'live-unread', where: 'kernel', message }] };
}

/** The instructions of a live program as the kernel rewrote them, or why they are not to be had. */
export function readInstructions(id: number, native: Native = nativeSys()): Uint8Array | string {
  if ('missing' in native) return native.missing;
  const code = readXlated(new Bpf(native.sys), id);
  return typeof code === 'number' ? errnoName(code) : code;
}

function newReader(sys: Sys, proc: string, kernelBtf: HostOptions['kernelBtf'] = readKernelBtf): ProgramReader {
  const bpf = new Bpf(sys);
  const uptime = orAbsent(() => readFileSync(`${proc}/uptime`, 'latin1'));
  const seconds = uptime === undefined ? Number.NaN : Number.parseFloat(uptime);
  const bootTime = Date.now() - seconds * 1000;
  const btfs = new BtfObjects(bpf, kernelBtf);
  return { bpf, btfs, arrays: new ProgramArrays(bpf), ...(Number.isFinite(bootTime) && { bootTime }) };
}

function readKernelBtf(): Uint8Array | undefined {
  return orAbsent(() => readFileSync('/sys/kernel/btf/vmlinux'));
}

/** Programs that other views gave away, if the kernel opens them. */
function withUnlisted(look: Look, reader: ProgramReader, inconsistencies: readonly Inconsistency[]): Look {
  const known = new Set(look.seen.programs.map(({ id }) => id));
  const programs = inconsistencies.flatMap(({ object, id }): LiveProgram[] => {
    if (object !== 'program' || id === undefined || known.has(id)) return [];
    const program = readProgram(reader, id);
    return typeof program === 'number' ? [] : [{ ...program, unlisted: true }];
  });
  return { ...look, seen: { ...look.seen, programs: [...look.seen.programs, ...programs] } };
}

function snapshot(look: Look, inconsistencies: readonly Inconsistency[], proc: string): HostSnapshot {
  const merged: Merged = merge(look.seen);
  return {
    views: look.views,
    scope: readScope(proc),
    programs: merged.programs.toSorted(byId),
    maps: merged.maps,
    links: merged.links,
    pins: look.seen.pins,
    symbols: look.symbols,
    groups: groupPrograms(merged.programs, merged.maps),
    inconsistencies,
    diagnostics: [
      ...look.diagnostics,
      ...viewDiagnostics(look),
      ...preloadDiagnostics(),
      ...inconsistencies.map(describe),
    ],
  };
}

function byId(a: LiveProgram, b: LiveProgram): number {
  return (a.id ?? Number.MAX_SAFE_INTEGER) - (b.id ?? Number.MAX_SAFE_INTEGER);
}

function readScope(proc: string): Scope {
  const kinds = ['pid', 'net', 'cgroup', 'user', 'mnt'] as const;
  return Object.fromEntries(
    kinds.flatMap((kind) => {
      const inode = namespaceOf(proc, 'self', kind);
      return inode === undefined ? [] : [[kind, inode]];
    }),
  );
}

function viewDiagnostics({ views }: Look): Diagnostic[] {
  return Object.entries(views).flatMap(([name, { status, reason }]) =>
    status === 'ok'
      ? []
      : [{ severity: 'warning', code: `view-${status}`, where: `view ${name}`, message: reason ?? status }],
  );
}

/** libc is loaded by its own name, past a preloaded library; other tools on this machine may not be so careful. */
function preloadDiagnostics(): Diagnostic[] {
  const file = orAbsent(() => readFileSync('/etc/ld.so.preload', 'utf8'))?.trim();
  const found = [
    process.env.LD_PRELOAD && `LD_PRELOAD is ${process.env.LD_PRELOAD}`,
    file && `/etc/ld.so.preload names ${file}`,
  ].filter((message) => typeof message === 'string' && message !== '');
  return found.map((message) => ({
    severity: 'info',
    code: 'preload',
    where: 'host',
    message: `${message}: a preloaded library can change what other tools see of BPF`,
  }));
}

function describe({ object, id, tag, checks, evidence }: Inconsistency): Diagnostic {
  return {
    severity: 'warning',
    code: 'inconsistent-views',
    where: id === undefined ? `${object} with tag ${tag}` : `${object} ${id}`,
    message: `inconsistent views (${checks.length === 1 ? 'check' : 'checks'} ${checks.join(', ')}): ${
      checks.every((check) => check === 'F') ? 'two tags' : 'the kernel does not list it'
    }, but ${evidence.join('; ')}`,
  };
}
