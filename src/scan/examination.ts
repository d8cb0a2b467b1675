// What every examination shares, whatever the source: search ranges, carve what they hold, hash and open it, hand it on at once.
// Synchronous: it runs the same in a worker thread and inline.
import { createHash } from 'node:crypto';
import { endianness as machineOrder } from 'node:os';
import type { ByteRange } from '../bytes/range.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { AnchorList, type AnchorOptions, type Anchors } from '../carve/anchors.ts';
import { carveObjects } from '../carve/carve.ts';
import type { RebuiltObject } from '../carve/headerless.ts';
import { carveOutside } from '../carve/outside.ts';
import type { RunBudget } from '../carve/runs.ts';
import { type Candidates, Finder, type RejectedCandidate, type SearchRange } from '../carve/search.ts';
import type { SizedObject } from '../carve/size.ts';
import { type Diagnostic, hex } from '../diagnostics.ts';
import type { Target } from '../link/kernel.ts';
import type { CarvedObject } from './events.ts';
import { Meanings } from './meanings.ts';
import { btfFinding, filterFinding, instructionsFinding, type OutsideFinding, skeletonFinding } from './outside.ts';
import { addCounts, newTally, type Tally } from './tally.ts';
import { TargetKernel, type TargetOptions } from './target-kernel.ts';

export interface ExamineOptions {
  /** Follow a symbolic link found at the path. */
  readonly follow: boolean;
  /** Larger files are passed over, bytes. */
  readonly maxSize?: number;
  /** Hand on the bytes of objects too. */
  readonly content: boolean;
  /** Give large files back in pieces rather than search them alone. */
  readonly split: boolean;
  /** Look for what only its own sense gives away, in files and in memory: see `OutsideOptions`. */
  readonly raw: { readonly files: boolean; readonly processes: boolean };
  /** The kernel that tags are predicted for; absent when they are not wanted. */
  readonly kernel?: TargetOptions;
}

/** Where findings go, as soon as they are made. */
export interface Findings {
  /** `elf`: makes an ELF object of code that is none. */
  object(object: CarvedObject, content: Uint8Array, elf?: () => Uint8Array): void;
  diagnostic(diagnostic: Diagnostic): void;
}

/** Where one object was found: the part of its record that the source knows. */
export type Place = Pick<CarvedObject, 'source' | 'offset' | 'address' | 'region' | 'within'>;

/** What is carved: how its places are named. */
export interface Subject {
  /** For diagnostics: `/usr/sbin/opensnoop`, `pid:812`. */
  readonly where: string;
  /** Offset or address that stands for position 0 of the reader. */
  readonly base: number;
  /** Bytes of the source that are there at all, when that is not all of them. */
  readonly stored?: number;
  /** Whether the bytes of an object are worth reading, where one source can name the same ones endlessly. */
  admits?(object: SizedObject): boolean;
  /** The place of bytes that were just read; `undefined` when they must not be trusted. */
  place(extent: Extent): Place | undefined;
}

/** Bytes of what is carved. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** How a source is searched for code outside ELF objects. */
export interface OutsideSearch {
  /** Objects that were carved in it. */
  readonly known: readonly ByteRange[];
  readonly raw: boolean;
  /** Only what is aligned, as in memory. */
  readonly aligned: boolean;
  readonly isOwner?: boolean;
  /** Shared by the parts of one source. */
  readonly budget?: RunBudget;
}

export class Examination {
  readonly finder = new Finder();
  readonly options: ExamineOptions;
  readonly cancelled: () => boolean;
  tally: Tally = newTally();
  private readonly kernel: TargetKernel | undefined;
  private readonly meanings: Meanings;
  private readonly findings: Findings;
  /** Lists that are still empty: as most sources hold nothing, they serve again. */
  private readonly unused = new Map<AnchorOptions, AnchorList>();

  constructor(options: ExamineOptions, findings: Findings, cancelled: () => boolean) {
    this.options = options;
    this.kernel = options.kernel && new TargetKernel(options.kernel);
    this.meanings = new Meanings(this.kernel);
    this.findings = findings;
    this.cancelled = cancelled;
  }

  /** The counts since they were last taken. */
  takeTally(): Tally {
    const taken = this.tally;
    this.tally = newTally();
    return taken;
  }

  /** Searches one range; with `raw` for whatever may be code. */
  look(reader: Reader, range: SearchRange, raw: boolean): Candidates {
    const wanted = raw ? EVERYTHING : ANNOUNCED;
    const anchors = this.unused.get(wanted) ?? new AnchorList(wanted);
    const found = this.finder.search(reader, range, anchors);
    if (anchors.isEmpty) this.unused.set(wanted, anchors);
    else this.unused.delete(wanted);
    return anchors.isEmpty ? found : { ...found, anchors };
  }

  /** The same, and counts its bytes. */
  search(reader: Reader, range: SearchRange, raw: boolean): Candidates {
    const part = this.look(reader, range, raw);
    this.tally.bytes += Math.min(part.end ?? range.to, range.to) - range.from;
    return part;
  }

  /** Carves the objects that `parts` found in `size` bytes of `reader`; returns where they lie. */
  carve(reader: Reader, parts: readonly Judged[], size: number, subject: Subject): ByteRange[] {
    const offsets = parts.flatMap((part) => part.offsets);
    const carving = carveObjects(reader, offsets, size, subject.stored);
    for (const object of carving.objects) if (subject.admits?.(object) ?? true) this.emit(reader, object, subject);
    this.tally.candidates += carving.objects.length;
    this.countRejected([...parts, carving], subject);
    return carving.objects.map((object) => ({ from: object.offset, to: object.offset + object.size }));
  }

