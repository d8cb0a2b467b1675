// .BTF.ext: which function, source line and CO-RE relocation belongs to which instruction, section by section.
// Gives offsets into .BTF's strings as stored; `Btf.string` turns them into text.
import { type Field, viewOf } from '../bytes/layout.ts';
import { attempt, type Diagnostic, FormatError, hex } from '../diagnostics.ts';
import {
  BTF_MAGIC,
  bpfCoreRelo,
  bpfFuncInfo,
  bpfLineInfo,
  btfExtHeader,
  btfExtHeaderCore,
  btfExtInfoSec,
} from './layouts.ts';

export interface FuncInfo {
  /** Bytes from the start of the ELF section, as are the other `insnOffset`s. */
  readonly insnOffset: number;
  /** Of a func. */
  readonly type: number;
}
export interface LineInfo {
  readonly insnOffset: number;
  /** String offset of the source path. */
  readonly fileName: number;
  /** String offset of the source text. */
  readonly text: number;
  readonly line: number;
  readonly column: number;
}
export interface CoreRecord {
  readonly insnOffset: number;
  readonly type: number;
  /** String offset of the accessor string, `0:1:2`. */
  readonly access: number;
  /** enum bpf_core_relo_kind. */
  readonly kind: number;
}
export interface ExtSection<T> {
  /** String offset of the ELF section's name. */
  readonly name: number;
  readonly records: readonly T[];
}
export interface BtfExt {
  readonly littleEndian: boolean;
  readonly funcInfo: readonly ExtSection<FuncInfo>[];
  readonly lineInfo: readonly ExtSection<LineInfo>[];
  readonly coreRelocations: readonly ExtSection<CoreRecord>[];
  /** A broken part ends there; its earlier sections and the other parts are kept. */
  readonly diagnostics: readonly Diagnostic[];
}

/** @throws FormatError when the header is not one of .BTF.ext. */
export function parseBtfExt(bytes: Uint8Array): BtfExt {
  const view = viewOf(bytes);
  const little = bytes.length >= 2 && view.getUint16(0, true) === BTF_MAGIC;
  const header = btfExtHeader.read(view, 0, little);
  if (header.magic !== BTF_MAGIC) {
    throw new FormatError('btf-magic', 0, `.BTF.ext begins with ${hex(header.magic)}, not ${hex(BTF_MAGIC)}`);
  }
  if (header.hdr_len < btfExtHeader.size) {
    const message = `.BTF.ext header of ${header.hdr_len} bytes, at least ${btfExtHeader.size} needed`;
    throw new FormatError('btf-header', 4, message);
  }
  const diagnostics: Diagnostic[] = [];
  const part = <R, T>(what: string, offset: number, length: number, row: Field<R>, record: (row: R) => T) => {
    const sections: ExtSection<T>[] = [];
    const start = header.hdr_len + offset;
    attempt(diagnostics, `.BTF.ext ${what}`, () => {
      for (const section of readSections(view, little, start, length, row, record)) sections.push(section);
    });
    return sections;
  };

  const { func_info_off, func_info_len, line_info_off, line_info_len } = header;
  const core = readCoreHeader(view, header.hdr_len, little);
  return {
    littleEndian: little,
    funcInfo: part('func info', func_info_off, func_info_len, bpfFuncInfo, toFuncInfo),
    lineInfo: part('line info', line_info_off, line_info_len, bpfLineInfo, toLineInfo),
    coreRelocations: part('CO-RE relocations', core.core_relo_off, core.core_relo_len, bpfCoreRelo, toCoreRecord),
    diagnostics,
  };
}

/** One part: a record size for all of it, then sections of a name, a count and that many records. */
function* readSections<R, T>(
  view: DataView,
  little: boolean,
  start: number,
  length: number,
  row: Field<R>,
  record: (row: R) => T,
): Generator<ExtSection<T>> {
  if (length === 0) return;
  const end = start + length;
  if (end > view.byteLength) {
    throw new FormatError('out-of-bounds', start, `ends at ${hex(end)}, .BTF.ext at ${hex(view.byteLength)}`);
  }
  const size = length >= 4 ? view.getUint32(start, little) : 0;
  if (size < row.size || size % 4 !== 0) {
    throw new FormatError('btf-ext-record', start, `records of ${size} bytes, at least ${row.size} needed`);
  }
  let at = start + 4;
  while (at < end) {
    const { sec_name_off, num_info } = btfExtInfoSec.read(view, at, little);
    const first = at + btfExtInfoSec.size;
    const next = first + num_info * size;
    if (next > end) {
      const message = `${num_info} records of ${size} bytes at ${hex(first)} end past ${hex(end)}`;
      throw new FormatError('out-of-bounds', at, message);
    }
    const read = (_: unknown, index: number) => record(row.read(view, first + index * size, little));
    yield { name: sec_name_off, records: Array.from({ length: num_info }, read) };
    at = next;
  }
}

function readCoreHeader(view: DataView, headerLength: number, little: boolean) {
  const fits = headerLength >= btfExtHeader.size + btfExtHeaderCore.size;
  return fits ? btfExtHeaderCore.read(view, btfExtHeader.size, little) : { core_relo_off: 0, core_relo_len: 0 };
}

type RowOf<L> = L extends { read(view: DataView, at: number, little: boolean): infer R } ? R : never;

function toFuncInfo(row: RowOf<typeof bpfFuncInfo>): FuncInfo {
  return { insnOffset: row.insn_off, type: row.type_id };
}

function toLineInfo(row: RowOf<typeof bpfLineInfo>): LineInfo {
  return {
    insnOffset: row.insn_off,
    fileName: row.file_name_off,
    text: row.line_off,
    line: row.line_col >>> 10,
    column: row.line_col & 0x3ff,
  };
}

function toCoreRecord(row: RowOf<typeof bpfCoreRelo>): CoreRecord {
  return { insnOffset: row.insn_off, type: row.type_id, access: row.access_str_off, kind: row.kind };
}
