// The functions of an object, as libbpf finds them: every STT_FUNC symbol of an executable section (bpf_object__add_programs).
// Bytes that no such symbol covers belong to nothing: the linker leaves overridden weak functions behind.
import type { Btf } from '../btf/decode.ts';
import type { BtfExt } from '../btf/ext.ts';
import { type Diagnostic, hex } from '../diagnostics.ts';
import { describeSection, type ElfFile, type ElfSection, type ElfSymbol } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SHF, SHT, STB, STT, STV } from '../elf/names.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { readSectionName, type SectionMeaning } from './sections.ts';
import { readSourceFiles } from './source-files.ts';

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
  /** The path that line information names, as the compiler was given it. */
  readonly sourceFile?: string;
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

export interface FunctionInput {
  readonly elf: ElfFile;
  readonly btf?: Btf;
  readonly btfExt?: BtfExt;
  readonly log: DiagnosticLog;
}

export function readFunctions({ elf, btf, btfExt, log }: FunctionInput): Functions {
  const found = functionSymbols(elf, log).sort(
    (a, b) => a.section.index - b.section.index || a.symbol.value - b.symbol.value || a.symbol.index - b.symbol.index,
  );
  const contents = new Map(elf.sections.filter(isCode).map((section) => [section.index, elf.content(section)]));
  const functions = affordable(found, elf.bytes.length, log).map(({ symbol, section }, index) =>
    describeFunction(symbol, section, contents.get(section.index) ?? NOTHING, index),
  );
  addSourceFiles(functions, readSourceFiles(functions, btf, btfExt, log));
  const programs = addMeanings(functions.filter(({ section }) => section !== TEXT));
  const subprograms = functions.filter(({ section }) => section === TEXT);
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

function functionSymbols(elf: ElfFile, log: DiagnosticLog): Found[] {
  const found: Found[] = [];
  for (const section of elf.sections) {
    if (!isCode(section)) continue;
    const symbols = elf.symbolsIn(section);
    const typed = symbols.filter(({ type }) => type === STT.FUNC);
    for (const symbol of typed.length > 0 ? typed : untypedFunctions(section, symbols, log)) {
      const problem = misplacement(symbol, section);
      if (problem === undefined) found.push({ symbol, section });
      else log.warn(problem.code, describe(symbol.name), problem.message);
      if (symbol.binding === STB.LOCAL && section.name !== TEXT) {
        const message = `static, in ${describeSection(section)}: libbpf (0.4 and later) refuses the object`;
        log.warn('static-program', describe(symbol.name), message);
      }
    }
  }
  return found;
}

/**
 * LLVM before 8 gave symbols neither type nor size, and libbpf before 0.2 did not ask for them. In a section without a single
 * STT_FUNC, every symbol but the labels of basic blocks starts a function that ends where the next one starts.
 */
function untypedFunctions(section: ElfSection, symbols: readonly ElfSymbol[], log: DiagnosticLog): ElfSymbol[] {
  const starts = symbols
    .filter(({ type, name }) => type === STT.NOTYPE && name !== '' && !isLabel(name))
    .sort((a, b) => a.value - b.value || a.index - b.index);
  if (starts.length > 0) {
    const message = `${starts.length} symbols without type taken for functions: libbpf (0.2 and later) sees none`;
    log.add('info', 'untyped-functions', describeSection(section), message);
  }
  return starts.map((symbol, place) => ({
    ...symbol,
    size: symbol.size || (starts[place + 1]?.value ?? section.size) - symbol.value,
  }));
}

function isLabel(name: string): boolean {
  return name.startsWith('LBB') || name.startsWith('.L');
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

const NOTHING = new Uint8Array(0);

function describeFunction(symbol: ElfSymbol, section: ElfSection, content: Uint8Array, index: number): BpfFunction {
  return {
    name: symbol.name,
    index,
    section: section.name,
    sectionIndex: section.index,
    symbol: symbol.index,
    offset: symbol.value,
    code: content.subarray(symbol.value, symbol.value + symbol.size),
    binding: BINDINGS[symbol.binding] ?? symbol.binding,
    hidden: symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL,
  };
}

/** In place: an object may have a million functions, and copies cost more than all else. */
function addSourceFiles(functions: readonly BpfFunction[], files: readonly (string | undefined)[]): void {
  for (const each of functions) {
    const sourceFile = files[each.index];
    if (sourceFile !== undefined) Object.assign(each, { sourceFile });
  }
}

/** In place too. */
function addMeanings(functions: readonly BpfFunction[]): BpfProgram[] {
  const meanings = new Map<string, SectionMeaning>();
  return functions.map((each) => {
    const meaning = meanings.get(each.section) ?? readSectionName(each.section);
    meanings.set(each.section, meaning);
    return Object.assign(each, meaning);
  });
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
