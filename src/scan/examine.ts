// Examines one source: searches it, carves, hashes and opens what is there, and hands the findings on at once.
// Synchronous: it runs the same in a worker thread and inline.
import { createHash } from 'node:crypto';
import { type Reader, readAt } from '../bytes/reader.ts';
import { carveObjects } from '../carve/carve.ts';
import { type Candidates, Finder, type RejectedCandidate, type SearchRange } from '../carve/search.ts';
import type { SizedObject } from '../carve/size.ts';
import { type Diagnostic, hex } from '../diagnostics.ts';
import { EXTENT_CEILING } from '../elf/extent.ts';
import { type HostElf, readHostElf, sectionAt } from '../elf/host.ts';
import { errnoDiagnostic } from '../source/errno.ts';
import { OpenFile } from '../source/file.ts';
import { isSparse, storedRanges } from '../source/holes.ts';
import { type FilePath, nameOf } from '../source/path.ts';
import type { Source } from '../source/source.ts';
import { StdinReader } from '../source/stdin.ts';
import { libc, whyNoLibc } from '../sys/libc.ts';
import type { CarvedObject, Within } from './events.ts';
import { Meanings } from './meanings.ts';
import { addCounts, newTally, type Tally } from './tally.ts';

export interface ExamineOptions {
  /** Follow a symbolic link found at the path. */
  readonly follow: boolean;
  /** Larger files are passed over, bytes. */
  readonly maxSize?: number;
  /** Hand on the bytes of objects too. */
  readonly content: boolean;
  /** Give large files back in pieces rather than search them alone. */
  readonly split: boolean;
}

/** Where findings go, as soon as they are made. */
export interface Findings {
  object(object: CarvedObject, content: Uint8Array): void;
  diagnostic(diagnostic: Diagnostic): void;
}

export interface FileTask {
  readonly path: FilePath;
  readonly named: boolean;
  readonly shortReads: boolean;
}

/** A file worth searching by several threads: what is known of it, and the ranges still to be searched. */
export interface LargeFile extends FileTask {
  readonly device: number;
  readonly inode: number;
  readonly head: Candidates;
  readonly ranges: readonly SearchRange[];
}

/** A range of a source that is searched in one go. */
export const SEGMENT = 8 * 1024 * 1024;
/** Files with more stored bytes than this are split among threads. */
const SPLIT_FROM = 64 * 1024 * 1024;

export class Examiner {
  tally: Tally = newTally();
  private readonly finder = new Finder();
  private readonly meanings = new Meanings();
  private readonly options: ExamineOptions;
  private readonly findings: Findings;
  private readonly cancelled: () => boolean;

  constructor(options: ExamineOptions, findings: Findings, cancelled: () => boolean) {
    this.options = options;
    this.findings = findings;
    this.cancelled = cancelled;
  }

  /** The counts since they were last taken. */
  takeTally(): Tally {
    const taken = this.tally;
    this.tally = newTally();
    return taken;
  }

  /** Examines a file, or only its beginning when the rest is better split: then says how. */
  examineFile(task: FileTask): LargeFile | undefined {
    const file = this.open(task);
    if (file === undefined) return undefined;
    try {
      if (this.isTooLarge(file)) return undefined;
      const head = this.finder.search(file, { from: 0, to: SEGMENT });
      this.tally.sources++;
      if (head.end !== undefined) this.finish(file, [head], head.end);
      else return this.examineRest(task, file, head);
    } finally {
      file.close();
    }
    return undefined;
  }

  /** Searches ranges of a large file; `undefined` when the path leads to another file now. */
  searchSegments(large: LargeFile, ranges: readonly SearchRange[]): Candidates[] {
    const file = this.reopen(large);
    if (file === undefined) return [];
    try {
      return this.searchRanges(file, ranges);
    } finally {
      file.close();
    }
  }

  /** Carves a large file from what its segments gave. */
  finishLarge(large: LargeFile, parts: readonly Candidates[]): void {
    const file = this.reopen(large);
    if (file === undefined) return;
    try {
      this.finish(file, parts, file.stats.size);
    } finally {
      file.close();
    }
  }

