// Examines files: what to read of them, and in which pieces.
// Synchronous: it runs the same in a worker thread and inline.
import { gatherAnchors } from '../carve/anchors.ts';
import type { Candidates, SearchRange } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readCoreFile } from '../elf/core.ts';
import { type HostElf, readHostElf } from '../elf/host.ts';
import { errnoDiagnostic } from '../source/errno.ts';
import { OpenFile } from '../source/file.ts';
import { isSparse, storedRanges } from '../source/holes.ts';
import { type FilePath, nameOf, placeOf } from '../source/path.ts';
import { libc, whyNoLibc } from '../sys/libc.ts';
import type { Examination, Subject } from './examination.ts';
import { carveCore } from './examine-core.ts';
import { SEGMENT, SPLIT_FROM, segments } from './segments.ts';
import { withinOf } from './within.ts';

export interface FileTask {
  readonly path: FilePath;
  readonly named: boolean;
  readonly shortReads: boolean;
}

/** A file worth searching by several threads: what is known of it, and the ranges still to be searched. */
export interface LargeFile extends FileTask {
  readonly device: number;
  readonly inode: number;
  /** Bytes, when its beginning was looked at. */
  readonly size: number;
  readonly head: Candidates;
  readonly ranges: readonly SearchRange[];
}

/** What ranges of a large file gave, and why not all of it. */
export interface SegmentsAnswer {
  readonly parts: readonly Candidates[];
  readonly failure?: Diagnostic;
}

/** No image of a process is smaller. */
const CORE_FROM = 256 * 1024;

export class FileExaminer {
  private readonly examination: Examination;

  constructor(examination: Examination) {
    this.examination = examination;
  }

  private get raw(): boolean {
    return this.examination.options.raw.files;
  }

  /** Examines a file, or only its beginning when the rest is better split: then says how. */
  examineFile(task: FileTask): LargeFile | undefined {
    const file = this.open(task);
    if (!(file instanceof OpenFile)) {
      this.examination.reportFailure(file);
      return undefined;
    }
    try {
      if (this.isTooLarge(file)) return undefined;
      const head = this.examination.look(file, { from: 0, to: SEGMENT }, this.raw);
      this.examination.tally.sources++;
      if (head.end !== undefined) this.finish(file, [head], head.end);
      else return this.examineRest(task, file, head);
    } finally {
      file.close();
    }
    return undefined;
  }

  /** Searches ranges of a large file. What fails is reported once, when the file is carved. */
  searchSegments(large: LargeFile, ranges: readonly SearchRange[]): SegmentsAnswer {
    const file = this.reopen(large);
    if (!(file instanceof OpenFile)) return { parts: [], failure: file };
    try {
      const parts = this.searchRanges(file, ranges);
      return file.failure ? { parts, failure: file.failure } : { parts };
    } finally {
      file.close();
    }
  }

  /** Carves a large file from what its segments gave; `failure` is what went wrong with one of them. */
  finishLarge(large: LargeFile, parts: readonly Candidates[], failure?: Diagnostic): void {
    const file = this.reopen(large);
    if (!(file instanceof OpenFile)) {
      this.examination.reportFailure(file);
      return;
    }
    try {
      file.failure = failure;
      this.finish(file, parts, large.size);
    } finally {
      file.close();
    }
  }

  private open(task: FileTask): OpenFile | Diagnostic {
    try {
      return new OpenFile(task.path, {
        follow: task.named || this.examination.options.follow,
        shortReads: task.shortReads,
      });
    } catch (error) {
      return errnoDiagnostic(error, nameOf(task.path), 'cannot open', task.named ? 'error' : 'warning');
    }
  }

  private reopen(large: LargeFile): OpenFile | Diagnostic {
    const file = this.open(large);
    if (!(file instanceof OpenFile)) return file;
    if (file.stats.dev === large.device && file.stats.ino === large.inode) return file;
    file.close();
    const message = 'another file took its place while it was read';
    return { severity: 'warning', code: 'replaced', ...placeOf(file.name), message };
  }

  private isTooLarge(file: OpenFile): boolean {
    const { maxSize } = this.examination.options;
    if (maxSize === undefined || file.stats.size <= maxSize) return false;
    this.examination.diagnostic({
      severity: 'info',
      code: 'max-size',
      ...placeOf(file.name),
      message: `${file.stats.size} bytes, more than the ${maxSize} allowed`,
    });
    return true;
  }

