// What a running kernel says of its BPF programs, maps and links: the records of the live document.
// 64-bit values in which every bit counts are `0x` strings; absent facts are absent keys.
import type { Diagnostic } from '../diagnostics.ts';

/** Where a fact was read. `capture`: a file that another tool wrote. */
export type Backend = 'bpf' | 'bpftool' | 'fdinfo' | 'kallsyms' | 'capture';

export type ViewName = 'bpf' | 'fdinfo' | 'kallsyms' | 'cgroup' | 'net' | 'bpffs';
export type ViewStatus = 'ok' | 'partial' | 'denied' | 'unsupported';

/** How far one way of looking at the kernel got. Every status but `ok` has a reason. */
export interface View {
  readonly status: ViewStatus;
  readonly reason?: string;
}
export type Views = Readonly<Record<ViewName, View>>;

/** A process that keeps a program, map or link alive. */
export interface Holder {
  readonly pid: number;
  /** Where only a thread with a descriptor table of its own holds it: that thread, and /proc/PID/fd does not show it. */
  readonly tid?: number;
  readonly comm: string;
  /** Absent for kernel threads and where the reader may not know. */
  readonly exe?: string;
  /** Clock ticks after boot, which together with `pid` names a process for good. */
  readonly startTime?: string;
  /** Through which kinds of descriptors. */
  readonly via: readonly HolderVia[];
}
export type HolderVia = 'prog-fd' | 'link-fd' | 'map-fd' | 'perf-fd';

/** One place where a program runs. */
export interface Attachment {
  readonly kind: AttachmentKind;
  /** Cgroup path, interface, function, `file:offset`, tracepoint: what the kind calls for. */
  readonly target: string;
  readonly attachType?: string | number;
  /** Absent where the program is attached without a link. */
  readonly linkId?: number;
  /** Cgroups: how it shares the place with others. */
  readonly sharing?: 'exclusive' | 'override' | 'multi';
  /** The inode number of the cgroup's directory. */
  readonly cgroupId?: number;
  /** Inode number of the network namespace, as /proc/PID/ns/net names it. */
  readonly netns?: number;
  readonly ifindex?: number;
  /** XDP: where in the driver or stack. */
  readonly mode?: 'native' | 'generic' | 'offload';
  readonly cookie?: string;
  /** The map that holds the program, and its key there. */
  readonly mapId?: number;
  readonly key?: number;
  /** The process whose perf event runs it. */
  readonly pid?: number;
}
export const ATTACHMENT_KINDS = [
  'tracepoint',
  'raw_tracepoint',
  'kprobe',
  'kretprobe',
  'uprobe',
  'uretprobe',
  'kprobe_multi',
  'uprobe_multi',
  'perf_event',
  'fentry',
  'fexit',
  'fmod_ret',
  'lsm',
  'tracing',
  'ext',
  'iter',
  'cgroup',
  'netns',
  'xdp',
  'tc',
  'tcx',
  'netkit',
  'netfilter',
  'struct_ops',
  'sockmap',
  'prog_array',
  'devmap',
  'cpumap',
] as const;
export type AttachmentKind = (typeof ATTACHMENT_KINDS)[number];

/** One function of a program that has several. */
export interface LiveFunction {
  readonly name?: string;
  /** Absent before Linux 5.1. */
  readonly tag?: string;
  /** Instruction slots from the start of the program. */
  readonly offset?: number;
  /** Of the JITed code, where the reader may know. */
  readonly address?: string;
}

