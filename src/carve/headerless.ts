// Objects whose ELF header was overwritten: the section table around their BTF says what the header said.
// Finds them by that BTF, puts the header back, and leaves every other byte as it is.
import { type Field, off64, viewOf } from '../bytes/layout.ts';
import { type ByteRange, lastAtOrBefore } from '../bytes/range.ts';
import { memoryReader, type Reader, readAt } from '../bytes/reader.ts';
import { FormatError } from '../diagnostics.ts';
import { measureExtent } from '../elf/extent.ts';
import { ehdr64, type Shdr, shdr64 } from '../elf/layouts.ts';
import { EI, ELFCLASS, ELFDATA, ELFMAG, EM, ET, EV_CURRENT, SHT } from '../elf/names.ts';
import { type BtfBlob, type BtfNames, namesOf, readBtfBlob } from './btf-blob.ts';

export interface RebuiltObject {
  /** Bytes from the start of the source: where the header was. */
  readonly offset: number;
  /** A whole object; only its first 64 bytes are not those of the source. */
  readonly bytes: Uint8Array;
  readonly endianness: 'little' | 'big';
  readonly sections: number;
}

/** BTF of an object of which no section table is left. */
export interface PartialObject extends BtfNames {
  /** Of the BTF, bytes from the start of the source. */
  readonly offset: number;
  readonly btf: Uint8Array;
  readonly endianness: 'little' | 'big';
  readonly types: number;
}

export interface HeaderlessCarving {
  readonly rebuilt: readonly RebuiltObject[];
  readonly partial: readonly PartialObject[];
  readonly limited: boolean;
}

/** How far from its BTF the section table of an object may lie. */
const REACH = 8 * 1024 * 1024;
/** Bytes that are searched for section tables in one source. */
const BUDGET = 512 * 1024 * 1024;
/** Bytes of BTF that are read in one source besides its own size: headers inside one another could claim far more. */
const BTF_BUDGET = 256 * 1024 * 1024;
const MOST_SECTIONS = 65536;

/**
 * The objects around the BTF at `anchors` (ascending), of a source of `size` bytes. `known`: the objects that were carved by
 * their headers, ascending and apart; nothing is looked for in them.
 */
export function carveHeaderless(
  reader: Reader,
  anchors: readonly number[],
  size: number,
  known: readonly ByteRange[] = [],
): HeaderlessCarving {
  const rebuilt: RebuiltObject[] = [];
  const partial: PartialObject[] = [];
  let budget = BUDGET;
  const work = { bytes: BTF_BUDGET + size };
  let covered = 0;
  for (const anchor of anchors) {
    if (anchor < covered || isInside(anchor, known)) continue;
    if (budget <= 0 || work.bytes <= 0) return { rebuilt, partial, limited: true };
    const blob = readBtfBlob(reader, anchor, work);
    if (blob === undefined) continue;
    const low = Math.max(0, anchor - REACH);
    const window = readAt(reader, low, Math.min(size, anchor + blob.bytes.length + REACH) - low);
    budget -= window.length;
    const object = rebuild(new Surroundings(window, low, blob));
    if (object === 'has a header') continue;
    if (object !== undefined) {
      rebuilt.push(object);
      covered = object.offset + object.bytes.length;
    } else partial.push(describePartial(blob));
  }
  return { rebuilt, partial, limited: false };
}

function describePartial({ offset, bytes, btf }: BtfBlob): PartialObject {
  const endianness = btf.littleEndian ? 'little' : 'big';
  return { offset, btf: bytes, endianness, types: btf.count, ...namesOf(btf) };
}

function isInside(at: number, ranges: readonly ByteRange[]): boolean {
  const range = ranges[lastAtOrBefore(ranges, at, ({ from }) => from)];
  return range !== undefined && at < range.to;
}

/** The bytes around a BTF; places count from the start of the window. */
class Surroundings {
  readonly window: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly little: boolean;
  readonly btf: number;
  readonly btfSize: number;

  constructor(window: Uint8Array, start: number, blob: BtfBlob) {
    this.window = window;
    this.view = viewOf(window);
    this.start = start;
    this.little = blob.btf.littleEndian;
    this.btf = blob.offset - start;
    this.btfSize = blob.bytes.length;
  }

  row(at: number): Shdr | undefined {
    return at >= 0 && at + shdr64.size <= this.window.length ? shdr64.read(this.view, at, this.little) : undefined;
  }

  number(field: Field<number>, at: number): number {
    return field.read(this.view, at, this.little);
  }
}

interface Table {
  /** Where the header was. */
  readonly base: number;
  readonly first: number;
  readonly rows: readonly Shdr[];
  readonly names: number;
}

function rebuild(around: Surroundings): RebuiltObject | 'has a header' | undefined {
  for (const row of rowsOfBtf(around)) {
    const table = readTable(around, row);
    if (table === undefined) continue;
    if (ELFMAG.every((byte, index) => around.window[table.base + index] === byte)) {
      const machine = around.view.getUint16(table.base + ehdr64.offsets.e_machine, around.little);
      if (machine === EM.BPF) return 'has a header';
    }
    const bytes = withHeader(around, table);
    if (bytes === undefined) continue;
    return {
      offset: around.start + table.base,
      bytes,
      endianness: around.little ? 'little' : 'big',
      sections: table.rows.length,
    };
  }
  return undefined;
}

