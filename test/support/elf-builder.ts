// Writes small ELF-64 objects for tests, right by default and wrong where a test says so.
// Shares no code with the parser: every field is written here by offset, from the ELF specification.

export type Endianness = 'little' | 'big';

const SHT = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3, NOBITS: 8, REL: 9, SYMTAB_SHNDX: 18 } as const;
const SHF = { WRITE: 1, ALLOC: 2, EXECINSTR: 4 } as const;
const STT = { notype: 0, object: 1, func: 2, section: 3, file: 4 } as const;
const STB = { local: 0, global: 1, weak: 2 } as const;
const STV = { default: 0, internal: 1, hidden: 2, protected: 3 } as const;
const SHN = { undefined: 0, loreserve: 0xff00, absolute: 0xfff1, common: 0xfff2, xindex: 0xffff } as const;

/** The ELF header as written; `ident` is e_ident. */
export interface HeaderFields {
  readonly ident: readonly number[];
  readonly e_type: number;
  readonly e_machine: number;
  readonly e_version: number;
  readonly e_entry: bigint;
  readonly e_phoff: bigint;
  readonly e_shoff: bigint;
  readonly e_flags: number;
  readonly e_ehsize: number;
  readonly e_phentsize: number;
  readonly e_phnum: number;
  readonly e_shentsize: number;
  readonly e_shnum: number;
  readonly e_shstrndx: number;
}

/** A section header as written. */
export interface SectionFields {
  readonly sh_name: number;
  readonly sh_type: number;
  readonly sh_flags: bigint;
  readonly sh_addr: bigint;
  readonly sh_offset: bigint;
  readonly sh_size: bigint;
  readonly sh_link: number;
  readonly sh_info: number;
  readonly sh_addralign: bigint;
  readonly sh_entsize: bigint;
}

export interface SectionOptions {
  /** Default PROGBITS, or NOBITS when only `size` is given. */
  readonly type?: number;
  /** Default WRITE | ALLOC. */
  readonly flags?: number;
  readonly content?: Uint8Array;
  /** Bytes of a section without content. */
  readonly size?: number;
  /** Written instead of what would be right. */
  readonly fields?: Partial<SectionFields>;
}

export interface SymbolOptions {
  /** Section by name; absent for an undefined symbol. */
  readonly section?: string;
  readonly type?: keyof typeof STT;
  readonly binding?: keyof typeof STB;
  readonly visibility?: keyof typeof STV;
  readonly value?: number;
  readonly size?: number;
  /** Written instead of what would be right. */
  readonly fields?: {
    readonly st_name?: number;
    readonly st_shndx?: number;
    readonly st_value?: bigint;
    readonly st_size?: bigint;
  };
}

export interface DefinitionOptions {
  readonly section: string;
  readonly content: Uint8Array;
  readonly binding?: keyof typeof STB;
  readonly visibility?: keyof typeof STV;
  readonly flags?: number;
}

export interface Instruction {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  content: Uint8Array;
  readonly size: number;
  readonly fields: Partial<SectionFields>;
}
interface Symbol extends SymbolOptions {
  readonly name: string;
}
interface Relocation {
  readonly offset: number;
  readonly symbol: string | number;
  readonly type: number;
}

export class ElfBuilder {
  readonly little: boolean;
  readonly #header: Partial<HeaderFields>;
  readonly #sections: Section[] = [];
  readonly #indices = new Map<string, number>();
  readonly #symbols: Symbol[] = [];
  readonly #relocations = new Map<string, Relocation[]>();
  #withTable = true;

  constructor(endianness: Endianness = 'little', header: Partial<HeaderFields> = {}) {
    this.little = endianness === 'little';
    this.#header = header;
  }

