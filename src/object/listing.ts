// The code of a function, line by line: LLVM's text, and beside it the source, labels, names and CO-RE records that belong to it.
// Follows no values: what stands in a register is not known here.

import type { DiagnosticLog } from '../elf/log.ts';
import { disassemble } from '../insn/disassemble.ts';
import { Annotator } from './annotations.ts';
import type { CoreRelocationRecord } from './core-relocations.ts';
import { SourceLines } from './lines.ts';
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';
import type { TextAllowance } from './text-allowance.ts';

export interface CodeLine {
  /** Slot number in the function: what branches count in. */
  readonly index: number;
  /** The bytes as they lie, in hexadecimal: 16 digits, 32 for ld_imm64. */
  readonly bytes: string;
  /** As llvm-objdump prints it, or a data directive. */
  readonly text: string;
  /** Set when these bytes are no instruction. */
  readonly data?: true;
  /** `L12`, when a branch of the function leads here. */
  readonly label?: string;
  /** Label that a branch leads to. */
  readonly branchTo?: string;
  /** Where a line of source begins: its file and number, and its text where the compiler had it. */
  readonly file?: string;
  readonly line?: number;
  readonly source?: string;
  /** What the instruction refers to, in words: maps, data and its strings, functions, helpers, kfuncs, CO-RE records. */
  readonly annotations: readonly string[];
}

/** Lists the functions of one object. */
export class Listing {
  readonly #object: BpfObject;
  readonly #lines: SourceLines;
  readonly #annotator: Annotator;

  constructor(
    object: BpfObject,
    coreRelocations: readonly CoreRelocationRecord[],
    text: TextAllowance,
    log: DiagnosticLog,
  ) {
    this.#object = object;
    this.#lines = new SourceLines(object, text, log);
    this.#annotator = new Annotator(object, coreRelocations, text, log);
  }

  /** Every instruction, in order. Any bytes have a listing. */
  of(each: BpfFunction): CodeLine[] {
    const code = disassemble(each.code, this.#object.elf.littleEndian);
    const starts = new Set(code.map(({ index }) => index));
    const targets = new Set(code.flatMap(({ branch }) => (branch && starts.has(branch.target) ? [branch.target] : [])));
    const sources = this.#lines.of(each);
    return code.map((instruction) => {
      const { index, bytes, text, data, branch } = instruction;
      const source = sources.get(index);
      // Line 0 is code that no line asked for.
      const isFromSource = source !== undefined && (source.line > 0 || source.text !== '');
      const annotations = this.#annotator.annotate(each, instruction);
      if (branch && !starts.has(branch.target))
        annotations.push(`leads to ${branch.target}, where no instruction begins`);
      return {
        index,
        bytes,
        text,
        ...(data && { data }),
        ...(targets.has(index) && { label: labelAt(index) }),
        ...(branch && starts.has(branch.target) && { branchTo: labelAt(branch.target) }),
        ...(isFromSource && { file: source.file, line: source.line }),
        ...(isFromSource && source.text !== '' && { source: source.text }),
        annotations,
      };
    });
  }
}

function labelAt(index: number): string {
  return `L${index}`;
}