const { sh_size, sh_offset } = shdr64.offsets;

/** Places of section headers whose size is that of the BTF, those behind it first: there compilers put the table. */
function* rowsOfBtf(around: Surroundings): Generator<number> {
  const { window, btf, btfSize, little } = around;
  const pattern = new Uint8Array(8);
  viewOf(pattern).setBigUint64(0, BigInt(btfSize), little);
  // The byte that tells most: the lowest one of the size.
  const key = little ? 0 : 7;
  for (const [from, to] of [
    [btf + btfSize, window.length],
    [0, btf],
  ] as const) {
    const range = window.subarray(from, to);
    for (let at = range.indexOf(pattern[key] as number); at >= 0; at = range.indexOf(pattern[key] as number, at + 1)) {
      const value = from + at - key;
      if (value < sh_size || value + 8 > window.length) continue;
      if (pattern.every((byte, index) => window[value + index] === byte)) yield value - sh_size;
    }
  }
}

function readTable(around: Surroundings, at: number): Table | undefined {
  const row = around.row(at);
  if (row === undefined || row.sh_type !== SHT.PROGBITS) return undefined;
  const base = around.btf - around.number(off64, at + sh_offset);
  if (base < 0 || around.btf - base < ehdr64.size) return undefined;
  const isSane = (each: Shdr | undefined) => each !== undefined && isSection(each, around.window.length - base);
  let first = at;
  while (first - shdr64.size >= base && isSane(around.row(first - shdr64.size))) first -= shdr64.size;
  const nullRow = around.row(first - shdr64.size);
  if (nullRow === undefined || !isNull(nullRow)) return undefined;
  first -= shdr64.size;
  const rows: Shdr[] = [nullRow];
  for (let next = around.row(first + shdr64.size); next !== undefined && isSane(next); ) {
    rows.push(next);
    if (rows.length >= MOST_SECTIONS) break;
    next = around.row(first + rows.length * shdr64.size);
  }
  const names = rows.findIndex((each) => hasName(around, base, each, row.sh_name, '.BTF'));
  const strings = rows[names];
  if (strings === undefined) return undefined;
  // What follows the table may look like a row; a real one has a name where a name can be.
  const end = rows.findIndex((each, index) => index > 0 && each.sh_name >= strings.sh_size);
  return { base, first, names, rows: end < 0 ? rows : rows.slice(0, end) };
}

/** Types that linkers write, and those of processors, systems and users. */
const FIRST_RESERVED_TYPE = 0x6000_0000;

function isSection(row: Shdr, available: number): boolean {
  const isKnown = (row.sh_type > SHT.NULL && row.sh_type <= SHT.SYMTAB_SHNDX) || row.sh_type >= FIRST_RESERVED_TYPE;
  const isThere = row.sh_type === SHT.NOBITS || row.sh_offset + row.sh_size <= available;
  const alignment = row.sh_addralign;
  return isKnown && isThere && row.sh_entsize <= 4096 && (alignment & (alignment - 1n)) === 0n && alignment <= 4096n;
}

function isNull(row: Shdr): boolean {
  return Object.values(row).every((value) => value === 0 || value === 0n);
}

function hasName(around: Surroundings, base: number, strings: Shdr, at: number, name: string): boolean {
  if (strings.sh_type !== SHT.STRTAB || at + name.length >= strings.sh_size) return false;
  const start = base + strings.sh_offset + at;
  return [...name, '\0'].every((character, index) => around.window[start + index] === character.charCodeAt(0));
}

function withHeader(around: Surroundings, table: Table): Uint8Array | undefined {
  const { little, window } = around;
  const bytes = window.slice(table.base);
  const view = viewOf(bytes);
  const { offsets } = ehdr64;
  bytes.fill(0, 0, ehdr64.size);
  bytes.set(ELFMAG);
  bytes[EI.CLASS] = ELFCLASS[64];
  bytes[EI.DATA] = little ? ELFDATA.LSB : ELFDATA.MSB;
  bytes[EI.VERSION] = EV_CURRENT;
  view.setUint16(offsets.e_type, ET.REL, little);
  view.setUint16(offsets.e_machine, EM.BPF, little);
  view.setUint32(offsets.e_version, EV_CURRENT, little);
  view.setBigUint64(offsets.e_shoff, BigInt(table.first - table.base), little);
  view.setUint16(offsets.e_ehsize, ehdr64.size, little);
  view.setUint16(offsets.e_shentsize, shdr64.size, little);
  view.setUint16(offsets.e_shnum, table.rows.length, little);
  view.setUint16(offsets.e_shstrndx, table.names, little);
  try {
    const extent = measureExtent(memoryReader(bytes), 0, bytes.length);
    return extent.tableCut ? undefined : bytes.slice(0, extent.present);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