  /** Sections keep the order of their first mention; the tables come after them. */
  section(name: string, options: SectionOptions = {}): this {
    const content = options.content ?? new Uint8Array(0);
    if (!this.#indices.has(name)) this.#indices.set(name, this.#sections.length + 1);
    this.#sections.push({
      name,
      type: options.type ?? (options.content === undefined && options.size !== undefined ? SHT.NOBITS : SHT.PROGBITS),
      flags: options.flags ?? SHF.WRITE | SHF.ALLOC,
      content,
      size: options.size ?? content.length,
      fields: options.fields ?? {},
    });
    return this;
  }

  /** Appends code to an executable section and names it with an STT_FUNC symbol. */
  function(name: string, options: DefinitionOptions): this {
    return this.#define(name, 'func', { flags: SHF.ALLOC | SHF.EXECINSTR, ...options });
  }

  /** Appends data to a section and names it with an STT_OBJECT symbol. */
  variable(name: string, options: DefinitionOptions): this {
    return this.#define(name, 'object', options);
  }

  license(text = 'GPL'): this {
    return this.section('license', { content: new TextEncoder().encode(`${text}\0`) });
  }

  /** Symbols keep their order except that local ones come first; number 0 is always there. */
  symbol(name: string, options: SymbolOptions = {}): this {
    this.#symbols.push({ name, ...options });
    return this;
  }

  /** An entry of `.rel<section>`. `symbol` is a name, or any number to be written as it is. */
  relocation(section: string, offset: number, symbol: string | number, type = 1): this {
    const relocations = this.#relocations.get(section) ?? [];
    relocations.push({ offset, symbol, type });
    this.#relocations.set(section, relocations);
    return this;
  }

  withoutSectionTable(): this {
    this.#withTable = false;
    return this;
  }

  build(): Uint8Array {
    const strings = new Strings();
    const symbols = [...this.#symbols].sort((a, b) => Number(isGlobal(a)) - Number(isGlobal(b)));
    const sections = [...this.#sections];
    const needsExtended = sections.length + this.#relocations.size + 4 >= SHN.loreserve;
    const symtab = sections.length + 1;
    const strtab = symtab + 1;
    const symbolContent = this.#symbolTable(symbols, strings);
    const locals = 1 + symbols.filter((symbol) => !isGlobal(symbol)).length;
    sections.push(table('.symtab', SHT.SYMTAB, symbolContent, { sh_link: strtab, sh_info: locals, sh_entsize: 24n }));
    sections.push(table('.strtab', SHT.STRTAB, new Uint8Array(0), { sh_entsize: 0n }));
    const places = new Map(symbols.map((symbol, index) => [symbol.name, index + 1]));
    for (const [target, relocations] of this.#relocations) {
      const content = this.#relocationTable(relocations, places);
      const fields = { sh_link: symtab, sh_info: this.#indices.get(target) ?? 0, sh_entsize: 16n };
      sections.push(table(`.rel${target}`, SHT.REL, content, fields));
    }
    if (needsExtended) {
      const content = this.#extendedIndices(symbols);
      sections.push(table('.symtab_shndx', SHT.SYMTAB_SHNDX, content, { sh_link: symtab, sh_entsize: 4n }));
    }
    const names = sections.map(({ name }) => strings.add(name));
    const stringTable = sections[strtab - 1];
    if (stringTable) stringTable.content = strings.bytes();
    return this.#write(sections, names, strtab);
  }

  #define(name: string, type: 'func' | 'object', options: DefinitionOptions): this {
    const { section, content, binding, visibility, flags } = options;
    if (!this.#indices.has(section))
      this.section(section, { ...(flags !== undefined && { flags }), content: new Uint8Array(0) });
    const home = this.#sections[(this.#indices.get(section) ?? 0) - 1];
    if (home === undefined) throw new Error(`no section ${section}`);
    const value = home.content.length;
    home.content = concat([home.content, content]);
    return this.symbol(name, {
      section,
      type,
      value,
      size: content.length,
      binding: binding ?? 'global',
      ...(visibility && { visibility }),
    });
  }

  #sectionIndex(symbol: Symbol): number {
    if (symbol.section === undefined) return symbol.type === 'file' ? SHN.absolute : SHN.undefined;
    const index = this.#indices.get(symbol.section);
    if (index === undefined) throw new Error(`no section ${symbol.section}`);
    return index;
  }

  #symbolTable(symbols: readonly Symbol[], strings: Strings): Uint8Array {
    const view = new DataView(new ArrayBuffer(24 * (symbols.length + 1)));
    symbols.forEach((symbol, place) => {
      const at = 24 * (place + 1);
      const index = this.#sectionIndex(symbol);
      const isReal = symbol.section !== undefined;
      const { st_name, st_shndx, st_value, st_size } = symbol.fields ?? {};
      view.setUint32(at, st_name ?? strings.add(symbol.name), this.little);
      view.setUint8(at + 4, (STB[symbol.binding ?? 'global'] << 4) | STT[symbol.type ?? 'notype']);
      view.setUint8(at + 5, STV[symbol.visibility ?? 'default']);
      view.setUint16(at + 6, st_shndx ?? (isReal && index >= SHN.loreserve ? SHN.xindex : index), this.little);
      view.setBigUint64(at + 8, st_value ?? BigInt(symbol.value ?? 0), this.little);
      view.setBigUint64(at + 16, st_size ?? BigInt(symbol.size ?? 0), this.little);
    });
    return new Uint8Array(view.buffer);
  }

  #extendedIndices(symbols: readonly Symbol[]): Uint8Array {
    const view = new DataView(new ArrayBuffer(4 * (symbols.length + 1)));
    symbols.forEach((symbol, place) => {
      view.setUint32(4 * (place + 1), this.#sectionIndex(symbol), this.little);
    });
    return new Uint8Array(view.buffer);
  }

  #relocationTable(relocations: readonly Relocation[], places: ReadonlyMap<string, number>): Uint8Array {
    const view = new DataView(new ArrayBuffer(16 * relocations.length));
    relocations.forEach(({ offset, symbol, type }, row) => {
      const index = typeof symbol === 'number' ? symbol : places.get(symbol);
      if (index === undefined) throw new Error(`no symbol ${symbol}`);
      view.setBigUint64(16 * row, BigInt(offset), this.little);
      view.setBigUint64(16 * row + 8, (BigInt(index) << 32n) | BigInt(type), this.little);
    });
    return new Uint8Array(view.buffer);
  }

  #write(sections: readonly Section[], names: readonly number[], strtab: number): Uint8Array {
    const starts: number[] = [];
    let end = 64;
    for (const { content } of sections) {
      end = Math.ceil(end / 8) * 8;
      starts.push(end);
      end += content.length;
    }
    const tableStart = Math.ceil(end / 8) * 8;
    const count = sections.length + 1;
    const isExtended = count >= SHN.loreserve;
    const bytes = new Uint8Array(this.#withTable ? tableStart + 64 * count : end);
    const view = new DataView(bytes.buffer);
    sections.forEach(({ content }, place) => {
      bytes.set(content, starts[place]);
    });
    this.#writeHeader(view, {
      e_shoff: this.#withTable ? BigInt(tableStart) : 0n,
      e_shnum: this.#withTable && !isExtended ? count : 0,
      e_shstrndx: this.#withTable ? (strtab >= SHN.loreserve ? SHN.xindex : strtab) : 0,
    });
    if (!this.#withTable) return bytes;
    const first = { sh_size: BigInt(isExtended ? count : 0), sh_link: strtab >= SHN.loreserve ? strtab : 0 };
    this.#writeSection(view, tableStart, { sh_type: 0, sh_name: 0, sh_offset: 0n, ...first });
    sections.forEach((section, place) => {
      this.#writeSection(view, tableStart + 64 * (place + 1), {
        sh_name: names[place] ?? 0,
        sh_type: section.type,
        sh_flags: BigInt(section.flags),
        sh_offset: BigInt(starts[place] ?? 0),
        sh_size: BigInt(section.type === SHT.NOBITS ? section.size : section.content.length),
        sh_addralign: 8n,
        ...section.fields,
      });
    });
    return bytes;
  }

  #writeHeader(view: DataView, defaults: Partial<HeaderFields>): void {
    const header = { ...defaults, ...this.#header };
    const ident = header.ident ?? [0x7f, 0x45, 0x4c, 0x46, 2, this.little ? 1 : 2, 1];
    ident.forEach((byte, at) => {
      view.setUint8(at, byte);
    });
    view.setUint16(16, header.e_type ?? 1, this.little);
    view.setUint16(18, header.e_machine ?? 247, this.little);
    view.setUint32(20, header.e_version ?? 1, this.little);
    view.setBigUint64(24, header.e_entry ?? 0n, this.little);
    view.setBigUint64(32, header.e_phoff ?? 0n, this.little);
    view.setBigUint64(40, header.e_shoff ?? 0n, this.little);
    view.setUint32(48, header.e_flags ?? 0, this.little);
    view.setUint16(52, header.e_ehsize ?? 64, this.little);
    view.setUint16(54, header.e_phentsize ?? 0, this.little);
    view.setUint16(56, header.e_phnum ?? 0, this.little);
    view.setUint16(58, header.e_shentsize ?? 64, this.little);
    view.setUint16(60, header.e_shnum ?? 0, this.little);
    view.setUint16(62, header.e_shstrndx ?? 0, this.little);
  }

  #writeSection(view: DataView, at: number, fields: Partial<SectionFields>): void {
    view.setUint32(at, fields.sh_name ?? 0, this.little);
    view.setUint32(at + 4, fields.sh_type ?? 0, this.little);
    view.setBigUint64(at + 8, fields.sh_flags ?? 0n, this.little);
    view.setBigUint64(at + 16, fields.sh_addr ?? 0n, this.little);
    view.setBigUint64(at + 24, fields.sh_offset ?? 0n, this.little);
    view.setBigUint64(at + 32, fields.sh_size ?? 0n, this.little);
    view.setUint32(at + 40, fields.sh_link ?? 0, this.little);
    view.setUint32(at + 44, fields.sh_info ?? 0, this.little);
    view.setBigUint64(at + 48, fields.sh_addralign ?? 0n, this.little);
    view.setBigUint64(at + 56, fields.sh_entsize ?? 0n, this.little);
  }
}

