// What an ELF-64 file says of itself: sections, symbols, relocations, in either byte order. Keeps every part that is intact.
// Knows nothing of BPF; who wants the meaning of a symbol or relocation asks the room above.
import { viewOf } from '../bytes/layout.ts';
import { type Diagnostic, FormatError, hex } from '../diagnostics.ts';
import { isLittleEndian } from './extent.ts';
import { type Ehdr, ehdr64, rel64, type Shdr, shdr64, sym64 } from './layouts.ts';
import { DiagnosticLog } from './log.ts';
import { EI, ELFCLASS, ELFDATA, ELFMAG, SHN, SHT } from './names.ts';
import { StringTable } from './strings.ts';

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** SHT_*: `wordFor(SHT, type)`. */
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  /** Bytes from the header of the file. `Infinity` for what lies beyond 2^53, here and in `size`. */
  readonly offset: number;
  /** Bytes, as declared: the file may hold fewer. For SHT_NOBITS they are not in the file at all. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: bigint;
  readonly entrySize: number;
}

export interface ElfSymbol {
  /** Place in the symbol table, as relocations name it. */
  readonly index: number;
  readonly name: string;
  /** STT_*, STB_*, STV_*. */
  readonly type: number;
  readonly binding: number;
  readonly visibility: number;
  /** Index of the section it is defined in; absent for undefined, absolute and common symbols. */
  readonly section?: number;
  /** st_shndx as stored, with SHN_* for what has no section. */
  readonly shndx: number;
  /** Bytes from the start of the section in a relocatable file. `Infinity` beyond 2^53. */
  readonly value: number;
  /** Bytes. `Infinity` beyond 2^53. */
  readonly size: number;
}

export interface ElfRelocation {
  /** Bytes from the start of the section that is patched. `Infinity` beyond 2^53. */
  readonly offset: number;
  /** R_BPF_* and the like. */
  readonly type: number;
  /** Index into the symbol table. */
  readonly symbol: number;
}

/** Symbols and relocations are read when first asked for; what is wrong with them joins the log then. */
export class ElfFile {
  readonly bytes: Uint8Array;
  readonly header: Ehdr;
  readonly littleEndian: boolean;
  /** By index; fewer than the header declares when the table is cut. */
  readonly sections: readonly ElfSection[];
  readonly log = new DiagnosticLog();
  readonly #view: DataView;
  readonly #strings = new Map<number, StringTable>();
  readonly #relocations = new Map<number, readonly ElfRelocation[]>();
  #symbols: readonly ElfSymbol[] | undefined;
  #symbolsIn: Map<number, ElfSymbol[]> | undefined;
  #relocationSections: Map<number, ElfSection[]> | undefined;
  /** Sections may overlap: without a limit, many of them could read the same bytes again and again. */
  #relocationBudget: number;
  #byName: Map<string, ElfSection> | undefined;

  /**
   * Reads the header and the section table.
   * @throws FormatError `elf-magic`, `elf-class`, `elf-byte-order`, `out-of-bounds` when the bytes do not begin with an ELF-64 header.
   */
  static parse(bytes: Uint8Array): ElfFile {
    return new ElfFile(bytes);
  }

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = viewOf(bytes);
    this.header = readHeader(bytes, this.#view);
    this.littleEndian = isLittleEndian(this.header);
    this.#relocationBudget = Math.floor(bytes.length / rel64.size);
    this.sections = this.#readSections();
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.log.diagnostics;
  }

  /** The first section of this name. */
  section(name: string): ElfSection | undefined {
    this.#byName ??= firstByName(this.sections);
    return this.#byName.get(name);
  }

  /** A window on the bytes of a section: fewer than its size where the file ends early, none for SHT_NOBITS. */
  content(section: ElfSection): Uint8Array {
    if (section.type === SHT.NOBITS || section.type === SHT.NULL) return this.bytes.subarray(0, 0);
    const start = Math.min(section.offset, this.bytes.length);
    return this.bytes.subarray(start, Math.min(start + section.size, this.bytes.length));
  }

  /** The first SHT_SYMTAB: a linkable object has exactly one. */
  get symbolTable(): ElfSection | undefined {
    return this.sections.find((section) => section.type === SHT.SYMTAB);
  }

  /** The symbol table, entry 0 included, so that places are indices. */
  get symbols(): readonly ElfSymbol[] {
    if (this.#symbols === undefined) {
      const table = this.symbolTable;
      this.#symbols = table === undefined ? [] : this.#readSymbols(table);
    }
    return this.#symbols;
  }

