// Examines processes: their own pages in each of them, and the files that they map once for all.
// Synchronous: it runs the same in a worker thread and inline.
import { type ByteRange, bytesIn, coalesce, covers, intersect, lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { type Anchors, anchorsWithin, gatherAnchors } from '../carve/anchors.ts';
import { newRunBudget } from '../carve/runs.ts';
import type { Candidates, SearchRange } from '../carve/search.ts';
import { hex } from '../diagnostics.ts';
import { ehdr64 } from '../elf/layouts.ts';
import { holdsBpf } from '../source/descriptors.ts';
import { isSparse, storedRanges } from '../source/holes.ts';
import type { MappedFile } from '../source/mapped-file.ts';
import { type Mapping, regionOf } from '../source/maps.ts';
import { PAGE } from '../source/pagemap.ts';
import { OpenProcess, openProcess, type Refusal } from '../source/process.ts';
import { type Backed, nextPage, openMapped, ProcessMemory } from '../source/process-memory.ts';
import { libc } from '../sys/libc.ts';
import type { Examination, Subject } from './examination.ts';
import { SPLIT_FROM, segments } from './segments.ts';

/** The parts of a file that a process maps. */
export interface FileUse {
  readonly file: MappedFile;
  /** Ascending and apart. */
  readonly ranges: readonly ByteRange[];
}

/** What a search of a mapped file gave, or which parts of it are better searched by several threads. */
export interface MappedSearch {
  /** The file cannot be read, or only at the cost of reading its holes: its pages must be found in each process. */
  readonly unread?: true;
  readonly parts: readonly Candidates[];
  readonly rest: readonly SearchRange[];
}

/** Headers in the searched parts of a file: what process tasks need of it. */
export interface SearchedFile {
  readonly key: string;
  readonly ranges: readonly ByteRange[];
  /** Offsets in the file. */
  readonly headers: readonly number[];
  readonly anchors?: Anchors;
}

/** A process with so much memory that several threads search it; then it is carved with what they found. */
export interface LargeProcess {
  readonly identity: string;
  readonly ranges: readonly SearchRange[];
}

export interface ProcessTask {
  readonly pid: number;
  readonly searched: readonly SearchedFile[];
  /** What searches of the ranges of this very memory gave; absent when it is to be searched now. */
  readonly found?: { readonly identity: string; readonly parts: readonly Candidates[] };
}

export interface ProcessAnswer {
  readonly refusal?: Refusal;
  readonly large?: LargeProcess;
  /** Rules by which mappings were skipped, one for each mapping. */
  readonly skipped: readonly string[];
}

export class ProcessExaminer {
  private readonly examination: Examination;

  constructor(examination: Examination) {
    this.examination = examination;
  }

  private get raw(): boolean {
    return this.examination.options.raw.processes;
  }

  /** The files that a process maps, or why it cannot be examined. */
  survey(pid: number): readonly FileUse[] | Refusal {
    return this.withMemory(pid, (_, memory) => fileUses(memory.mappings));
  }

  /** Searches parts of a mapped file; with `split`, only says which when they are many. */
  searchMapped({ path, name }: MappedFile, ranges: readonly ByteRange[], split: boolean): MappedSearch {
    const file = openMapped(path);
    if (file === undefined) return { unread: true, parts: [], rest: [] };
    try {
      const sys = libc();
      if (isSparse(file) && sys === undefined) return { unread: true, parts: [], rest: [] };
      const stored = sys && isSparse(file) ? intersect(storedRanges(file, 0, sys), ranges) : ranges;
      const pieces = segments(stored);
      if (split && bytesIn(pieces) > SPLIT_FROM) return { parts: [], rest: pieces };
      const parts = pieces.map((piece) => this.examination.search(file, piece, this.raw));
      if (file.failure && parts.every((part) => part.seen === 0)) return { unread: true, parts: [], rest: [] };
      this.examination.countRejected(parts, { where: name, base: 0 });
      return { parts, rest: [] };
    } finally {
      file.close();
    }
  }

  /** Searches ranges of a process's memory, if it still is the one that was meant. */
  searchRanges(pid: number, identity: string, ranges: readonly SearchRange[]): Candidates[] {
    const search = (process: OpenProcess, memory: ProcessMemory) =>
      process.identity === identity ? this.searchMemory(memory, ranges) : [];
    const from = Math.floor((ranges[0]?.from ?? 0) / PAGE) * PAGE;
    const parts = this.withMemory(pid, search, { from, to: nextPage((ranges.at(-1)?.to ?? 0) + REACH) });
    return 'reason' in parts ? [] : parts;
  }

  /** Searches a process's own pages and carves them and the files that it maps; when it is large, only says what to search. */
  examine(task: ProcessTask): ProcessAnswer {
    const answer = this.withMemory(task.pid, (process, memory) => {
      if (task.found && task.found.identity !== process.identity) return changedSince(process);
      const ranges = task.found ? [] : segments(rangesToSearch(memory, task.searched));
      if (bytesIn(ranges) > SPLIT_FROM) return { large: { identity: process.identity, ranges }, skipped: [] };
      const parts = task.found?.parts ?? this.searchMemory(memory, ranges);
      this.carve(process, memory, parts, task.searched);
      this.examination.tally.sources++;
      return this.conclude(process, memory);
    });
    return 'reason' in answer ? { refusal: answer, skipped: [] } : answer;
  }

  private conclude(process: OpenProcess, memory: ProcessMemory): ProcessAnswer {
    if (memory.failure) this.examination.diagnostic(memory.failure);
    const refusal = process.changed() ?? (memory.gone ? LEFT_BEHIND : undefined);
    return { ...(refusal && { refusal }), skipped: memory.skipped };
  }

  private withMemory<T>(
    pid: number,
    use: (process: OpenProcess, memory: ProcessMemory) => T,
    window?: ByteRange,
  ): T | Refusal {
    const process = openProcess(pid);
    if (!(process instanceof OpenProcess)) return process;
    const memory = new ProcessMemory(process, libc(), window);
    try {
      return use(process, memory);
    } finally {
      memory.close();
      process.close();
    }
  }

  private searchMemory(memory: ProcessMemory, ranges: readonly SearchRange[]): Candidates[] {
    const parts: Candidates[] = [];
    for (const range of ranges) {
      // A page that exists and still cannot be read is passed over; after several of them in a row, more at once.
      let step = 1;
      for (let from = range.from; from < range.to && !this.examination.cancelled() && !memory.gone; ) {
        const part = this.examination.search(memory, { from, to: range.to }, this.raw);
        parts.push(part);
        if (part.end === undefined || part.end >= range.to) break;
        step = part.end > nextPage(from) ? 1 : step * 2;
        from = nextPage(part.end) + (step - 1) * PAGE;
      }
    }
    return parts;
  }

  private carve(
    process: OpenProcess,
    memory: ProcessMemory,
    parts: readonly Candidates[],
    searched: readonly SearchedFile[],
  ): void {
    const where = `pid:${process.source.pid}`;
    this.examination.countRejected(parts, { where, base: 0 });
    const inFiles = placesInFiles(memory.mappings, searched, ({ headers }) => headers);
    const headers = [...parts.flatMap((part) => part.offsets), ...inFiles.addresses];
    const ascending = [...new Set(headers)].sort((a, b) => a - b);
    const anchors = gatherAnchors([...parts, ...anchorsInFiles(memory.mappings, searched)]);
    const budget = newRunBudget(bytesIn(memory.pages));
    const isOwner = this.raw && anchors !== undefined && holdsBpf(process.source.pid);
    let next = 0;
    let room = OBJECT_BYTES + OBJECT_BYTES_PER_BYTE * bytesIn(memory.pages);
    let left = inFiles.left;
    for (const span of memory.spans) {
      const offsets: number[] = [];
      for (; next < ascending.length && (ascending[next] as number) < span.to; next++) {
        offsets.push((ascending[next] as number) - span.from);
      }
      const around = anchors && anchorsWithin(anchors, span);
      if (offsets.length === 0 && around === undefined) continue;
      const subject: Subject = {
        where,
        base: span.from,
        stored: offsets.length > 0 ? memory.storedIn(span) : 0,
        admits: ({ size }) => {
          room -= size;
          if (room < 0) left++;
          return room >= 0;
        },
        place: ({ offset }) => {
          const header = memory.mappingAt(span.from + offset);
          if (memory.gone || header === undefined) return undefined;
          return { source: process.source, address: hex(span.from + offset), region: regionOf(header.mapping) };
        },
      };
      const size = span.to - span.from;
      const judged = [{ offsets, rejected: {}, listed: [] }];
      const known = offsets.length > 0 ? this.examination.carve(memory.from(span.from), judged, size, subject) : [];
      if (around === undefined) continue;
      // What only may be code is no reason to make the process read a page.
      const reader: Reader = { readInto: (target, at) => memory.readInto(target, span.from + at) };
      const search = { known, raw: this.raw, aligned: true, isOwner, budget };
      this.examination.carveOutside(reader, around, size, subject, search);
    }
    if (anchors) this.examination.reportDropped(anchors, where);
    this.examination.tally.candidates += inFiles.left;
    if (left > 0) this.reportLeft(left, where);
  }

  private reportLeft(left: number, where: string): void {
    const { tally } = this.examination;
    tally.rejected['work-limit'] = (tally.rejected['work-limit'] ?? 0) + left;
    const message = `${left} objects were left out: this process maps the same bytes over and over`;
    this.examination.diagnostic({ severity: 'warning', code: 'work-limit', where, message });
  }
}

const LEFT_BEHIND: Refusal = { reason: 'exec', code: 'exec', message: 'gave its memory up while it was read' };

function changedSince(process: OpenProcess): Refusal {
  const reason = 'exec';
  return { reason, code: reason, message: `${process.source.comm}: another program took its place while it was read` };
}

/** Each file that can be read in place of its pages, with the parts that are mapped. */
function fileUses(mappings: readonly Backed[]): FileUse[] {
  const uses = new Map<string, { readonly file: MappedFile; readonly ranges: ByteRange[] }>();
  for (const { mapping, backing } of mappings) {
    const range = fileRange(mapping);
    if (backing.kind !== 'file' || range === undefined) continue;
    const use = uses.get(backing.file.key) ?? { file: backing.file, ranges: [] };
    use.ranges.push(range);
    uses.set(backing.file.key, use);
  }
  return [...uses.values()].map(({ file, ranges }) => ({ file, ranges: coalesce(ranges) }));
}

function fileRange({ start, end, offset }: Mapping): ByteRange | undefined {
  return typeof offset === 'number' ? { from: offset, to: offset + end - start } : undefined;
}

/** Addresses of one kind that one process is searched at: a file full of headers can be mapped thousands of times. */
const PLACES_IN_FILES = 1 << 18;
/** Bytes of objects read from one process: these at least, and more as it has more memory. Mappings alone cost it nothing. */
const OBJECT_BYTES = 2 ** 30;
const OBJECT_BYTES_PER_BYTE = 4;

/** Addresses at which what was found in files lies in this process, and how many more there are. */
function placesInFiles(
  mappings: readonly Backed[],
  searched: readonly SearchedFile[],
  pick: (file: SearchedFile) => readonly number[],
): { readonly addresses: readonly number[]; readonly left: number } {
  const byKey = new Map<string, readonly number[]>();
  for (const file of searched) {
    const offsets = pick(file);
    if (offsets.length > 0)
      byKey.set(
        file.key,
        [...offsets].sort((a, b) => a - b),
      );
  }
  if (byKey.size === 0) return { addresses: [], left: 0 };
  const mapped = mappings.flatMap(({ mapping, backing }) => {
    const offsets = backing.kind === 'file' ? byKey.get(backing.file.key) : undefined;
    const range = fileRange(mapping);
    if (offsets === undefined || range === undefined) return [];
    const first = lastAtOrBefore(offsets, range.from - 1, (offset) => offset) + 1;
    const past = lastAtOrBefore(offsets, range.to - 1, (offset) => offset) + 1;
    return [{ offsets, first, past, base: mapping.start - range.from }];
  });
  const addresses: number[] = [];
  let left = 0;
  // Those with few come first: what the limit leaves out is a flood, not an object beside one.
  for (const { offsets, first, past, base } of mapped.sort((a, b) => a.past - a.first - (b.past - b.first))) {
    const taken = Math.min(past, first + PLACES_IN_FILES - addresses.length);
    for (let index = first; index < taken; index++) addresses.push(base + (offsets[index] as number));
    left += past - taken;
  }
  return { addresses, left };
}

function anchorsInFiles(mappings: readonly Backed[], searched: readonly SearchedFile[]): { anchors: Anchors }[] {
  if (searched.every(({ anchors }) => anchors === undefined)) return [];
  const kinds = (['exits', 'btf', 'returns', 'loaders'] as const).map((kind) => {
    const { addresses, left } = placesInFiles(mappings, searched, ({ anchors }) => anchors?.[kind] ?? []);
    return { kind, addresses, left };
  });
  const [exits = [], btf = [], returns = [], loaders = []] = kinds.map(({ addresses }) => addresses);
  const dropped = kinds.reduce((sum, { left }) => sum + left, 0);
  return [{ anchors: { exits, btf, returns, loaders, dropped, droppedReturns: 0 } }];
}

/** Bytes before a page in which a header may begin that ends in the page. */
const REACH = ehdr64.size - 1;

/**
 * Where in this process headers must be looked for: its own pages, with the bytes before them in which a header may begin;
 * and the borders between mappings, which no search of a file sees.
 */
function rangesToSearch(memory: ProcessMemory, searched: readonly SearchedFile[]): ByteRange[] {
  const files = new Map(searched.map((file) => [file.key, file.ranges]));
  const isSearched = ({ mapping, backing }: Backed) => {
    const range = fileRange(mapping);
    const done = backing.kind === 'file' ? files.get(backing.file.key) : undefined;
    return range !== undefined && done !== undefined && covers(done, range);
  };
  const inFiles = new Set(memory.mappings.filter(isSearched));
  const ranges: ByteRange[] = [];
  for (const page of memory.pages) {
    const around = memory.mappingAt(page.from);
    if (around === undefined || (page.shared && inFiles.has(around))) continue;
    const reach = memory.mappingAt(page.from - 1) === undefined ? 0 : REACH;
    ranges.push({ from: page.from - reach, to: page.to });
  }
  for (const [index, after] of memory.mappings.entries()) {
    const before = memory.mappings[index - 1];
    if (before?.mapping.end !== after.mapping.start || !(inFiles.has(before) || inFiles.has(after))) continue;
    if (!continues(before, after)) ranges.push({ from: after.mapping.start - REACH, to: after.mapping.start });
  }
  return coalesce(ranges);
}

/** Whether the second mapping goes on in the file where the first ends. */
function continues(first: Backed, second: Backed): boolean {
  if (first.backing.kind !== 'file' || second.backing.kind !== 'file') return false;
  return first.backing.file.key === second.backing.file.key && fileRange(first.mapping)?.to === second.mapping.offset;
}
