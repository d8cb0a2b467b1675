// Relocatable ELF-64 objects out of sections and symbols: the tables and their strings are made here, the contents are the caller's.
import { type Field, layout, u32, viewOf } from '../bytes/layout.ts';
import { type Ehdr, ehdr64, type Shdr, type Sym, shdr64, sym64 } from './layouts.ts';
import { EI, ELFCLASS, ELFDATA, ELFMAG, ET, EV_CURRENT, SHN, SHT, STB } from './names.ts';

export interface NewSection {
  readonly name: string;
  /** SHT_*; SHT_PROGBITS by default. */
  readonly type?: number;
  /** SHF_*; none by default. */
  readonly flags?: bigint;
  readonly bytes: Uint8Array;
  /** A power of two; 1 by default. */
  readonly align?: number;
}

/** A symbol that is defined in a section. */
export interface NewSymbol {
  readonly name: string;
  /** Place of its section in `NewObject.sections`. */
  readonly section: number;
  /** Bytes from the start of that section. */
  readonly value: number;
  readonly size: number;
  /** STB_* */
  readonly binding: number;
  /** STT_* */
  readonly type: number;
}

export interface NewObject {
  readonly littleEndian: boolean;
  /** EM_* */
  readonly machine: number;
  readonly sections: readonly NewSection[];
  readonly symbols: readonly NewSymbol[];
}

/**
 * The object as bytes: sections in the order given, behind them `.symtab`, `.strtab` and the section table. Local symbols
 * come first, as the format demands. Readers take a name to end at its first NUL.
 */
export function writeElf({ littleEndian, machine, sections, symbols }: NewObject): Uint8Array {
  const strings = new StringWriter();
  const tables = symbolTables(symbols, sections.length + 1, strings, littleEndian);
  const all = [...sections, ...tables].map((section) => ({ ...section, nameAt: strings.add(section.name) }));
  const stringTable = { name: '.strtab', type: SHT.STRTAB, nameAt: strings.add('.strtab'), bytes: strings.toBytes() };
  return assemble([...all, stringTable], littleEndian, machine);
}

interface TableSection extends NewSection {
  readonly link?: number;
  readonly info?: number;
  readonly entrySize?: number;
}

interface NamedSection extends TableSection {
  /** Bytes from the start of the string table. */
  readonly nameAt: number;
}

/** `.symtab`, and a table of the section numbers that do not fit into it when there are such; the strings follow. */
function symbolTables(
  symbols: readonly NewSymbol[],
  index: number,
  strings: StringWriter,
  littleEndian: boolean,
): TableSection[] {
  const isLocal = ({ binding }: NewSymbol) => binding === STB.LOCAL;
  const ordered = [...symbols.filter(isLocal), ...symbols.filter((symbol) => !isLocal(symbol))];
  const rows = [NO_SYMBOL, ...ordered.map((symbol) => symbolRow(symbol, strings))];
  const isExtended = rows.some(({ st_shndx }) => st_shndx === SHN.XINDEX);
  const symtab: TableSection = {
    name: '.symtab',
    type: SHT.SYMTAB,
    bytes: writeRows(sym64, rows, littleEndian),
    align: 8,
    link: index + (isExtended ? 2 : 1),
    info: 1 + symbols.filter(isLocal).length,
    entrySize: sym64.size,
  };
  if (!isExtended) return [symtab];
  const numbers = [{ number: 0 }, ...ordered.map(({ section }) => ({ number: section + 1 }))];
  const bytes = writeRows(sectionNumber, numbers, littleEndian);
  const type = SHT.SYMTAB_SHNDX;
  return [symtab, { name: '.symtab_shndx', type, bytes, align: 4, link: index, entrySize: sectionNumber.size }];
}

const NO_SYMBOL: Sym = { st_name: 0, st_info: 0, st_other: 0, st_shndx: SHN.UNDEF, st_value: 0, st_size: 0 };
const sectionNumber = layout({ number: u32 });

function symbolRow({ name, section, value, size, binding, type }: NewSymbol, strings: StringWriter): Sym {
  return {
    st_name: strings.add(name),
    st_info: (binding << 4) | type,
    st_other: 0,
    st_shndx: section + 1 < SHN.LORESERVE ? section + 1 : SHN.XINDEX,
    st_value: value,
    st_size: size,
  };
}

