// The public API.

export type { Completeness, ElfIdentity } from './carve/size.ts';
export type { Diagnostic, Severity } from './diagnostics.ts';
export { FormatError } from './diagnostics.ts';
export type { MapSummary, ObjectSummary, ProgramSummary } from './object/summarize.ts';
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
export type { ScanOptions } from './scan/scan.ts';
export { scan } from './scan/scan.ts';
export type { FilePath } from './source/path.ts';
export type { FileSource, Source, StdinSource } from './source/source.ts';
