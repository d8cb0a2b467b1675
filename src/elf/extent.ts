// How many bytes an ELF file declares that it has, from its header and tables alone.
// Says nothing about what the bytes mean, and does not judge whether a loader would take them.
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { FormatError, hex } from '../diagnostics.ts';
import { type Ehdr, ehdr64, phdr64, type Shdr, shdr64 } from './layouts.ts';
import { EI, ELFDATA, ET, PN_XNUM, SHN, SHT } from './names.ts';

/** No declared end may lie further than this from the header: larger than any BPF object by a factor of 60. */
export const EXTENT_CEILING = 256 * 1024 * 1024;

/** Sections per object that are read at all; the format's own limit without extended numbering is 0xff00. */
const SECTION_CEILING = 1 << 20;

export interface Extent {
  /** Offset just past the last declared byte that lies below the ceiling. */
  readonly end: number;
  /** Bytes that are there: `end` unless the source ends before it. */
  readonly present: number;
  /** Whether the section header table itself reaches past the end of the source. */
  readonly tableCut: boolean;
  /** Number of section headers, extended numbering resolved. */
  readonly sections: number;
  /** What was left out of `end`, and where: claims beyond the ceiling. */
  readonly impossible: readonly string[];
}

/** Whether EI_DATA says that the fields are stored least significant byte first. */
export function isLittleEndian(header: Ehdr): boolean {
  return header.e_ident[EI.DATA] === ELFDATA.LSB;
}

/**
 * The extent of the ELF file whose header lies at `at` of `reader`, with `available` bytes from there on.
 * Reads the header and tables, never section contents. Work is linear in the number of sections.
 * @throws FormatError when no size can be had: `no-section-table`, `section-table-range`,
 *   `section-names-range`, `section-names-type`, `too-many-sections`.
 */
export function measureExtent(reader: Reader, at: number, available: number): Extent {
  const head = readAt(reader, at, ehdr64.size);
  const header = ehdr64.read(viewOf(head), 0, head[EI.DATA] === ELFDATA.LSB);
  const first = readFirstSection(reader, at, available, header);
  const count = countSections(header, first);
  const tableEnd = header.e_shoff + count * shdr64.size;
  if (tableEnd > EXTENT_CEILING) throw absurdTable(header.e_shoff, count);

  const reach = new Reach(available);
  reach.add(0, ehdr64.size);
  reach.add(header.e_shoff, tableEnd);
  const present = Math.max(0, Math.min(count, Math.floor((available - header.e_shoff) / shdr64.size)));
  checkNameSection(reader, at, header, first, count, present);
  addSections(reach, reader, at, header, present);
  if (header.e_type === ET.EXEC || header.e_type === ET.DYN) addSegments(reach, reader, at, available, header, first);

  return {
    end: reach.end,
    present: tableEnd > available ? available : reach.present,
    tableCut: tableEnd > available,
    sections: count,
    impossible: reach.impossible,
  };
}

/** Collects declared byte ranges: how far they go, and how far of that is there. */
class Reach {
  end = 0;
  present = 0;
  readonly impossible: string[] = [];
  private readonly available: number;

  constructor(available: number) {
    this.available = available;
  }

  add(start: number, end: number): void {
    if (end > this.end) this.end = end;
    if (start < this.available) this.present = Math.max(this.present, Math.min(end, this.available));
  }

  addClaim(what: string, index: number, start: number, size: number): void {
    const end = start + size;
    if (end <= EXTENT_CEILING) this.add(start, end);
    else if (this.impossible.length < IMPOSSIBLE_LISTED) {
      this.impossible.push(`${what} ${index}: ${claim(size)} at ${claim(start)} end past ${hex(EXTENT_CEILING)}`);
    }
  }
}

const IMPOSSIBLE_LISTED = 16;

function claim(value: number): string {
  return Number.isFinite(value) ? hex(value) : 'over 2^53';
}

function readFirstSection(reader: Reader, at: number, available: number, header: Ehdr): Shdr | undefined {
  if (header.e_shoff === 0)
    throw new FormatError('no-section-table', ehdr64.offsets.e_shoff, 'e_shoff is 0: no section table');
  if (header.e_shoff > EXTENT_CEILING) throw absurdTable(header.e_shoff, header.e_shnum);
  if (header.e_shoff + shdr64.size > available) return undefined;
  return shdr64.read(viewOf(readAt(reader, at + header.e_shoff, shdr64.size)), 0, isLittleEndian(header));
}