function assemble(sections: readonly NamedSection[], littleEndian: boolean, machine: number): Uint8Array {
  const rows: Shdr[] = [];
  let end = ehdr64.size;
  for (const section of sections) {
    const row = sectionRow(section, alignUp(end, section.align ?? 1));
    rows.push(row);
    end = row.sh_offset + row.sh_size;
  }
  const tableAt = alignUp(end, 8);
  const names = sections.length;
  const header = headerRow(littleEndian, machine, { tableAt, count: rows.length + 1, names });
  const table = [nullRow(header, rows.length + 1, names), ...rows];
  const bytes = new Uint8Array(tableAt + table.length * shdr64.size);
  bytes.set(writeRows(ehdr64, [header], littleEndian));
  for (const [place, { sh_offset }] of rows.entries()) bytes.set(sections[place]?.bytes ?? NOTHING, sh_offset);
  bytes.set(writeRows(shdr64, table, littleEndian), tableAt);
  return bytes;
}

const NOTHING = new Uint8Array(0);

function sectionRow(section: NamedSection, offset: number): Shdr {
  return {
    sh_name: section.nameAt,
    sh_type: section.type ?? SHT.PROGBITS,
    sh_flags: section.flags ?? 0n,
    sh_addr: 0n,
    sh_offset: offset,
    sh_size: section.bytes.length,
    sh_link: section.link ?? 0,
    sh_info: section.info ?? 0,
    sh_addralign: BigInt(section.align ?? 1),
    sh_entsize: section.entrySize ?? 0,
  };
}

interface SectionTable {
  readonly tableAt: number;
  readonly count: number;
  /** Number of the section that holds the names. */
  readonly names: number;
}

function headerRow(littleEndian: boolean, machine: number, { tableAt, count, names }: SectionTable): Ehdr {
  const e_ident = new Uint8Array(ehdr64.fields.e_ident.size);
  e_ident.set(ELFMAG);
  e_ident[EI.CLASS] = ELFCLASS[64];
  e_ident[EI.DATA] = littleEndian ? ELFDATA.LSB : ELFDATA.MSB;
  e_ident[EI.VERSION] = EV_CURRENT;
  return {
    e_ident,
    e_type: ET.REL,
    e_machine: machine,
    e_version: EV_CURRENT,
    e_entry: 0n,
    e_phoff: 0,
    e_shoff: tableAt,
    e_flags: 0,
    e_ehsize: ehdr64.size,
    e_phentsize: 0,
    e_phnum: 0,
    e_shentsize: shdr64.size,
    e_shnum: count < SHN.LORESERVE ? count : 0,
    e_shstrndx: names < SHN.LORESERVE ? names : SHN.XINDEX,
  };
}

/** gABI "Section Header Table Entry: Index 0": it holds what does not fit into the header. */
function nullRow({ e_shnum, e_shstrndx }: Ehdr, count: number, names: number): Shdr {
  return {
    sh_name: 0,
    sh_type: SHT.NULL,
    sh_flags: 0n,
    sh_addr: 0n,
    sh_offset: 0,
    sh_size: e_shnum === 0 ? count : 0,
    sh_link: e_shstrndx === SHN.XINDEX ? names : 0,
    sh_info: 0,
    sh_addralign: 0n,
    sh_entsize: 0,
  };
}

/** A string table; equal strings are in it once. */
class StringWriter {
  readonly #places = new Map<string, number>([['', 0]]);
  readonly #encoded: Uint8Array[] = [Uint8Array.of(0)];
  #end = 1;

  /** Where the string begins. */
  add(text: string): number {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const at = this.#end;
    const bytes = utf8.encode(`${text}\0`);
    this.#places.set(text, at);
    this.#encoded.push(bytes);
    this.#end += bytes.length;
    return at;
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#end);
    let at = 0;
    for (const piece of this.#encoded) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}

const utf8 = new TextEncoder();

interface Struct {
  readonly fields: Readonly<Record<string, Field<unknown>>>;
  readonly size: number;
}
/** What a layout reads, with a member for each of its fields. */
type Values = Readonly<Record<string, number | bigint | Uint8Array>>;

/** The rows of a table, one behind the other. */
function writeRows({ fields, size }: Struct, rows: readonly Values[], littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(rows.length * size);
  const view = viewOf(bytes);
  const members = Object.entries(fields);
  let at = 0;
  for (const row of rows) {
    for (const [name, field] of members) {
      writeValue(view, at, field.size, row[name] ?? 0, littleEndian);
      at += field.size;
    }
  }
  return bytes;
}

function writeValue(view: DataView, at: number, size: number, value: Values[string], littleEndian: boolean): void {
  if (value instanceof Uint8Array) new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
  else if (size === 8) view.setBigUint64(at, BigInt(value), littleEndian);
  else if (size === 4) view.setUint32(at, Number(value), littleEndian);
  else if (size === 2) view.setUint16(at, Number(value), littleEndian);
  else view.setUint8(at, Number(value));
}

function alignUp(at: number, alignment: number): number {
  return Math.ceil(at / alignment) * alignment;
}
