// The records a scan yields: objects as they are found, diagnostics, and a summary at the end.
// Plain data: it crosses threads by structured clone and becomes JSON as it is.
import type { Trust } from '../carve/instructions.ts';
import type { Completeness, ElfIdentity } from '../carve/size.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { TagPrediction, TagState } from '../link/predict.ts';
import type { KnownProgram } from '../object/describe.ts';
import type { ObjectSummary } from '../object/summarize.ts';
import type { Region, Source } from '../source/source.ts';

/** Where in a host ELF file an object lies. */
export interface Within {
  /** Name of the host's section that holds the object's first byte. */
  readonly section?: string;
  /** The host's GNU build id, hexadecimal. */
  readonly buildId?: string;
}

/** A tag of carved code. Instructions outside any object were handed over as they are, whatever the loader: then none is named. */
export type CarvedTag = Omit<TagPrediction, 'loader' | 'loaders' | 'state'> &
  Partial<Pick<TagPrediction, 'loader' | 'loaders' | 'state'>>;

/** A program, and what the kernel will call it once a loader hands it over. */
export interface CarvedProgram extends KnownProgram {
  /** Likelier first; those that assume something of the application come last. */
  readonly tags?: readonly CarvedTag[];
  /** Why there is no tag for the commonest loader: `needs-btf`, `refused` and the like. */
  readonly tagState?: TagState;
  readonly tagReason?: string;
  /** Ids of the loaded programs that have one of these tags, when they were asked for. */
  readonly live?: readonly number[];
}

/** One place where code was found, of whatever kind. The same bytes in two places are two of these with one `sha256`. */
interface Carved extends Omit<ObjectSummary, 'programs'> {
  readonly programs: readonly CarvedProgram[];
  /** Hexadecimal digest of exactly the carved bytes. */
  readonly sha256: string;
  /** Bytes carved. */
  readonly size: number;
  readonly source: Source;
  /** Byte offset of the first byte in the source; absent for process memory, which has addresses instead. */
  readonly offset?: number;
  /** `0x…`: address of the first byte in the process, or in the one that a core file is an image of. */
  readonly address?: string;
  /** The mapping that holds the first byte. */
  readonly region?: Region;
  readonly within?: Within;
  readonly diagnostics: readonly Diagnostic[];
}

type Endianness = ElfIdentity['endianness'];

/** An ELF object. */
export interface CarvedElf extends Carved {
  readonly kind: 'object';
  readonly completeness: Completeness;
  readonly elf: ElfIdentity;
  /** Its ELF header was overwritten and was put back: these 64 bytes are not those of the source, all others are. */
  readonly rebuilt?: true;
}

/** A loader program with the programs and maps that it creates, as `bpftool gen skeleton -L` makes them; no ELF. */
export interface CarvedLightSkeleton extends Carved {
  readonly kind: 'light-skeleton';
  /** `truncated`: only the loader is there, its data lies nowhere near it. */
  readonly completeness: 'whole' | 'truncated';
  readonly endianness: Endianness;
  /** Bytes from the start of the carved ones, and the tags that the loader has itself while it runs. */
  readonly loader: { readonly offset: number; readonly instructions: number; readonly tags: readonly CarvedTag[] };
  /** Programs, maps and names: bytes from the start of the carved ones. */
  readonly data?: { readonly offset: number; readonly size: number };
  /** The loader checks its data against `digest`, the SHA-256 of what was signed. */
  readonly signed: boolean;
  readonly digest?: string;
}

/** Instructions that no object holds: one program. */
export interface CarvedInstructions extends Carved {
  readonly kind: 'instructions';
  readonly completeness: 'whole';
  readonly endianness: Endianness;
  /** `proved`: a live program has the tag. */
  readonly trust: Trust | 'proved';
}

/** A filter of classic BPF, `struct sock_filter[]`; the kernel knows no tag of such. */
export interface CarvedClassicFilter extends Carved {
  readonly kind: 'classic-filter';
  readonly completeness: 'whole';
  readonly endianness: Endianness;
  readonly instructions: number;
  /** A line for each instruction, as `tcpdump -d` words it. */
  readonly filter: readonly string[];
}

/** BTF of an object of which no section table is left: what its functions and variables were called. */
export interface CarvedBtf extends Carved {
  readonly kind: 'btf';
  readonly completeness: 'partial';
  readonly endianness: Endianness;
  readonly functions: readonly string[];
  /** Variables by section: `.maps`, `.rodata`. */
  readonly variables: Readonly<Record<string, readonly string[]>>;
}

export type CarvedObject = CarvedElf | CarvedLightSkeleton | CarvedInstructions | CarvedClassicFilter | CarvedBtf;

export interface ScanSummary {
  /** Sources examined. */
  readonly sources: number;
  /** Bytes searched. */
  readonly bytes: number;
  /** Headers with the magic and EM_BPF, and what was found without one. */
  readonly candidates: number;
  readonly objects: number;
  /** Different `sha256` among them. */
  readonly distinct: number;
  readonly rejected: Readonly<Record<string, number>>;
  /** Sources that could not be read, or not to their end. */
  readonly unreadable: number;
  readonly elapsedMs: number;
  /** The scan was stopped before its end. */
  readonly interrupted?: true;
}

export interface Host {
  readonly hostname: string;
  readonly kernelRelease: string;
  readonly arch: string;
}

export interface StartEvent {
  readonly event: 'start';
  readonly schemaVersion: 1;
  readonly tool: { readonly name: 'bpfcarve'; readonly version: string };
  readonly command: string;
  readonly startedAt: string;
  readonly host: Host;
}
export interface ObjectEvent {
  readonly event: 'object';
  readonly object: CarvedObject;
  /** The carved bytes, in memory of their own; only when asked for, and only the first time a `sha256` is seen. */
  readonly content?: Uint8Array;
  /** With `content`, of code that is no ELF object: the same programs as one, for tools that read nothing else. */
  readonly elf?: Uint8Array;
}
export interface DiagnosticEvent {
  readonly event: 'diagnostic';
  readonly diagnostic: Diagnostic;
}
/** How far the scan is; sent a few times a second, never part of a report. */
export interface ProgressEvent {
  readonly event: 'progress';
  readonly sources: number;
  readonly bytes: number;
  readonly objects: number;
}
export interface SummaryEvent {
  readonly event: 'summary';
  readonly finishedAt: string;
  readonly summary: ScanSummary;
}
export type ScanEvent = StartEvent | ObjectEvent | DiagnosticEvent | ProgressEvent | SummaryEvent;

/** The whole report as one document: what `--format json` prints. */
export interface ScanReport {
  readonly schemaVersion: 1;
  readonly tool: StartEvent['tool'];
  readonly command: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly host: Host;
  readonly objects: readonly CarvedObject[];
  readonly diagnostics: readonly Diagnostic[];
  readonly summary: ScanSummary;
}