  /** The symbols defined in a section, by index. */
  symbolsIn(section: ElfSection): readonly ElfSymbol[] {
    this.#symbolsIn ??= groupBy(this.symbols, (symbol) => symbol.section);
    return this.#symbolsIn.get(section.index) ?? [];
  }

  /** The entries of one SHT_REL section, in file order; empty for every other section. */
  relocations(section: ElfSection): readonly ElfRelocation[] {
    const known = this.#relocations.get(section.index);
    if (known !== undefined) return known;
    const relocations = section.type === SHT.REL ? this.#readRelocations(section) : [];
    this.#relocations.set(section.index, relocations);
    return relocations;
  }

  /** The SHT_REL sections that patch this section, by index. */
  relocationSections(target: ElfSection): readonly ElfSection[] {
    this.#relocationSections ??= groupBy(this.sections, ({ type, info }) => (type === SHT.REL ? info : undefined));
    return this.#relocationSections.get(target.index) ?? [];
  }

  #readSections(): ElfSection[] {
    const rows = this.#readSectionTable();
    const names = this.#sectionNames(rows);
    const sections = rows.map((row, index): ElfSection => {
      const section = {
        index,
        name: this.#name(names, row.sh_name, 'section', index),
        type: row.sh_type,
        flags: row.sh_flags,
        address: row.sh_addr,
        offset: row.sh_offset,
        size: row.sh_size,
        link: row.sh_link,
        info: row.sh_info,
        alignment: row.sh_addralign,
        entrySize: row.sh_entsize,
      };
      this.#checkExtent(section);
      return section;
    });
    return sections;
  }

  #readSectionTable(): Shdr[] {
    const { e_shoff, e_shentsize } = this.header;
    if (e_shoff === 0) {
      this.log.warn('no-section-table', 'section table', 'e_shoff is 0: no section table');
      return [];
    }
    if (e_shentsize !== shdr64.size) {
      this.log.warn('section-header-size', 'header', `e_shentsize is ${e_shentsize}, read as ${shdr64.size}`);
    }
    const first = this.log.attempt('section table', () => this.#sectionHeader(0));
    if (first === undefined) return [];
    // gABI "Section Header Table Entry: Index 0": the real count, when it does not fit e_shnum, is in its sh_size.
    const declared = this.header.e_shnum === 0 ? first.sh_size : this.header.e_shnum;
    const count = Math.min(declared, Math.floor((this.bytes.length - e_shoff) / shdr64.size));
    if (count < declared) {
      const message = `${declared} sections declared, the file ends after ${count}`;
      this.log.warn('section-table-truncated', 'section table', message);
    }
    return Array.from({ length: count }, (_, index) => this.#sectionHeader(index));
  }

  #sectionHeader(index: number): Shdr {
    return shdr64.read(this.#view, this.header.e_shoff + index * shdr64.size, this.littleEndian);
  }

  #sectionNames(rows: readonly Shdr[]): StringTable | undefined {
    const { e_shstrndx } = this.header;
    const index = e_shstrndx === SHN.XINDEX ? rows[0]?.sh_link : e_shstrndx;
    if (rows.length === 0 || index === SHN.UNDEF || index === undefined) return undefined;
    const row = rows[index];
    if (row === undefined) {
      this.log.warn(
        'section-names-range',
        'header',
        `names are in section ${index}, the last one is ${rows.length - 1}`,
      );
      return undefined;
    }
    const start = Math.min(row.sh_offset, this.bytes.length);
    return new StringTable(this.bytes.subarray(start, Math.min(start + row.sh_size, this.bytes.length)));
  }

  #checkExtent(section: ElfSection): void {
    if (section.type === SHT.NOBITS || section.type === SHT.NULL || section.size === 0) return;
    const end = section.offset + section.size;
    if (end <= this.bytes.length) return;
    const message = `ends at ${place(end)}, object ends at ${hex(this.bytes.length)}`;
    this.log.warn('section-truncated', describeSection(section), message);
  }

  #readSymbols(table: ElfSection): ElfSymbol[] {
    const rows = this.#rows(table, sym64.size);
    const names = this.#linkedStrings(table);
    const extended = this.#extendedIndices(table);
    const symbols: ElfSymbol[] = [];
    for (let index = 0; index < rows.count; index++) {
      const row = sym64.read(rows.view, index * sym64.size, this.littleEndian);
      const section = this.#definingSection(row.st_shndx, index, extended);
      symbols.push({
        index,
        name: this.#name(names, row.st_name, 'symbol', index),
        type: row.st_info & 0x0f,
        binding: row.st_info >> 4,
        visibility: row.st_other & 0x03,
        ...(section !== undefined && section < this.sections.length && { section }),
        shndx: row.st_shndx,
        value: row.st_value,
        size: row.st_size,
      });
      if (section !== undefined && section >= this.sections.length) {
        const message = `is in section ${section}, the last one is ${this.sections.length - 1}`;
        this.log.warn('symbol-section', `symbol ${index}`, message);
      }
    }
    return symbols;
  }

  #definingSection(shndx: number, symbol: number, extended: Rows | undefined): number | undefined {
    if (shndx === SHN.XINDEX && extended !== undefined && symbol < extended.count) {
      return extended.view.getUint32(4 * symbol, this.littleEndian);
    }
    return shndx === SHN.UNDEF || shndx >= SHN.LORESERVE ? undefined : shndx;
  }

  /** Section numbers that do not fit st_shndx lie in a table of their own, linked to the symbol table. */
  #extendedIndices(table: ElfSection): Rows | undefined {
    const indices = this.sections.find(({ type, link }) => type === SHT.SYMTAB_SHNDX && link === table.index);
    return indices === undefined ? undefined : this.#rows(indices, 4);
  }

  #linkedStrings(section: ElfSection): StringTable | undefined {
    const known = this.#strings.get(section.link);
    if (known !== undefined) return known;
    const table = this.sections[section.link];
    if (table === undefined || table.type !== SHT.STRTAB) {
      const found = table === undefined ? `the last one is ${this.sections.length - 1}` : `has type ${table.type}`;
      this.log.warn(
        'string-table',
        describeSection(section),
        `its names are in section ${section.link}, which ${found}`,
      );
      return undefined;
    }
    const strings = new StringTable(this.content(table));
    this.#strings.set(section.link, strings);
    return strings;
  }

  #readRelocations(section: ElfSection): ElfRelocation[] {
    const rows = this.#rows(section, rel64.size);
    const count = Math.min(rows.count, this.#relocationBudget);
    this.#relocationBudget -= count;
    if (count < rows.count) {
      const message = `${rows.count} relocations, ${count} read: relocation sections overlap`;
      this.log.warn('relocations-overlap', describeSection(section), message);
    }
    const relocations: ElfRelocation[] = [];
    for (let index = 0; index < count; index++) {
      const row = rel64.read(rows.view, index * rel64.size, this.littleEndian);
      relocations.push({
        offset: row.r_offset,
        type: Number(row.r_info & 0xffff_ffffn),
        symbol: Number(row.r_info >> 32n),
      });
    }
    return relocations;
  }

  /** The empty string for a name that cannot be read. */
  #name(names: StringTable | undefined, at: number, what: string, index: number): string {
    const name = names?.at(at);
    if (names === undefined || name !== undefined) return name ?? '';
    const [code, message] = names.problem(at);
    this.log.warn(code, `${what} ${index}`, message);
    return '';
  }

  /** As many whole rows as are there. */
  #rows(section: ElfSection, rowSize: number): Rows {
    const content = this.content(section);
    if (section.entrySize !== rowSize) {
      const message = `sh_entsize is ${place(section.entrySize)}, read as ${hex(rowSize)}`;
      this.log.warn('entry-size', describeSection(section), message);
    }
    return { view: viewOf(content), count: Math.floor(content.length / rowSize) };
  }
}