  private examineRest(task: FileTask, file: OpenFile, head: Candidates): LargeFile | undefined {
    if (!file.stats.isFile()) {
      this.examination.reportFailure({
        severity: task.named ? 'error' : 'warning',
        code: 'not-regular',
        ...placeOf(file.name),
        message: 'is no regular file',
      });
      return undefined;
    }
    if (file.stats.size <= SEGMENT) {
      // Files of the kernel say that they are empty, and a file that grows may have been.
      const parts = [head, ...this.searchRanges(file, onward(SEGMENT))];
      const searched = parts.length * SEGMENT;
      this.finish(file, parts, endOf(parts) ?? searched, searched);
      return undefined;
    }
    const ranges = this.rangesAfter(file, SEGMENT);
    const stored = ranges.reduce((sum, range) => sum + range.to - range.from, 0);
    if (this.examination.options.split && stored > SPLIT_FROM) {
      const { dev: device, ino: inode, size } = file.stats;
      return { ...task, device, inode, size, head, ranges };
    }
    this.finish(file, [head, ...this.searchRanges(file, ranges)], file.stats.size);
    return undefined;
  }

  /** The stored bytes from `from` on, in ranges of at most a segment. */
  private rangesAfter(file: OpenFile, from: number): SearchRange[] {
    const { size } = file.stats;
    const sys = isSparse(file) ? libc() : undefined;
    if (isSparse(file) && sys === undefined) {
      this.examination.diagnostic({
        severity: 'info',
        code: 'sparse-file',
        ...placeOf(file.name),
        message: `its holes are read like data, which is slow: koffi is not available (${whyNoLibc()})`,
      });
    }
    const stored = sys ? storedRanges(file, from, sys) : [{ from, to: size }];
    return segments(stored);
  }

  private searchRanges(file: OpenFile, ranges: Iterable<SearchRange>): Candidates[] {
    const parts: Candidates[] = [];
    for (const range of ranges) {
      if (this.examination.cancelled()) break;
      const part = this.examination.search(file, range, this.raw);
      // Where nothing is says nothing of where the end is.
      if (part.end !== range.from) parts.push(part);
      if (part.end !== undefined && part.end < range.to) break;
    }
    return parts;
  }

  /** `present`, asked for only when the search did not come to the end: how far the file goes now. */
  private finish(file: OpenFile, parts: readonly Candidates[], expected: number, present?: number): void {
    const size = endOf(parts) ?? Math.min(expected, present ?? file.stats.size);
    this.examination.tally.bytes += Math.min(size, SEGMENT);
    if (size < expected && !file.failure) {
      this.examination.reportFailure({
        severity: 'warning',
        code: 'shrunk',
        ...placeOf(file.name),
        message: `ended at ${size} of ${expected} bytes: it shrank while it was read`,
      });
    }
    if (parts.some((part) => part.seen > 0 || part.anchors)) this.carve(file, parts, size);
    else if (size >= CORE_FROM) this.carveSeams(file, parts, size);
    if (file.failure) this.examination.reportFailure(file.failure);
  }

  /** A header may lie in two segments of a core file that are apart in it: then a search by offset sees nothing. */
  private carveSeams(file: OpenFile, parts: readonly Candidates[], size: number): void {
    const core = readCoreFile(file, size);
    if (core) carveCore(this.examination, file, core, parts, { kind: 'file', ...file.name, size });
  }

  private carve(file: OpenFile, parts: readonly Candidates[], size: number): void {
    const source = { kind: 'file', ...file.name, size } as const;
    const core = readCoreFile(file, size);
    const outside = core && carveCore(this.examination, file, core, parts, source);
    const rest = outside ? [{ ...outside, rejected: {}, listed: [] }] : parts;
    // Read for the first object only: most files that are looked at have none.
    let host: HostElf | undefined | 'unread' = 'unread';
    const subject: Subject = {
      where: file.name.path,
      base: 0,
      place: (extent) => {
        host = host === 'unread' ? readHostElf(file) : host;
        return { source, offset: extent.offset, ...withinOf(host, extent, size) };
      },
    };
    const known = this.examination.carve(file, rest, size, subject);
    const anchors = gatherAnchors(rest);
    if (anchors) this.examination.carveOutside(file, anchors, size, subject, { known, raw: this.raw, aligned: false });
  }
}

/** Where the file ended, if the search came so far. */
function endOf(parts: readonly Candidates[]): number | undefined {
  return parts.findLast((part) => part.end !== undefined)?.end;
}

/** Segments without end. */
function* onward(from: number): Generator<SearchRange> {
  for (let at = from; ; at += SEGMENT) yield { from: at, to: at + SEGMENT };
}