  examineStdin(descriptor?: number): void {
    const input = new StdinReader(descriptor);
    this.tally.sources++;
    const host = readHostElf(input);
    for (let from = 0; !this.cancelled(); from += SEGMENT) {
      const part = this.finder.search(input, { from, to: from + SEGMENT });
      // With this much more in hand nothing that an object declares can lie beyond it.
      if (part.offsets.length > 0) input.fetch(from + SEGMENT + 2 * EXTENT_CEILING);
      this.carve(input, [part], input.length, { kind: 'stdin' }, 'standard input', host);
      input.release(from + SEGMENT);
      if (part.end !== undefined) break;
    }
    this.tally.bytes += input.length;
    if (input.failure) this.reportFailure(input.failure);
  }

  private open(task: FileTask): OpenFile | undefined {
    try {
      return new OpenFile(task.path, { follow: task.named || this.options.follow, shortReads: task.shortReads });
    } catch (error) {
      this.reportFailure(
        errnoDiagnostic(error, nameOf(task.path).path, 'cannot open', task.named ? 'error' : 'warning'),
      );
      return undefined;
    }
  }

  private reopen(large: LargeFile): OpenFile | undefined {
    const file = this.open(large);
    if (file === undefined || (file.stats.dev === large.device && file.stats.ino === large.inode)) return file;
    file.close();
    this.reportFailure({
      severity: 'warning',
      code: 'replaced',
      where: file.name.path,
      message: 'another file took its place while it was read',
    });
    return undefined;
  }

  private isTooLarge(file: OpenFile): boolean {
    const { maxSize } = this.options;
    if (maxSize === undefined || file.stats.size <= maxSize) return false;
    this.findings.diagnostic({
      severity: 'info',
      code: 'max-size',
      where: file.name.path,
      message: `${file.stats.size} bytes, more than the ${maxSize} allowed`,
    });
    return true;
  }

  private examineRest(task: FileTask, file: OpenFile, head: Candidates): LargeFile | undefined {
    if (!file.stats.isFile()) {
      this.reportFailure({
        severity: task.named ? 'error' : 'warning',
        code: 'not-regular',
        where: file.name.path,
        message: 'is no regular file',
      });
      return undefined;
    }
    const ranges = this.rangesAfter(file, SEGMENT);
    const stored = ranges.reduce((sum, range) => sum + range.to - range.from, 0);
    if (this.options.split && stored > SPLIT_FROM) {
      return { ...task, device: file.stats.dev, inode: file.stats.ino, head, ranges };
    }
    this.finish(file, [head, ...this.searchRanges(file, ranges)], file.stats.size);
    return undefined;
  }

  /** The stored bytes from `from` on, in ranges of at most a segment. */
  private rangesAfter(file: OpenFile, from: number): SearchRange[] {
    const { size } = file.stats;
    const sys = isSparse(file) ? libc() : undefined;
    if (isSparse(file) && sys === undefined) {
      this.findings.diagnostic({
        severity: 'info',
        code: 'sparse-file',
        where: file.name.path,
        message: `its holes are read like data, which is slow: koffi is not available (${whyNoLibc()})`,
      });
    }
    const stored = sys ? storedRanges(file, from, sys) : [{ from, to: size }];
    return stored.flatMap((range) => {
      const count = Math.ceil((range.to - range.from) / SEGMENT);
      return Array.from({ length: count }, (_, index) => ({
        from: range.from + index * SEGMENT,
        to: Math.min(range.to, range.from + (index + 1) * SEGMENT),
      }));
    });
  }

  private searchRanges(file: OpenFile, ranges: readonly SearchRange[]): Candidates[] {
    const parts: Candidates[] = [];
    for (const range of ranges) {
      if (this.cancelled()) break;
      const part = this.finder.search(file, range);
      this.tally.bytes += Math.min(part.end ?? range.to, range.to) - range.from;
      parts.push(part);
      if (part.end !== undefined && part.end < range.to) break;
    }
    return parts;
  }

  private finish(file: OpenFile, parts: readonly Candidates[], expected: number): void {
    const end = parts.findLast((part) => part.end !== undefined)?.end;
    const size = end ?? expected;
    this.tally.bytes += Math.min(size, SEGMENT);
    if (end !== undefined && end < expected && !file.failure) {
      this.reportFailure({
        severity: 'warning',
        code: 'shrunk',
        where: file.name.path,
        message: `ended at ${end} of ${expected} bytes: it shrank while it was read`,
      });
    }
    if (parts.some((part) => part.seen > 0)) {
      this.carve(file, parts, size, { kind: 'file', ...file.name, size }, file.name.path);
    }
    if (file.failure) this.reportFailure(file.failure);
  }