function countSections(header: Ehdr, first: Shdr | undefined): number {
  if (header.e_shnum !== 0) return header.e_shnum;
  // gABI "Section Header Table Entry: Index 0": the real count, when it does not fit e_shnum, is in its sh_size.
  if (first === undefined) return 1;
  if (first.sh_size === 0)
    throw new FormatError('no-section-table', ehdr64.offsets.e_shnum, 'e_shnum and sh_size of section 0 are both 0');
  if (first.sh_size > SECTION_CEILING) {
    throw new FormatError(
      'too-many-sections',
      header.e_shoff,
      `${claim(first.sh_size)} sections declared, at most ${hex(SECTION_CEILING)} are read`,
    );
  }
  return first.sh_size;
}

function checkNameSection(
  reader: Reader,
  at: number,
  header: Ehdr,
  first: Shdr | undefined,
  count: number,
  present: number,
): void {
  if (header.e_shstrndx === SHN.XINDEX && first === undefined) return;
  const index = header.e_shstrndx === SHN.XINDEX && first ? first.sh_link : header.e_shstrndx;
  if (index >= count && (header.e_shnum !== 0 || first !== undefined)) {
    throw new FormatError('section-names-range', ehdr64.offsets.e_shstrndx, `e_shstrndx ${index} of ${count} sections`);
  }
  if (index >= present) return;
  const view = viewOf(readAt(reader, at + header.e_shoff + index * shdr64.size, shdr64.size));
  const { sh_type } = shdr64.read(view, 0, isLittleEndian(header));
  if (sh_type !== SHT.STRTAB) {
    throw new FormatError(
      'section-names-type',
      ehdr64.offsets.e_shstrndx,
      `section ${index}, named by e_shstrndx, has type ${sh_type}, not SHT_STRTAB`,
    );
  }
}

function addSections(reach: Reach, reader: Reader, at: number, header: Ehdr, count: number): void {
  const little = isLittleEndian(header);
  const { sh_type, sh_offset, sh_size } = shdr64.offsets;
  visitRows(reader, at + header.e_shoff, count, shdr64.size, (view, base, row) => {
    const type = view.getUint32(base + sh_type, little);
    const size = shdr64.fields.sh_size.read(view, base + sh_size, little);
    if (type === SHT.NULL || type === SHT.NOBITS || size === 0) return;
    reach.addClaim('section', row, shdr64.fields.sh_offset.read(view, base + sh_offset, little), size);
  });
}

function addSegments(
  reach: Reach,
  reader: Reader,
  at: number,
  available: number,
  header: Ehdr,
  first: Shdr | undefined,
): void {
  const count = header.e_phnum === PN_XNUM && first ? first.sh_info : header.e_phnum;
  if (count === 0 || header.e_phoff === 0) return;
  reach.addClaim('program header table', 0, header.e_phoff, count * phdr64.size);
  const rows = Math.min(count, SECTION_CEILING, Math.max(0, Math.floor((available - header.e_phoff) / phdr64.size)));
  const little = isLittleEndian(header);
  const { p_offset, p_filesz } = phdr64.offsets;
  visitRows(reader, at + header.e_phoff, rows, phdr64.size, (view, base, row) => {
    const size = phdr64.fields.p_filesz.read(view, base + p_filesz, little);
    if (size > 0) reach.addClaim('segment', row, phdr64.fields.p_offset.read(view, base + p_offset, little), size);
  });
}

const ROWS_PER_READ = 1024;

/** Calls `visit` with the place of every row of a table, as far as the bytes go; reads many at a time. */
function visitRows(
  reader: Reader,
  at: number,
  count: number,
  size: number,
  visit: (view: DataView, base: number, row: number) => void,
): void {
  for (let done = 0; done < count; done += ROWS_PER_READ) {
    const view = viewOf(readAt(reader, at + done * size, Math.min(ROWS_PER_READ, count - done) * size));
    const rows = Math.floor(view.byteLength / size);
    for (let row = 0; row < rows; row++) visit(view, row * size, done + row);
  }
}

function absurdTable(offset: number, count: number): FormatError {
  return new FormatError(
    'section-table-range',
    ehdr64.offsets.e_shoff,
    `section table of ${count} headers at ${claim(offset)} ends past ${hex(EXTENT_CEILING)}`,
  );
}
