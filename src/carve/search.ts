// Finds the ELF headers of BPF objects in bytes, a window at a time.
// Judges headers only; how far an object goes is size.ts's question.

import { BlockReader } from '../bytes/block-reader.ts';
import { viewOf } from '../bytes/layout.ts';
import type { Reader } from '../bytes/reader.ts';
import { EXTENT_CEILING } from '../elf/extent.ts';
import { ehdr64, shdr64 } from '../elf/layouts.ts';
import { EI, ELFDATA, EM, SHN, SHT } from '../elf/names.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { type AnchorList, type Anchors, CROWD_PER_WINDOW, isAnchor } from './anchors.ts';
import { FINDER_WASM } from './finder.wasm.ts';
import { isProspect } from './prospects.ts';

/** Why bytes that carry the magic and EM_BPF are not a carvable object. The finder's verdicts 1.. come first, in its order. */
export const REJECTIONS = [
  'unsupported-class',
  'unknown-byte-order',
  'unknown-version',
  'no-section-table',
  'section-table-range',
  'section-names-range',
  'section-names-type',
  'truncated-header',
  'too-many-sections',
  'overlap-limit',
  'work-limit',
] as const;
export type Rejection = (typeof REJECTIONS)[number];

/** How many rejected candidates of one source are listed by offset; all are counted. */
export const REJECTED_LISTED = 256;
/**
 * A header with another one closer behind it than this is crowded. The smallest real objects have some 650 bytes, so that a
 * flood of false headers crowds itself only: limits on crowded headers lose no object that lies in it or beside it.
 */
export const CROWD = 512;
/** Crowded candidates kept for each range of the source; more is a flood, and is counted as `work-limit`. */
const CANDIDATES_PER_RANGE = 1 << 16;
/** Crowded headers remembered until the range is done: one every 32 bytes of a segment. */
const HEADERS_PER_RANGE = 1 << 18;

export interface RejectedCandidate {
  readonly offset: number;
  readonly code: Rejection;
}

/** What a search found in one range of a source: headers worth sizing, and the others by reason. */
export interface Candidates {
  readonly offsets: readonly number[];
  /** All candidates seen: `offsets` and everything in `rejected`. */
  readonly seen: number;
  readonly rejected: Readonly<Partial<Record<Rejection, number>>>;
  readonly listed: readonly RejectedCandidate[];
  /** Offset at which the source ended, if it did within the range. */
  readonly end?: number;
  /** Places where code may be that has no header, when they were looked for and there are any. */
  readonly anchors?: Anchors;
}

export interface SearchRange {
  /** First offset at which a header may begin. */
  readonly from: number;
  /** Offset past the last one; bytes beyond are read as far as a header needs. */
  readonly to: number;
}

/** Bytes read at a time: large enough to spend little on calls, small enough to stay in the L2 cache. */
export const WINDOW = 256 * 1024;
const LIST_CAPACITY = 8192;
/** The finder looks at what lies before: the last entries, which lie right before the input, stay zero. */
const PAIRS = LIST_CAPACITY - 2;
/** Bytes before a RET that tell whether it is one. */
const BEFORE_RETURN = 9;
/** Instructions of possible filters that are walked through in one window; what is not is left to the carver. */
const STEPS_PER_WINDOW = 1 << 16;
const LIST = 0;
const INPUT = LIST + LIST_CAPACITY * 8;
/**
 * Words that both sides write, as finder.wat has them: where to go on, rejected headers still welcome and counts of those left
 * out, by verdict; then of three kinds of anchors the crowded ones still welcome, those left out, and the last address.
 */
const STATE = 0x5f000;
const [NEXT, LISTING_LEFT, UNLISTED, CROWDS] = [0, 3, 4, 32];
const [CROWD_LEFT, DROPPED, LAST, CROWD_WORDS] = [0, 1, 2, 4];
const [ANNOUNCED, EXITS, RETURNS] = [0, 1, 2];
/** A header is judged when all of it is there. */
const HEADER = ehdr64.size;

interface FinderExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  find(from: number, limit: number, end: number, ceiling: bigint, out: number, capacity: number): number;
  findCode(from: number, limit: number, out: number, capacity: number): number;
}

/** One search engine with its buffers: 384 KiB, reused for every window. Make one per thread. */
export class Finder {
  private readonly wasm: FinderExports;
  private readonly memory: Uint8Array;
  private readonly view: DataView;
  /** Room for a whole window, most often the only one of its source. */
  private readonly window: Uint8Array;
  private readonly list: Uint32Array;
  private readonly state: Uint32Array;