  /** Carves what lies around `anchors` and is no object with a header. */
  carveOutside(reader: Reader, anchors: Anchors, size: number, subject: Subject, search: OutsideSearch): ByteRange[] {
    const found = carveOutside(reader, anchors, { ...search, size, preferLittle: PREFER_LITTLE });
    const rebuilt = found.rebuilt.map((object) => this.emitRebuilt(object, subject));
    const targets: { little?: Target | undefined; big?: Target | undefined } = {};
    const target = (order: 'little' | 'big') => (targets[order] ??= this.kernel?.targetFor(order === 'little'));
    const findings = [
      ...found.skeletons.map((each) => skeletonFinding(each, target(each.endianness))),
      ...found.arrays.map((each) => instructionsFinding(each, target(each.endianness))),
      ...found.filters.map(filterFinding),
      ...found.partial.map(btfFinding),
    ];
    const outside = findings.map((finding) => this.emitOutside(reader, finding, subject));
    this.tally.candidates += rebuilt.length + outside.length;
    if (found.limited)
      this.reportLimit('not all that looks like code outside objects was examined: there is too much', subject.where);
    this.reportDropped(anchors, subject.where);
    return [...rebuilt, ...outside];
  }

  /** Counts and reports what is no object among the candidates. */
  countRejected(parts: readonly Rejected[], subject: Pick<Subject, 'where' | 'base'>): void {
    for (const part of parts) {
      addCounts(this.tally.rejected, part.rejected);
      this.tally.candidates += Object.values(part.rejected).reduce((sum: number, count) => sum + (count ?? 0), 0);
    }
    this.reportRejected(parts, subject);
  }

  diagnostic(diagnostic: Diagnostic): void {
    this.findings.diagnostic(diagnostic);
  }

  /** Reports that a source could not be read, or not to its end. */
  reportFailure(diagnostic: Diagnostic): void {
    this.tally.unreadable++;
    this.findings.diagnostic(diagnostic);
  }

  private emit(reader: Reader, sized: SizedObject, subject: Subject): void {
    const content = readAt(reader, sized.offset, sized.size);
    const place = subject.place(sized);
    if (place === undefined) return;
    const sha256 = createHash('sha256').update(content).digest('hex');
    const { diagnostics, ...meaning } = this.meanings.of(sha256, content);
    this.findings.object(
      {
        kind: 'object',
        sha256,
        size: content.length,
        completeness: content.length < sized.size ? 'truncated' : sized.completeness,
        elf: sized.elf,
        ...place,
        ...meaning,
        diagnostics: [...sized.impossible.map(impossibleClaim), ...diagnostics],
      },
      content,
    );
  }

  private emitRebuilt({ offset, bytes, endianness, sections }: RebuiltObject, subject: Subject): ByteRange {
    const place = subject.place({ offset, size: bytes.length });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (place !== undefined) {
      const elf = { class: 64, endianness, type: 'REL', sections } as const;
      const meaning = this.meanings.of(sha256, bytes);
      const record = { kind: 'object', completeness: 'whole', rebuilt: true, elf, sha256, size: bytes.length } as const;
      this.findings.object({ ...record, ...place, ...meaning }, bytes);
    }
    return { from: offset, to: offset + bytes.length };
  }

  private emitOutside(reader: Reader, finding: OutsideFinding, subject: Subject): ByteRange {
    const content = readAt(reader, finding.offset, finding.size);
    const place = subject.place(finding);
    const { wrap } = finding;
    if (place !== undefined) {
      this.findings.object({ ...finding.describe(content), ...place }, content, wrap && (() => wrap(content)));
    }
    return { from: finding.offset, to: finding.offset + finding.size };
  }

  /** Says that the search itself left places out. */
  reportDropped({ dropped, droppedReturns }: Anchors, where: string): void {
    const places = (count: number, what: string) =>
      `${count} places that look like ${what} were not examined: too many close together`;
    if (dropped > 0) this.reportLimit(places(dropped, 'code outside objects'), where);
    // Small numbers look like filters: in large tables of them that is usual.
    if (droppedReturns > 0) this.reportLimit(places(droppedReturns, 'classic filters'), where, 'info');
  }

  private reportLimit(message: string, where: string, severity: Diagnostic['severity'] = 'warning'): void {
    this.diagnostic({ severity, code: 'work-limit', where, message });
  }

  private reportRejected(parts: readonly Rejected[], { where, base }: Pick<Subject, 'where' | 'base'>): void {
    for (const { offset, code } of parts.flatMap((part) => part.listed).slice(0, REPORTED)) {
      const place = `${where} ${hex(base + offset)}`;
      this.diagnostic({ severity: 'info', code, where: place, message: REJECTED[code] });
    }
    for (const [code, what] of LIMITS) {
      const count = parts.reduce((sum, part) => sum + (part.rejected[code] ?? 0), 0);
      if (count > 0) this.diagnostic({ severity: 'warning', code, where, message: `${count} ${what}` });
    }
  }
}

/** What is looked for by default: what says by itself what it is. */
const ANNOUNCED = { exits: false } as const satisfies AnchorOptions;
const EVERYTHING = { classic: true, prospectsOnly: true } as const satisfies AnchorOptions;
/** What is found on a machine is mostly for it. */
const PREFER_LITTLE = machineOrder() === 'LE';

/** What a search or a carving turned down. */
type Rejected = Pick<Candidates, 'rejected' | 'listed'>;
/** And what a search let through. */
type Judged = Rejected & { readonly offsets: readonly number[] };

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
