// The functions of an object, as libbpf finds them: every STT_FUNC symbol of an executable section (bpf_object__add_programs).
// Bytes that no such symbol covers belong to nothing: the linker leaves overridden weak functions behind.
import { type Diagnostic, hex } from '../diagnostics.ts';
import { describeSection, type ElfFile, type ElfSection, type ElfSymbol } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SHF, SHT, STB, STT, STV } from '../elf/names.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { readSectionName, type SectionMeaning } from './sections.ts';

/** A piece of code with a name: a program, or a subprogram that programs call. */
export interface BpfFunction {
  readonly name: string;
  /** Place in `BpfObject.functions`. */
  readonly index: number;
  /** Name and index of its section. */
  readonly section: string;
  readonly sectionIndex: number;
  /** Index into `ElfFile.symbols`. */
  readonly symbol: number;
  /** Bytes from the start of its section. */
  readonly offset: number;
  /** The instructions that are there, a window on the object: shorter than the symbol says where the file ends early. */
  readonly code: Uint8Array;
  readonly binding: 'local' | 'global' | 'weak' | number;
  /** Hidden functions are verified with their callers rather than on their own. */
  readonly hidden: boolean;
}

/** An entry point: what a loader hands to the kernel, together with the subprograms it calls. */
export interface BpfProgram extends BpfFunction, SectionMeaning {}

export interface Functions {
  /** All of them by section and offset: libbpf's order. */
  readonly functions: readonly BpfFunction[];
  readonly programs: readonly BpfProgram[];
  /** The functions in `.text`. */
  readonly subprograms: readonly BpfFunction[];
}

/** Functions may overlap, but not so that together they hold many times the bytes of the object. */
const OVERLAP = 4;

export function readFunctions(elf: ElfFile, log: DiagnosticLog): Functions {
  const found = [...functionSymbols(elf, log)].sort(
    (a, b) => a.section.index - b.section.index || a.symbol.value - b.symbol.value || a.symbol.index - b.symbol.index,
  );
  const functions = affordable(found, elf.bytes.length, log).map(({ symbol, section }, index) =>
    describeFunction(elf, symbol, section, index),
  );
  const programs: BpfProgram[] = [];
  const subprograms: BpfFunction[] = [];
  for (const each of functions) {
    if (each.section === TEXT) subprograms.push(each);
    else programs.push({ ...each, ...readSectionName(each.section) });
  }
  if (programs.length === 0 && subprograms.length === 1) {
    const message = 'the only function lies in .text: libbpf before 1.5 takes it for a program, later versions do not';
    log.add('info', 'lone-text-function', describe(subprograms[0]?.name), message);
  }
  return { functions, programs, subprograms };
}

const TEXT = '.text';

interface Found {
  readonly symbol: ElfSymbol;
  readonly section: ElfSection;
}

function* functionSymbols(elf: ElfFile, log: DiagnosticLog): Generator<Found> {
  for (const symbol of elf.symbols) {
    if (symbol.type !== STT.FUNC || symbol.section === undefined) continue;
    const section = elf.sections[symbol.section];
    if (section === undefined || !isCode(section)) continue;
    const problem = misplacement(symbol, section);
    if (problem === undefined) yield { symbol, section };
    else log.warn(problem.code, describe(symbol.name), problem.message);
    if (symbol.binding === STB.LOCAL && section.name !== TEXT) {
      const message = `static, in ${describeSection(section)}: libbpf (0.4 and later) refuses the object`;
      log.warn('static-program', describe(symbol.name), message);
    }
  }
}

/** PROGBITS with the executable flag: what libbpf takes for code. */
export function isCode(section: ElfSection): boolean {
  return section.type === SHT.PROGBITS && (section.flags & SHF.EXECINSTR) !== 0n;
}

function misplacement(
  { value, size }: ElfSymbol,
  section: ElfSection,
): Pick<Diagnostic, 'code' | 'message'> | undefined {
  if (!(value + size <= section.size)) {
    const message = `ends at ${place(value + size)}, ${describeSection(section)} at ${place(section.size)}`;
    return { code: 'function-range', message };
  }
  if (value % SLOT_SIZE !== 0 || size % SLOT_SIZE !== 0) {
    const message = `${hex(size)} bytes at ${hex(value)}, instructions have ${SLOT_SIZE}`;
    return { code: 'function-alignment', message };
  }
  return undefined;
}

function affordable(found: readonly Found[], available: number, log: DiagnosticLog): readonly Found[] {
  let total = 0;
  const past = found.findIndex(({ symbol }) => {
    total += symbol.size;
    return total > available * OVERLAP;
  });
  if (past < 0) return found;
  const message = `${found.length} functions claim more than ${OVERLAP} times the ${available} bytes there are, ${found.length - past} left out`;
  log.warn('functions-overlap', 'symbols', message);
  return found.slice(0, past);
}

function describeFunction(elf: ElfFile, symbol: ElfSymbol, section: ElfSection, index: number): BpfFunction {
  return {
    name: symbol.name,
    index,
    section: section.name,
    sectionIndex: section.index,
    symbol: symbol.index,
    offset: symbol.value,
    code: elf.content(section).subarray(symbol.value, symbol.value + symbol.size),
    binding: BINDINGS[symbol.binding] ?? symbol.binding,
    hidden: symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL,
  };
}

const BINDINGS: Readonly<Record<number, 'local' | 'global' | 'weak'>> = {
  [STB.LOCAL]: 'local',
  [STB.GLOBAL]: 'global',
  [STB.WEAK]: 'weak',
};

function describe(name: string | undefined): string {
  return `function ${JSON.stringify(name ?? '')}`;
}

function place(value: number): string {
  return Number.isFinite(value) ? hex(value) : 'more than 2^53';
}