  constructor() {
    const binary = Uint8Array.from(atob(FINDER_WASM), (character) => character.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), {});
    this.wasm = instance.exports as unknown as FinderExports;
    this.memory = new Uint8Array(this.wasm.memory.buffer);
    this.view = viewOf(this.memory);
    this.window = this.memory.subarray(INPUT, INPUT + WINDOW);
    this.list = new Uint32Array(this.wasm.memory.buffer, LIST, LIST_CAPACITY * 2);
    this.state = new Uint32Array(this.wasm.memory.buffer, STATE, CROWDS + 3 * CROWD_WORDS);
  }

  /** Searches `range` of the source, to its end or that of the source; what may be code without a header goes into `anchors`. */
  search(reader: Reader, range: SearchRange, anchors?: AnchorList): Candidates {
    const found = new Tally();
    let offset = range.from;
    let kept = 0;
    for (;;) {
      const wanted = Math.min(WINDOW, range.to + HEADER - 1 - (offset + kept));
      const isWhole = kept === 0 && wanted === WINDOW;
      const input = isWhole ? this.window : this.memory.subarray(INPUT + kept, INPUT + kept + wanted);
      const count = wanted > 0 ? reader.readInto(input, offset + kept) : 0;
      const length = kept + count;
      const ended = count < wanted;
      const last = ended || wanted <= 0;
      // Without a whole header behind them the final positions wait for the next window.
      const limit = Math.max(0, Math.min(length - HEADER + 1, range.to - offset));
      this.findIn(offset, limit, length, found, anchors);
      if (anchors?.listsExits || anchors?.classic) {
        // A little past the limit: where the next window begins, what lies before is not there. At the end of the source every
        // whole slot counts.
        const end = Math.min(range.to - offset + BEFORE_RETURN, ended ? length - SLOT_SIZE + 1 : limit + BEFORE_RETURN);
        this.findCodeIn(offset, end, length, anchors);
      }
      if (last) {
        if (ended) {
          found.endAt(offset + length);
          this.findCutHeaders(offset, limit, length, range.to, found);
        }
        return found.finish(reader);
      }
      kept = Math.min(length, HEADER - 1);
      this.memory.copyWithin(INPUT, INPUT + length - kept, INPUT + length);
      offset += length - kept;
    }
  }

  private findIn(offset: number, limit: number, length: number, found: Tally, anchors?: AnchorList): void {
    this.allowCrowds();
    this.state[LISTING_LEFT] = REJECTED_LISTED;
    for (let from = INPUT; from < INPUT + limit; from = this.state[NEXT] as number) {
      const count = this.wasm.find(from, INPUT + limit, INPUT + length, CEILING, LIST, PAIRS);
      for (let entry = 0; entry < count; entry++) {
        const at = offset + (this.list[entry * 2] as number) - INPUT;
        const verdict = this.list[entry * 2 + 1] as number;
        if (isAnchor(verdict)) anchors?.add(at, verdict);
        else found.add(at, verdict);
      }
    }
    if (this.state[LISTING_LEFT] === 0) this.countUnlisted(found);
    if (anchors) anchors.dropped += this.dropped(ANNOUNCED);
  }

  private countUnlisted(found: Tally): void {
    for (let verdict = 1; verdict < REJECTIONS.length; verdict++) {
      found.count(verdict - 1, this.state[UNLISTED + verdict] as number);
      this.state[UNLISTED + verdict] = 0;
    }
  }

  private findCodeIn(offset: number, end: number, length: number, anchors: AnchorList): void {
    const within = { from: INPUT, to: INPUT + length };
    const budget = { steps: STEPS_PER_WINDOW };
    for (let from = INPUT; from < INPUT + end; from = this.state[NEXT] as number) {
      const count = this.wasm.findCode(from, INPUT + end, LIST, PAIRS);
      for (let entry = 0; entry < count; entry++) {
        const at = this.list[entry * 2] as number;
        const what = this.list[entry * 2 + 1] as number;
        if (!anchors.wants(what)) continue;
        if (anchors.prospectsOnly && !isProspect(this.view, at, what, within, budget)) continue;
        anchors.add(offset + at - INPUT, what);
      }
    }
    if (anchors.listsExits) anchors.dropped += this.dropped(EXITS);
    if (anchors.classic) anchors.droppedReturns += this.dropped(RETURNS);
  }

  private allowCrowds(): void {
    for (const kind of [ANNOUNCED, EXITS, RETURNS]) {
      const crowd = CROWDS + kind * CROWD_WORDS;
      this.state[crowd + CROWD_LEFT] = CROWD_PER_WINDOW;
      this.state[crowd + DROPPED] = 0;
      this.state[crowd + LAST] = 0;
    }
  }

  private dropped(kind: number): number {
    return this.state[CROWDS + kind * CROWD_WORDS + DROPPED] as number;
  }

  /** Headers that begin in the last 63 bytes of a source: the magic and e_machine may be there, the whole is not. */
  private findCutHeaders(offset: number, limit: number, length: number, to: number, found: Tally): void {
    for (let at = limit; at + MACHINE_END <= length && offset + at < to; at++) {
      const here = INPUT + at;
      if (this.memory[here] !== 0x7f || this.memory[here + 1] !== 0x45) continue;
      if (this.memory[here + 2] !== 0x4c || this.memory[here + 3] !== 0x46) continue;
      const low = this.memory[here + MACHINE_END - 2] as number;
      const high = this.memory[here + MACHINE_END - 1] as number;
      if (low + high === 0xf7 && low * high === 0) found.reject(offset + at, TRUNCATED_HEADER);
    }
  }
}

