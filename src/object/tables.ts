// The ELF tables of an object as records: sections, symbols and relocations, with names in place of numbers.
// Keeps every entry that the parser kept, in file order; what a relocation stands for is added where it patches code.
import { viewOf } from '../bytes/layout.ts';
import type { ElfFile, ElfSection, ElfSymbol } from '../elf/file.ts';
import { rel64, shdr64, sym64 } from '../elf/layouts.ts';
import { SHN, SHT, STB, STT, STV, wordFor } from '../elf/names.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from './open.ts';
import type { BpfRelocation } from './relocations.ts';
import type { TextAllowance } from './text-allowance.ts';
import { wide } from './wide.ts';

export interface SectionRecord {
  readonly index: number;
  readonly name: string;
  /** `PROGBITS`, or the number of a type without a word here. */
  readonly type: string | number;
  /** SHF_*. */
  readonly flags: number | string;
  readonly address: number | string;
  /** Bytes, as declared. */
  readonly offset: number | string;
  readonly size: number | string;
  readonly link: number;
  readonly info: number;
  readonly alignment: number | string;
  readonly entrySize: number | string;
}

export interface SymbolRecord {
  readonly index: number;
  readonly name: string;
  /** `FUNC`, `GLOBAL`, `DEFAULT`: the words of the ELF specification, or numbers. */
  readonly type: string | number;
  readonly binding: string | number;
  readonly visibility: string | number;
  /** Name and number of the section that defines it; `UNDEF`, `ABS`, `COMMON` or the number for what no section defines. */
  readonly section: string | number;
  readonly sectionIndex?: number;
  readonly value: number | string;
  readonly size: number | string;
}

/** What a relocated instruction refers to. */
export type RelocationMeaning =
  | { readonly kind: 'map'; readonly name: string }
  | { readonly kind: 'data'; readonly name: string; readonly offset: number }
  | { readonly kind: 'extern'; readonly name: string }
  | { readonly kind: 'call' | 'function'; readonly name: string; readonly section: string }
  | { readonly kind: 'unknown' };

export interface RelocationRecord {
  /** Name of the section that is patched, and the place in it in bytes. */
  readonly section: string;
  readonly sectionIndex: number;
  readonly offset: number | string;
  /** `64_64` for R_BPF_64_64, or a number. */
  readonly type: string | number;
  /** Number of the symbol, and its name or that of the section it stands for. */
  readonly symbolIndex: number;
  readonly symbol: string;
  /** Only in code: the function, the slot number in it, and what the instruction refers to. */
  readonly function?: string;
  readonly instruction?: number;
  readonly target?: RelocationMeaning;
}

export function listSections({ elf }: BpfObject, text: TextAllowance): SectionRecord[] {
  return elf.sections.map((section) => {
    const at = elf.header.e_shoff + section.index * shdr64.size;
    return {
      index: section.index,
      name: text.take(section.name),
      type: wordFor(SHT, section.type),
      flags: wide(section.flags),
      address: wide(section.address),
      offset: exact(elf, section.offset, at + shdr64.offsets.sh_offset),
      size: exact(elf, section.size, at + shdr64.offsets.sh_size),
      link: section.link,
      info: section.info,
      alignment: wide(section.alignment),
      entrySize: exact(elf, section.entrySize, at + shdr64.offsets.sh_entsize),
    };
  });
}

export function listSymbols({ elf }: BpfObject, text: TextAllowance): SymbolRecord[] {
  const table = elf.symbolTable?.offset ?? 0;
  return elf.symbols.map((symbol) => {
    const at = table + symbol.index * sym64.size;
    const home = symbol.section === undefined ? undefined : elf.sections[symbol.section];
    return {
      index: symbol.index,
      name: text.take(symbol.name),
      type: wordFor(STT, symbol.type),
      binding: wordFor(STB, symbol.binding),
      visibility: wordFor(STV, symbol.visibility),
      section: home === undefined ? wordFor(SHN, symbol.shndx) : text.take(home.name),
      ...(symbol.section !== undefined && { sectionIndex: symbol.section }),
      value: exact(elf, symbol.value, at + sym64.offsets.st_value),
      size: exact(elf, symbol.size, at + sym64.offsets.st_size),
    };
  });
}

/** Every SHT_REL entry of the object, section by section. */
export function listRelocations(object: BpfObject, text: TextAllowance): RelocationRecord[] {
  const { elf } = object;
  const meanings = meaningsByPlace(object);
  return elf.sections.flatMap((from) => {
    const section = elf.sections[from.info];
    const patched = meanings.get(from.info);
    return elf.relocations(from).map(({ offset, type, symbol }, row): RelocationRecord => {
      const meaning = patched?.get(offset);
      return {
        section: text.take(section?.name ?? ''),
        sectionIndex: from.info,
        offset: exact(elf, offset, from.offset + row * rel64.size),
        type: RELOCATION_TYPES[type] ?? type,
        symbolIndex: symbol,
        symbol: text.take(symbolName(elf, elf.symbols[symbol])),
        ...(meaning && {
          function: text.take(meaning.function),
          instruction: meaning.relocation.instruction,
          target: meaningOf(object, meaning.relocation, text),
        }),
      };
    });
  });
}

/** R_BPF_* of LLVM's ELFRelocs/BPF.def. */
const RELOCATION_TYPES: Readonly<Record<number, string>> = {
  0: 'NONE',
  1: '64_64',
  2: '64_ABS64',
  3: '64_ABS32',
  4: '64_NODYLD32',
  10: '64_32',
};

interface PlacedRelocation {
  readonly function: string;
  readonly relocation: BpfRelocation;
}

/** By section index, then by offset in it. */
function meaningsByPlace({ functions, relocations }: BpfObject): Map<number, Map<number, PlacedRelocation>> {
  const sections = new Map<number, Map<number, PlacedRelocation>>();
  for (const each of functions) {
    const places = sections.get(each.sectionIndex) ?? new Map<number, PlacedRelocation>();
    sections.set(each.sectionIndex, places);
    for (const relocation of relocations[each.index] ?? []) {
      places.set(each.offset + relocation.instruction * SLOT_SIZE, { function: each.name, relocation });
    }
  }
  return sections;
}

function meaningOf(object: BpfObject, { target }: BpfRelocation, text: TextAllowance): RelocationMeaning {
  switch (target.kind) {
    case 'map':
      return { kind: 'map', name: text.take(object.maps[target.map]?.name ?? '') };
    case 'data':
      return { kind: 'data', name: text.take(object.maps[target.map]?.name ?? ''), offset: target.offset };
    case 'extern':
      return { kind: 'extern', name: text.take(object.externs[target.extern]?.name ?? '') };
    case 'call':
    case 'function': {
      const { name = '', section = '' } = object.functions[target.function] ?? {};
      return { kind: target.kind, name: text.take(name), section: text.take(section) };
    }
    case 'unknown':
      return { kind: 'unknown' };
    default:
      return target satisfies never;
  }
}

/** Section symbols have no name of their own. */
function symbolName(elf: ElfFile, symbol: ElfSymbol | undefined): string {
  if (symbol === undefined || symbol.name !== '' || symbol.section === undefined) return symbol?.name ?? '';
  const home: ElfSection | undefined = elf.sections[symbol.section];
  return home?.name ?? '';
}

/** The parser has no number for what lies beyond 2^53: its digits are still in the file, at `at`. */
function exact({ bytes, littleEndian }: ElfFile, value: number, at: number): number | string {
  return Number.isFinite(value) ? value : wide(viewOf(bytes).getBigUint64(at, littleEndian));
}