export interface LiveProgram {
  /** Absent where only kallsyms knows the program. */
  readonly id?: number;
  readonly type?: string | number;
  /** In full where BTF or kallsyms has it, else the 15 bytes that the kernel keeps; absent for a program without a name. */
  readonly name?: string;
  readonly tag: string;
  /** The tags of the functions after the first. */
  readonly subprogramTags: readonly string[];
  /** Every function, of programs that have more than one. */
  readonly functions?: readonly LiveFunction[];
  readonly loadedAt?: string;
  /** Of the process that loaded it, in the initial user namespace. */
  readonly uid?: number;
  readonly gplCompatible?: boolean;
  /** Bytes. */
  readonly xlatedLength?: number;
  /** Bytes; 0 for an interpreted program. */
  readonly jitedLength?: number;
  /** Where the JITed code of the first function lies. */
  readonly address?: string;
  /** Bytes charged to the loader. */
  readonly memlock?: number;
  readonly verifiedInstructions?: number;
  /** Nanoseconds and calls since bpf statistics were switched on. */
  readonly runTimeNs?: number;
  readonly runCount?: number;
  /** In the order in which the program refers to them. */
  readonly mapIds: readonly number[];
  readonly btfId?: number;
  /** The path and line that line information gives for the first instruction. */
  readonly sourceFile?: string;
  readonly sourceLine?: number;
  /** The type of kernel or program BTF that a tracing, LSM, struct_ops or extension program was loaded for. */
  readonly attachTo?: { readonly btfObject: number; readonly btfType: number; readonly name?: string };
  /** The device the program is offloaded to. */
  readonly ifindex?: number;
  readonly holders: readonly Holder[];
  readonly attachments: readonly Attachment[];
  readonly pins: readonly string[];
  readonly knownFrom: Backend;
  /** The kernel opens it by id but does not list it: see `inconsistencies`. */
  readonly unlisted?: true;
}

export interface LiveMap {
  readonly id: number;
  readonly type: string | number;
  readonly name?: string;
  readonly keySize?: number;
  readonly valueSize?: number;
  readonly maxEntries?: number;
  readonly flags?: number;
  readonly memlock?: number;
  /** No process may write it any more. */
  readonly frozen?: boolean;
  readonly btfId?: number;
  readonly ifindex?: number;
  /** What may be put into a prog_array. */
  readonly ownerProgramType?: string | number;
  readonly ownerJited?: boolean;
  /** Maps of maps: what they hold. */
  readonly innerMapIds?: readonly number[];
  readonly holders: readonly Holder[];
  readonly pins: readonly string[];
  readonly knownFrom: Backend;
}

export interface LiveLink {
  readonly id: number;
  readonly type: string | number;
  readonly programId?: number;
  /** Of struct_ops, sockmap and iterators. */
  readonly mapId?: number;
  /** Where the program runs; absent where the link is detached or does not say. */
  readonly attachment?: Attachment;
  /** The type's own part of `bpf_link_info`, in hexadecimal, for types that are not known here. */
  readonly raw?: string;
  readonly holders: readonly Holder[];
  readonly pins: readonly string[];
  readonly knownFrom: Backend;
}

/** One file in a bpffs. */
export interface Pin {
  /** As this process reaches it: below /proc/PID/root for a mount namespace that is not its own. */
  readonly path: string;
  readonly kind?: 'program' | 'map' | 'link';
  readonly id?: number;
  readonly mode: number;
  readonly uid: number;
  readonly pinnedAt: string;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** A function of a BPF program, as /proc/kallsyms lists it. */
export interface KernelSymbol {
  readonly tag: string;
  readonly name: string;
  /** Absent where the reader sees only zeros. */
  readonly address?: string;
}

/** Programs that are copies of one another. */
export interface ProgramGroup {
  readonly tag: string;
  readonly type?: string | number;
  readonly name?: string;
  readonly count: number;
  /** Ascending. */
  readonly ids: readonly number[];
  readonly attachments: number;
}

/** The letters of the cross-view checks; what each compares is in `checks.ts`. */
export type Check = 'A' | 'B' | 'C' | 'D' | 'E' | 'F';

/** Something that one view shows and another denies, twice. */
export interface Inconsistency {
  readonly object: 'program' | 'map' | 'link';
  readonly id?: number;
  readonly tag?: string;
  readonly checks: readonly Check[];
  readonly evidence: readonly string[];
}

/** Inode numbers of the namespaces the reader sees the system from. */
export type Scope = Readonly<Partial<Record<'pid' | 'net' | 'cgroup' | 'user' | 'mnt', number>>>;

export interface HostSnapshot {
  readonly views: Views;
  readonly scope: Scope;
  /** By id; those without one last. */
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  readonly pins: readonly Pin[];
  readonly symbols: readonly KernelSymbol[];
  readonly groups: readonly ProgramGroup[];
  readonly inconsistencies: readonly Inconsistency[];
  readonly diagnostics: readonly Diagnostic[];
}
