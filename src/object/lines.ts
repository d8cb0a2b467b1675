// Where instructions come from: the line information of .BTF.ext, by function.
import type { Btf } from '../btf/decode.ts';
import type { LineInfo } from '../btf/ext.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';
import { linesBySection, linesOf } from './source-files.ts';
import type { TextAllowance } from './text-allowance.ts';

export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The line as it stood in the file; empty where the compiler did not see it. */
  readonly text: string;
}

export class SourceLines {
  readonly #btf: Btf | undefined;
  readonly #sections: ReadonlyMap<string, readonly LineInfo[]>;
  readonly #log: DiagnosticLog;
  readonly #text: TextAllowance;

  constructor({ btf, btfExt }: BpfObject, text: TextAllowance, log: DiagnosticLog) {
    this.#btf = btf;
    this.#sections =
      (btf && btfExt && log.attempt('.BTF.ext line info', () => linesBySection(btf, btfExt))) ?? new Map();
    this.#log = log;
    this.#text = text;
  }

  /** The lines that begin at instructions of a function, by slot number in it. */
  of(each: BpfFunction): Map<number, SourceLine> {
    const lines = new Map<number, SourceLine>();
    for (const record of linesOf(this.#sections.get(each.section) ?? [], each)) {
      const line = this.#log.attempt('.BTF.ext line info', () => this.#read(record));
      const slot = (record.insnOffset - each.offset) / SLOT_SIZE;
      if (line && !lines.has(slot)) lines.set(slot, line);
    }
    return lines;
  }

  #read({ fileName, text, line, column }: LineInfo): SourceLine {
    const read = (offset: number) => this.#text.take(this.#btf?.string(offset) ?? '');
    return { file: read(fileName), line, column, text: read(text) };
  }
}
