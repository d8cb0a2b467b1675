// What little a report says of the ELF file around an object: its section there, and its build id.
// Reads any ELF of either class and byte order through a Reader, in bounded work; never complains.

import { cstring } from '../bytes/cstring.ts';
import { layout, off64, type Row, u16, u32, viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { FormatError } from '../diagnostics.ts';
import { ehdr64, nhdr, shdr64 } from './layouts.ts';
import { EI, ELFCLASS, ELFDATA, NT_GNU_BUILD_ID, SHN, SHT } from './names.ts';

export interface HostSection {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface HostElf {
  /** Sections that occupy bytes of the file. */
  readonly sections: readonly HostSection[];
  /** Hexadecimal. */
  readonly buildId?: string;
}

/** Hosts with more sections than this are named without them. */
const SECTIONS_READ = 4096;
const NAMES_READ = 1 << 20;
/** Of one name: thousands of sections may share one that fills the table. */
const NAME_READ = 256;
const NOTE_READ = 4096;

const shdr32 = layout({
  sh_name: u32,
  sh_type: u32,
  sh_flags: u32,
  sh_addr: u32,
  sh_offset: u32,
  sh_size: u32,
  sh_link: u32,
  sh_info: u32,
  sh_addralign: u32,
  sh_entsize: u32,
});
/** The end of the 32-bit header, from e_shoff on. */
const tail32 = layout({
  e_shoff: u32,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});
const tail64 = layout({
  e_shoff: off64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});
const TAIL32_AT = 32;
const TAIL64_AT = ehdr64.offsets.e_shoff;
type Section = Pick<Row<typeof shdr64.fields>, 'sh_name' | 'sh_type' | 'sh_offset' | 'sh_size' | 'sh_link'>;

/** The ELF file at the start of `reader`; `undefined` when there is none that can be read. */
export function readHostElf(reader: Reader): HostElf | undefined {
  const ident = readAt(reader, 0, ehdr64.size);
  if (ident.length < 52 || ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46)
    return undefined;
  try {
    return readSections(reader, ident);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

/** The name of the host's section in which the byte at `offset` lies. */
export function sectionAt(host: HostElf, offset: number): string | undefined {
  return host.sections.find((section) => offset >= section.offset && offset < section.offset + section.size)?.name;
}

function readSections(reader: Reader, ident: Uint8Array): HostElf | undefined {
  const little = ident[EI.DATA] === ELFDATA.LSB;
  const wide = ident[EI.CLASS] === ELFCLASS[64];
  const header = wide ? tail64.read(viewOf(ident), TAIL64_AT, little) : tail32.read(viewOf(ident), TAIL32_AT, little);
  const row = wide ? shdr64 : shdr32;
  if (header.e_shoff === 0 || !Number.isFinite(header.e_shoff)) return { sections: [] };
  const first = row.read(viewOf(readAt(reader, header.e_shoff, row.size)), 0, little);
  const count = Math.min(header.e_shnum === 0 ? first.sh_size : header.e_shnum, SECTIONS_READ);
  const table = viewOf(readAt(reader, header.e_shoff, count * row.size));
  const rows: Section[] = [];
  for (let at = 0; at + row.size <= table.byteLength; at += row.size) rows.push(row.read(table, at, little));
  const names = rows[header.e_shstrndx === SHN.XINDEX ? first.sh_link : header.e_shstrndx];
  const strings = names
    ? readAt(reader, within(names.sh_offset), Math.min(names.sh_size, NAMES_READ))
    : new Uint8Array();
  const buildId = findBuildId(reader, rows, little);
  const sections = rows.filter(occupiesBytes).map((section) => ({
    name: section.sh_name < strings.length ? nameAt(strings, section.sh_name) : '',
    offset: section.sh_offset,
    size: section.sh_size,
  }));
  return buildId === undefined ? { sections } : { sections, buildId };
}

function nameAt(strings: Uint8Array, at: number): string {
  return cstring(strings.subarray(0, at + NAME_READ), at);
}

function occupiesBytes(section: Section): boolean {
  return section.sh_type !== SHT.NULL && section.sh_type !== SHT.NOBITS && section.sh_size > 0;
}

function findBuildId(reader: Reader, sections: readonly Section[], little: boolean): string | undefined {
  for (const section of sections) {
    if (section.sh_type !== SHT.NOTE) continue;
    const id = buildIdIn(readAt(reader, within(section.sh_offset), Math.min(section.sh_size, NOTE_READ)), little);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** gABI "Note Section": name and descriptor are each padded to four bytes. */
function buildIdIn(notes: Uint8Array, little: boolean): string | undefined {
  const view = viewOf(notes);
  for (let at = 0; at + nhdr.size <= notes.length; ) {
    const note = nhdr.read(view, at, little);
    const name = at + nhdr.size;
    const descriptor = name + align4(note.n_namesz);
    const next = descriptor + align4(note.n_descsz);
    if (next > notes.length + 3) return undefined;
    if (note.n_type === NT_GNU_BUILD_ID && note.n_namesz === 4 && cstring(notes, name) === 'GNU') {
      return Buffer.from(notes.subarray(descriptor, descriptor + note.n_descsz)).toString('hex');
    }
    at = next;
  }
  return undefined;
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function within(offset: number): number {
  if (!Number.isFinite(offset)) throw new FormatError('section-range', 0, 'section offset over 2^53');
  return offset;
}