/** BPF instructions as bytes, 8 each; an ld_imm64 is written as its two slots. */
export function code(endianness: Endianness, instructions: readonly Instruction[]): Uint8Array {
  const little = endianness === 'little';
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  instructions.forEach(({ code, dst = 0, src = 0, off = 0, imm = 0 }, index) => {
    view.setUint8(8 * index, code);
    view.setUint8(8 * index + 1, little ? (src << 4) | dst : (dst << 4) | src);
    view.setInt16(8 * index + 2, off, little);
    view.setInt32(8 * index + 4, imm, little);
  });
  return new Uint8Array(view.buffer);
}

/** Numbers of 32 bits one after another: legacy map definitions, version sections, raw BTF. */
export function words(endianness: Endianness, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => {
    view.setUint32(4 * index, value, endianness === 'little');
  });
  return new Uint8Array(view.buffer);
}

class Strings {
  readonly #places = new Map<string, number>([['', 0]]);
  readonly #pieces: Uint8Array[] = [new Uint8Array(1)];
  #end = 1;

  add(text: string): number {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const piece = new TextEncoder().encode(`${text}\0`);
    const at = this.#end;
    this.#places.set(text, at);
    this.#pieces.push(piece);
    this.#end += piece.length;
    return at;
  }

  bytes(): Uint8Array {
    return concat(this.#pieces);
  }
}

function table(name: string, type: number, content: Uint8Array, fields: Partial<SectionFields>): Section {
  return { name, type, flags: 0, content, size: content.length, fields };
}

function isGlobal({ binding }: Symbol): boolean {
  return binding !== 'local';
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
