// The records a scan yields: objects as they are found, diagnostics, and a summary at the end.
// Plain data: it crosses threads by structured clone and becomes JSON as it is.
import type { Completeness, ElfIdentity } from '../carve/size.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { TagPrediction, TagState } from '../link/predict.ts';
import type { ObjectSummary, ProgramSummary } from '../object/summarize.ts';
import type { Region, Source } from '../source/source.ts';

/** Where in a host ELF file an object lies. */
export interface Within {
  /** Name of the host's section that holds the object's first byte. */
  readonly section?: string;
  /** The host's GNU build id, hexadecimal. */
  readonly buildId?: string;
}

/** A program, and what the kernel will call it once a loader hands it over. */
export interface CarvedProgram extends ProgramSummary {
  /** Likelier first; those that assume something of the application come last. */
  readonly tags?: readonly TagPrediction[];
  /** Why there is no tag for the commonest loader: `needs-btf`, `refused` and the like. */
  readonly tagState?: TagState;
  readonly tagReason?: string;
  /** Ids of the loaded programs that have one of these tags, when they were asked for. */
  readonly live?: readonly number[];
}

/** One place where an object was found. The same bytes in two places are two of these with one `sha256`. */
export interface CarvedObject extends Omit<ObjectSummary, 'programs'> {
  readonly programs: readonly CarvedProgram[];
  readonly kind: 'object';
  /** Hexadecimal digest of exactly the carved bytes. */
  readonly sha256: string;
  /** Bytes carved. */
  readonly size: number;
  readonly completeness: Completeness;
  readonly elf: ElfIdentity;
  readonly source: Source;
  /** Byte offset of the header in the source; absent for process memory, which has addresses instead. */
  readonly offset?: number;
  /** `0x…`: address of the header in the process, or in the one that a core file is an image of. */
  readonly address?: string;
  /** The mapping that holds the header. */
  readonly region?: Region;
  readonly within?: Within;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ScanSummary {
  /** Sources examined. */
  readonly sources: number;
  /** Bytes searched. */
  readonly bytes: number;
  /** Headers with the magic and EM_BPF. */
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
