// The memory of one process by address. Pages that do not exist are never asked of the process: they read as the mapped
// file's bytes, or as zeros, which is what the process would see. So reading changes nothing in it.
import { readSync } from 'node:fs';
import { type ByteRange, bytesIn, intersect, lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { type Diagnostic, hex } from '../diagnostics.ts';
import type { Libc } from '../sys/libc.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';
import { OpenFile } from './file.ts';
import { type Backing, type MappedFile, MappedFiles } from './mapped-file.ts';
import type { Mapping } from './maps.ts';
import { existingPages, PAGE, type PageRange } from './pagemap.ts';
import type { OpenProcess } from './process.ts';

/** A mapping and what lies behind it. */
export interface Backed {
  readonly mapping: Mapping;
  readonly backing: Backing;
}

export class ProcessMemory implements Reader {
  /** Ascending; without mappings that are skipped by rule. */
  readonly mappings: readonly Backed[];
  /** Mappings skipped by rule, by the rule. */
  readonly skipped: readonly string[];
  /** The memory was given up by the process: what was read just now is not to be trusted. */
  gone = false;
  /** The first place that could not be read, and why. */
  failure: Diagnostic | undefined;
  private readonly descriptor: number;
  private readonly pagemap: number;
  private readonly libc: Libc | undefined;
  private readonly window: ByteRange | undefined;
  private existing: readonly PageRange[] | undefined;
  private readonly where: string;
  private readonly files = new Map<string, OpenFile | undefined>();

  /** `window`: addresses outside it read as if no page existed there. */
  constructor(process: OpenProcess, libc: Libc | undefined, window?: ByteRange) {
    const files = new MappedFiles(process.source.pid);
    const backed = process.mappings.map((mapping) => ({ mapping, backing: files.of(mapping) }));
    this.skipped = [
      ...process.skipped,
      ...backed.flatMap(({ backing }) => (backing.kind === 'device' ? [backing.rule] : [])),
    ];
    this.mappings = backed.filter(({ backing }) => backing.kind !== 'device');
    this.descriptor = process.memory;
    this.pagemap = process.pagemap;
    this.libc = libc;
    this.window = window;
    this.where = `pid:${process.source.pid}`;
  }

  /** The pages that exist in the mappings, ascending: as they were when first asked for. */
  get pages(): readonly PageRange[] {
    if (this.existing === undefined) {
      const mapped = this.mappings.map(({ mapping }) => ({ from: mapping.start, to: mapping.end }));
      const looked = this.window ? intersect(mapped, [this.window]) : mapped;
      this.existing = existingPages(this.pagemap, looked, this.libc);
      // Every program has pages: without any it was left behind by an exit or exec since it was opened.
      if (this.existing.length === 0) this.gone = true;
    }
    return this.existing;
  }

  /** Mappings side by side, joined: an object may lie across their borders. */
  get spans(): ByteRange[] {
    const spans: ByteRange[] = [];
    for (const { mapping } of this.mappings) {
      const last = spans.at(-1);
      if (last?.to === mapping.start) spans[spans.length - 1] = { from: last.from, to: mapping.end };
      else spans.push({ from: mapping.start, to: mapping.end });
    }
    return spans;
  }

  /** Bytes of pages that exist in a range of addresses. */
  storedIn(range: ByteRange): number {
    const pages = this.pages;
    const first = Math.max(
      0,
      lastAtOrBefore(pages, range.from, ({ from }) => from),
    );
    const past = lastAtOrBefore(pages, range.to, ({ from }) => from) + 1;
    return bytesIn(intersect(pages.slice(first, past), [range]));
  }

  mappingAt(address: number): Backed | undefined {
    const found = this.mappings[lastAtOrBefore(this.mappings, address, ({ mapping }) => mapping.start)];
    return found !== undefined && address < found.mapping.end ? found : undefined;
  }

  /** From address `at` on, up to the first address that is not mapped or cannot be read without a change in the process. */
  readInto(target: Uint8Array, at: number): number {
    return this.read(target, at, false);
  }

  /**
   * The memory from `base` on, for the bytes of an object that was found: where a page does not exist and its file cannot be
   * opened, the process is made to fault it in.
   */
  from(base: number): Reader {
    return { readInto: (target, at) => this.read(target, base + at, true) };
  }

  close(): void {
    for (const file of this.files.values()) file?.close();
    this.files.clear();
  }

  private read(target: Uint8Array, at: number, touching: boolean): number {
    let done = 0;
    while (done < target.length) {
      const address = at + done;
      const piece = this.pieceAt(address);
      if (piece === undefined) break;
      const part = target.subarray(done, Math.min(target.length, done + piece.to - address));
      const count = this.readPiece(piece, part, address, touching);
      done += count;
      if (count < part.length) break;
    }
    return done;
  }

  /** What lies at `address`, up to where something else begins. */
  private pieceAt(address: number): Piece | undefined {
    const index = lastAtOrBefore(this.pages, address, ({ from }) => from);
    const page = this.pages[index];
    if (page !== undefined && address < page.to) return { kind: 'page', to: page.to };
    const around = this.mappingAt(address);
    if (around === undefined) return undefined;
    const to = Math.min(around.mapping.end, this.pages[index + 1]?.from ?? Number.POSITIVE_INFINITY);
    return { kind: 'hole', to, around };
  }

  private readPiece(piece: Piece, target: Uint8Array, address: number, touching: boolean): number {
    if (piece.kind === 'page') return this.readPages(target, address);
    const { mapping, backing } = piece.around;
    if (backing.kind === 'anonymous') {
      target.fill(0);
      return target.length;
    }
    const file = backing.kind === 'file' ? this.fileAt(backing.file) : undefined;
    if (file !== undefined && typeof mapping.offset === 'number') {
      return file.readInto(target, mapping.offset + address - mapping.start);
    }
    return touching ? this.readPages(target, address) : 0;
  }

  private readPages(target: Uint8Array, address: number): number {
    let done = 0;
    try {
      while (done < target.length) {
        const count = readSync(this.descriptor, target, done, target.length - done, address + done);
        // Only of memory that no process has any more does the kernel read nothing, without an error.
        if (count === 0) {
          this.gone = true;
          break;
        }
        done += count;
      }
    } catch (error) {
      if (!isErrno(error)) throw error;
      this.failure ??= errnoDiagnostic(error, `${this.where} ${hex(address + done)}`, 'cannot read', 'info');
    }
    return done;
  }

  private fileAt({ key, path }: MappedFile): OpenFile | undefined {
    if (!this.files.has(key)) this.files.set(key, openMapped(path));
    return this.files.get(key);
  }
}

/** `undefined` when it cannot be opened: the process may just have ended. */
export function openMapped(path: string): OpenFile | undefined {
  try {
    return new OpenFile(path, { follow: true, shortReads: true });
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}

/** The first address of the page after the one at `address`. */
export function nextPage(address: number): number {
  return (Math.floor(address / PAGE) + 1) * PAGE;
}

type Piece =
  | { readonly kind: 'page'; readonly to: number }
  | { readonly kind: 'hole'; readonly to: number; readonly around: Backed };