interface Rows {
  readonly view: DataView;
  readonly count: number;
}

/** `section 7 ".maps"`: how diagnostics name a section. */
export function describeSection(section: ElfSection): string {
  return `section ${section.index} ${JSON.stringify(section.name)}`;
}

function readHeader(bytes: Uint8Array, view: DataView): Ehdr {
  if (!ELFMAG.every((byte, at) => bytes[at] === byte)) {
    throw new FormatError('elf-magic', 0, 'the bytes do not begin with the ELF magic');
  }
  if (bytes[EI.CLASS] !== ELFCLASS[64]) {
    throw new FormatError('elf-class', EI.CLASS, `ELF class ${bytes[EI.CLASS]}, only class ${ELFCLASS[64]} is read`);
  }
  const order = bytes[EI.DATA];
  if (order !== ELFDATA.LSB && order !== ELFDATA.MSB) {
    throw new FormatError(
      'elf-byte-order',
      EI.DATA,
      `byte order ${order} is neither ${ELFDATA.LSB} nor ${ELFDATA.MSB}`,
    );
  }
  return ehdr64.read(view, 0, order === ELFDATA.LSB);
}

function firstByName(sections: readonly ElfSection[]): Map<string, ElfSection> {
  const byName = new Map<string, ElfSection>();
  for (const section of sections) if (!byName.has(section.name)) byName.set(section.name, section);
  return byName;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => number | undefined): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function place(value: number): string {
  return Number.isFinite(value) ? hex(value) : 'more than 2^53';
}