  private carve(
    reader: Reader,
    parts: readonly Candidates[],
    size: number,
    source: Source,
    where: string,
    host?: HostElf,
  ): void {
    const carving = carveObjects(
      reader,
      parts.flatMap((part) => part.offsets),
      size,
    );
    const around = host ?? (carving.objects.length > 0 ? readHostElf(reader) : undefined);
    for (const object of carving.objects) this.emit(reader, object, source, withinOf(around, object, size));
    this.tally.candidates += carving.objects.length;
    for (const part of [...parts, carving]) {
      addCounts(this.tally.rejected, part.rejected);
      this.tally.candidates += Object.values(part.rejected).reduce((sum, count) => sum + count, 0);
    }
    this.reportRejected([...parts, carving], where);
  }

  private emit(reader: Reader, sized: SizedObject, source: Source, within: Within | undefined): void {
    const content = readAt(reader, sized.offset, sized.size);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const { diagnostics, ...meaning } = this.meanings.of(sha256, content);
    this.findings.object(
      {
        kind: 'object',
        sha256,
        size: content.length,
        completeness: content.length < sized.size ? 'truncated' : sized.completeness,
        elf: sized.elf,
        source,
        offset: sized.offset,
        ...(within && { within }),
        ...meaning,
        diagnostics: [...sized.impossible.map(impossibleClaim), ...diagnostics],
      },
      content,
    );
  }

  private reportRejected(
    parts: readonly {
      readonly listed: readonly RejectedCandidate[];
      readonly rejected: Readonly<Partial<Record<string, number>>>;
    }[],
    where: string,
  ): void {
    for (const { offset, code } of parts.flatMap((part) => part.listed).slice(0, REPORTED)) {
      this.findings.diagnostic({ severity: 'info', code, where: `${where} ${hex(offset)}`, message: REJECTED[code] });
    }
    for (const [code, what] of LIMITS) {
      const count = parts.reduce((sum, part) => sum + (part.rejected[code] ?? 0), 0);
      if (count > 0) this.findings.diagnostic({ severity: 'warning', code, where, message: `${count} ${what}` });
    }
  }

  private reportFailure(diagnostic: Diagnostic): void {
    this.tally.unreadable++;
    this.findings.diagnostic(diagnostic);
  }
}

/** Rejected candidates listed for one source. */
const REPORTED = 256;

const REJECTED: Readonly<Record<RejectedCandidate['code'], string>> = {
  'unsupported-class': 'EI_CLASS is not ELFCLASS64',
  'unknown-byte-order': 'EI_DATA is neither little nor big endian',
  'unknown-version': 'EI_VERSION is not 1',
  'no-section-table': 'no section table, so no size can be had',
  'section-table-range': 'the section table lies too far from the header to be real',
  'section-names-range': 'e_shstrndx names no section',
  'section-names-type': 'e_shstrndx names a section that is no string table',
  'truncated-header': 'the source ends within the header',
  'too-many-sections': 'more sections declared than any object has',
  'overlap-limit': 'overlaps other objects beyond the limit',
  'work-limit': 'not examined: too many false headers before it',
};

const LIMITS = [
  ['overlap-limit', 'objects that lie inside others were left out: this source is made to multiply its own size'],
  ['work-limit', 'candidates were not examined: this source is flooded with false headers'],
] as const;

function impossibleClaim(claim: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'impossible-extent',
    where: claim.slice(0, claim.indexOf(':')),
    message: `left out of the size: ${claim}`,
  };
}

/** An object that is the whole file is within nothing. */
function withinOf(host: HostElf | undefined, object: SizedObject, sourceSize: number): Within | undefined {
  if (host === undefined || (object.offset === 0 && object.size === sourceSize)) return undefined;
  const section = object.offset === 0 ? undefined : sectionAt(host, object.offset);
  if (section === undefined && host.buildId === undefined) return undefined;
  return { ...(section !== undefined && { section }), ...(host.buildId !== undefined && { buildId: host.buildId }) };
}
