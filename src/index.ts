// The public API.

export { Btf } from './btf/decode.ts';
export { type BtfExt, parseBtfExt } from './btf/ext.ts';
export { formatC } from './btf/format-c.ts';
export { formatRaw } from './btf/format-raw.ts';
export type { BtfType } from './btf/types.ts';
export type { Completeness, ElfIdentity } from './carve/size.ts';
export type { Diagnostic, Severity } from './diagnostics.ts';
export { FormatError } from './diagnostics.ts';
export { ElfFile } from './elf/file.ts';
export { decodeInstructions, type Instruction } from './insn/decode.ts';
export { type DisassembledInstruction, disassemble } from './insn/disassemble.ts';
export { helperName } from './insn/helpers.ts';
export type { KernelModule, Target } from './link/kernel.ts';
export { type ProgramTags, predictTags, type TagPrediction, type TagState } from './link/predict.ts';
export { type CodeTags, type TagAlgorithm, tagCode } from './link/tag.ts';
export type { CoreRelocationRecord } from './object/core-relocations.ts';
export type { ObjectDetails, ProgramDetails, SubprogramDetails } from './object/describe.ts';
export type { BtfDetails, BtfTypeRecord, TypesForm } from './object/describe-btf.ts';
export type { MapDetails } from './object/describe-maps.ts';
export type { CodeLine } from './object/listing.ts';
export { type BpfObject, openObject } from './object/open.ts';
export type { MapSummary, ObjectSummary, ProgramSummary } from './object/summarize.ts';
export type { RelocationRecord, SectionRecord, SymbolRecord } from './object/tables.ts';
export type {
  CarvedObject,
  DiagnosticEvent,
  Host,
  ObjectEvent,
  ProgressEvent,
  ScanEvent,
  ScanReport,
  ScanSummary,
  StartEvent,
  SummaryEvent,
  Within,
} from './scan/events.ts';
export type { InspectedObject, InspectOptions, InspectReport } from './scan/inspect.ts';
export { inspect } from './scan/inspect.ts';
export type { LiveOptions } from './scan/live.ts';
export { live } from './scan/live.ts';
export type { ExplainedProgram, LiveReport, LiveSummary } from './scan/live-report.ts';
export type { LiveProgress, OriginOptions } from './scan/origin-search.ts';
export type { ScanOptions } from './scan/scan.ts';
export { scan } from './scan/scan.ts';
export type { FilePath } from './source/path.ts';
export type { FileSource, ProcessSource, Region, Source, StdinSource } from './source/source.ts';