const WORK_LIMIT = REJECTIONS.indexOf('work-limit');
const SECTION_NAMES_TYPE = REJECTIONS.indexOf('section-names-type');
const TRUNCATED_HEADER = REJECTIONS.indexOf('truncated-header');
const CEILING = BigInt(EXTENT_CEILING);
const MACHINE_END = ehdr64.offsets.e_machine + 2;

/** Gathers what one search finds; counts by number, not by name, because a hostile source makes millions. */
class Tally {
  private offsets: number[] = [];
  private counts: number[] | undefined;
  private readonly listed: RejectedCandidate[] = [];
  private end: number | undefined;

  add(offset: number, verdict: number): void {
    if (verdict !== 0) this.reject(offset, verdict - 1);
    else this.keep(this.offsets, offset, HEADERS_PER_RANGE);
  }

  /** Appends `offset`; in a full list it takes the place of the one before when it crowds that. */
  private keep(offsets: number[], offset: number, most: number): void {
    const before = offsets.at(-1);
    if (offsets.length >= most && before !== undefined && offset - before < CROWD) {
      this.reject(before, WORK_LIMIT);
      offsets.pop();
    }
    offsets.push(offset);
  }

  reject(offset: number, code: number): void {
    this.count(code, 1);
    if (this.listed.length < REJECTED_LISTED) this.listed.push({ offset, code: REJECTIONS[code] as Rejection });
  }

  count(code: number, more: number): void {
    this.counts ??= new Array<number>(REJECTIONS.length).fill(0);
    (this.counts[code] as number) += more;
  }

  endAt(offset: number): void {
    this.end = offset;
  }

  /** Settles headers whose name section lay beyond the window, and gives the result. */
  finish(reader: Reader): Candidates {
    if (this.offsets.length > 0) this.settle(new BlockReader(reader));
    const { offsets, listed } = this;
    const end = this.end;
    const rejected: Partial<Record<Rejection, number>> = {};
    let seen = offsets.length;
    for (const [code, count] of this.counts?.entries() ?? []) {
      if (count > 0) rejected[REJECTIONS[code] as Rejection] = count;
      seen += count;
    }
    return end === undefined ? { offsets, seen, rejected, listed } : { offsets, seen, rejected, listed, end };
  }

  private settle(blocks: BlockReader): void {
    const named: number[] = [];
    for (const offset of this.offsets) {
      if (hasNoNames(blocks, offset)) this.reject(offset, SECTION_NAMES_TYPE);
      else this.keep(named, offset, CANDIDATES_PER_RANGE);
    }
    this.offsets = named;
  }
}

/**
 * Whether the header at `offset` is false for the commonest reason: the section that should hold the names is there
 * and is no string table. Allocates nothing, so that a flood of false headers costs little more than the search.
 */
function hasNoNames(blocks: BlockReader, offset: number): boolean {
  const little = blocks.u8(offset + EI.DATA) === ELFDATA.LSB;
  const high = blocks.u32(offset + ehdr64.offsets.e_shoff + (little ? 4 : 0), little);
  const low = blocks.u32(offset + ehdr64.offsets.e_shoff + (little ? 0 : 4), little);
  const count = blocks.u16(offset + ehdr64.offsets.e_shnum, little);
  const index = blocks.u16(offset + ehdr64.offsets.e_shstrndx, little);
  if (high !== 0 || count <= 0 || index < 0 || index === SHN.XINDEX) return false;
  if (blocks.u16(offset + ehdr64.offsets.e_machine, little) !== EM.BPF) return false;
  const row = offset + low + index * shdr64.size;
  const type = blocks.u32(row + shdr64.offsets.sh_type, little);
  // Of a row that is cut off nothing is held against the header: as in the full measurement.
  return type !== SHT.STRTAB && type >= 0 && blocks.u8(row + shdr64.size - 1) >= 0;
}
