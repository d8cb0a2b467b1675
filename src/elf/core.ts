// An ELF core file as what it is an image of: memory by address, with the mappings that the kernel or gdb noted.
// Knows segments and the NT_FILE note; says nothing of threads, registers or signals. 64-bit only.

import { layout, off64, u64, viewOf } from '../bytes/layout.ts';
import { type ByteRange, lastAtOrBefore } from '../bytes/range.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { attempt, type Diagnostic } from '../diagnostics.ts';
import { ehdr64, nhdr, phdr64, shdr64 } from './layouts.ts';
import { EI, ELFCLASS, ELFDATA, ELFMAG, ET, PN_XNUM, PT } from './names.ts';

/** A segment of memory. Addresses are numbers; segments beyond 2^53 are left out. */
export interface CoreSegment {
  readonly start: number;
  /** Past the last byte of the mapping. */
  readonly end: number;
  /** Where the bytes lie in the core file, and how many there are: the rest was not dumped. */
  readonly offset: number;
  readonly stored: number;
  /** PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
}

/** One mapped file of the NT_FILE note. */
export interface CoreMapping {
  readonly start: number;
  readonly end: number;
  /** Of `start` in the mapped file. */
  readonly offset: number;
  /** The bytes of its path. */
  readonly path: Uint8Array;
}

export interface CoreFile {
  /** Ascending and apart. */
  readonly segments: readonly CoreSegment[];
  readonly mappings: readonly CoreMapping[];
}

const SEGMENTS_READ = 1 << 20;
const NOTES_READ = 64 * 1024 * 1024;

/** The core file that `reader` holds, `undefined` when it is none. What is wrong in it is left out. */
export function readCoreFile(reader: Reader, size: number): CoreFile | undefined {
  const head = readAt(reader, 0, ehdr64.size);
  if (head.length < ehdr64.size || ELFMAG.some((byte, at) => head[at] !== byte)) return undefined;
  if (head[EI.CLASS] !== ELFCLASS[64]) return undefined;
  const little = head[EI.DATA] === ELFDATA.LSB;
  const header = ehdr64.read(viewOf(head), 0, little);
  if (header.e_type !== ET.CORE) return undefined;
  const ignored: Diagnostic[] = [];
  return attempt(ignored, 'core file', () => {
    const count = Math.min(
      header.e_phnum === PN_XNUM ? extendedCount(reader, header.e_shoff, little) : header.e_phnum,
      SEGMENTS_READ,
    );
    const table = viewOf(
      readAt(reader, header.e_phoff, Math.min(count * phdr64.size, Math.max(0, size - header.e_phoff))),
    );
    const segments: CoreSegment[] = [];
    const mappings: CoreMapping[] = [];
    for (let at = 0; at + phdr64.size <= table.byteLength; at += phdr64.size) {
      const { p_type, p_flags, p_offset, p_vaddr, p_filesz, p_memsz } = phdr64.read(table, at, little);
      const start = Number(p_vaddr);
      const end = start + p_memsz;
      const stored = Math.max(0, Math.min(p_filesz, p_memsz, size - p_offset));
      if (p_type === PT.LOAD && p_memsz > 0 && Number.isSafeInteger(end)) {
        segments.push({ start, end, offset: p_offset, stored, flags: p_flags });
      } else if (p_type === PT.NOTE && mappings.length === 0) {
        mappings.push(
          ...readMappings(
            readAt(reader, p_offset, Math.max(0, Math.min(p_filesz, size - p_offset, NOTES_READ))),
            little,
          ),
        );
      }
    }
    return { segments: apart(segments), mappings };
  });
}

/** gABI "Section Header Table Entry: Index 0": the real count, when it does not fit e_phnum, is in its sh_info. */
function extendedCount(reader: Reader, tableOffset: number, little: boolean): number {
  return shdr64.read(viewOf(readAt(reader, tableOffset, shdr64.size)), 0, little).sh_info;
}

/** In order of address, without those that overlap one before. */
function apart(segments: CoreSegment[]): CoreSegment[] {
  let end = 0;
  return segments
    .sort((a, b) => a.start - b.start)
    .filter((segment) => {
      if (segment.start < end) return false;
      end = segment.end;
      return true;
    });
}

/** "FILE" of <linux/elf.h>; fill_files_note() of fs/binfmt_elf.c writes it. */
const NT_FILE = 0x46494c45;
const fileTable = layout({ count: off64, page_size: off64 });
const fileRow = layout({ start: u64, end: u64, file_ofs: off64 });

function readMappings(notes: Uint8Array, little: boolean): CoreMapping[] {
  const view = viewOf(notes);
  for (let at = 0; at + nhdr.size <= notes.length; ) {
    const { n_namesz, n_descsz, n_type } = nhdr.read(view, at, little);
    const descriptor = at + nhdr.size + align4(n_namesz);
    const next = descriptor + align4(n_descsz);
    if (next > notes.length + 3) break;
    if (n_type === NT_FILE)
      return attempt([], 'NT_FILE', () => readFiles(notes.subarray(descriptor, next), little)) ?? [];
    at = next;
  }
  return [];
}

function readFiles(note: Uint8Array, little: boolean): CoreMapping[] {
  const view = viewOf(note);
  const { count, page_size } = fileTable.read(view, 0, little);
  const rows = Math.min(count, Math.floor((note.length - fileTable.size) / fileRow.size));
  const mappings: CoreMapping[] = [];
  let name = fileTable.size + count * fileRow.size;
  for (let row = 0; row < rows && name < note.length; row++) {
    const { start, end, file_ofs } = fileRow.read(view, fileTable.size + row * fileRow.size, little);
    const length = note.subarray(name).indexOf(0);
    if (length < 0) break;
    const path = note.slice(name, name + length);
    name += length + 1;
    mappings.push({ start: Number(start), end: Number(end), offset: file_ofs * page_size, path });
  }
  return mappings.sort((a, b) => a.start - b.start);
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** The memory in a core file by address: bytes that were not dumped end a read as the end of a file does. */
export class CoreMemory implements Reader {
  private readonly reader: Reader;
  private readonly stored: readonly CoreSegment[];
  private readonly byOffset: readonly CoreSegment[];

  constructor(reader: Reader, core: CoreFile) {
    this.reader = reader;
    this.stored = core.segments.filter(({ stored }) => stored > 0);
    this.byOffset = [...this.stored].sort((a, b) => a.offset - b.offset);
  }

  /** Stored bytes that lie side by side in memory, joined. */
  get spans(): ByteRange[] {
    const spans: ByteRange[] = [];
    for (const { start, stored } of this.stored) {
      const last = spans.at(-1);
      if (last?.to === start) spans[spans.length - 1] = { from: last.from, to: start + stored };
      else spans.push({ from: start, to: start + stored });
    }
    return spans;
  }

  /** Addresses at which memory goes on but the core file does not: where a search of the file sees no border. */
  get seams(): number[] {
    return this.stored.flatMap(({ start, offset }, index) => {
      const before = this.stored[index - 1];
      const joined = before !== undefined && before.start + before.stored === start;
      return joined && before.offset + before.stored !== offset ? [start] : [];
    });
  }

  addressOf(offset: number): number | undefined {
    const segment = this.byOffset[lastAtOrBefore(this.byOffset, offset, (found) => found.offset)];
    if (segment === undefined || offset >= segment.offset + segment.stored) return undefined;
    return segment.start + offset - segment.offset;
  }

  offsetOf(address: number): number | undefined {
    const segment = this.segmentAt(address);
    return segment === undefined ? undefined : segment.offset + address - segment.start;
  }

  segmentAt(address: number): CoreSegment | undefined {
    const segment = this.stored[lastAtOrBefore(this.stored, address, (found) => found.start)];
    return segment !== undefined && address < segment.start + segment.stored ? segment : undefined;
  }

  readInto(target: Uint8Array, at: number): number {
    let done = 0;
    while (done < target.length) {
      const segment = this.segmentAt(at + done);
      if (segment === undefined) break;
      const into = at + done - segment.start;
      const part = target.subarray(done, Math.min(target.length, done + segment.stored - into));
      const count = this.reader.readInto(part, segment.offset + into);
      done += count;
      if (count < part.length) break;
    }
    return done;
  }
}
