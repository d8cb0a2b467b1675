// Filters of classic BPF in bytes, as backdoors on raw sockets and sandboxes carry them. The kernel gives them no tag and no
// number, so what is found here is known by its form alone.
import { viewOf } from '../bytes/layout.ts';
import type { ByteRange } from '../bytes/range.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import {
  CLASSIC_MOST,
  CLASSIC_SIZE,
  classicLength,
  classicText,
  comparesAt,
  decodeClassic,
  isClassicAt,
  isStartAt,
  isZeroAt,
} from '../insn/classic.ts';

export interface ClassicFilter {
  /** Bytes from the start of the source. */
  readonly offset: number;
  /** Instructions of 8 bytes, 4..4096. */
  readonly instructions: number;
  readonly endianness: 'little' | 'big';
  /** One line for each instruction, as `tcpdump -d` words it. */
  readonly text: readonly string[];
}

export interface ClassicCarving {
  /** In order of offset, without overlaps. */
  readonly filters: readonly ClassicFilter[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
}

/** Shorter ones are found in tables of small numbers. */
const MIN_INSTRUCTIONS = 4;
/** No source that was not made to have them has more. */
const MOST_FILTERS = 1 << 16;
/** Instructions that are judged for one source. */
const BUDGET = 1 << 23;
/** Steps through possible filters, for each instruction of a run. */
const WALK_FACTOR = 16;

/** The filters around the RET instructions at `returns` (ascending), as `AnchorList` has them. */
export function carveClassicFilters(reader: Reader, returns: readonly number[]): ClassicCarving {
  const budget = { left: BUDGET };
  const filters = [true, false].flatMap((little) => {
    const starts = little ? returns : returns.filter((at) => at > 0).map((at) => at - 1);
    return filtersAround(reader, starts, little, budget);
  });
  filters.sort((a, b) => a.offset - b.offset || b.instructions - a.instructions);
  let end = 0;
  const kept = filters.filter((filter) => {
    const isFree = filter.offset >= end;
    if (isFree) end = filter.offset + filter.instructions * CLASSIC_SIZE;
    return isFree;
  });
  return { filters: kept, limited: budget.left <= 0 };
}

/** Bytes on either side of an anchor that tell whether it is worth carving. */
const GLANCE = 64 * CLASSIC_SIZE;

/**
 * Whether there may be a filter around the RET of which `anchor` is the byte 06, judged from the bytes in `within` of `view`:
 * also said where those are too few, or when `budget` is used up.
 */
export function mayBeFilter(view: DataView, anchor: number, within: ByteRange, budget: { steps: number }): boolean {
  return isProspect(view, anchor, within, true, budget) || isProspect(view, anchor - 1, within, false, budget);
}

function isProspect(
  view: DataView,
  anchor: number,
  { from: low, to: high }: ByteRange,
  little: boolean,
  budget: { steps: number },
): boolean {
  if (anchor < low || anchor + CLASSIC_SIZE > high || budget.steps <= 0) return true;
  if (!isClassicAt(view, anchor, little)) return false;
  const run = runAround(view, anchor, Math.max(low, anchor - GLANCE), Math.min(high, anchor + GLANCE), little);
  budget.steps -= (run.to - run.from) / CLASSIC_SIZE;
  if (run.isOpenBelow || run.isOpenAbove) return true;
  const walk = newWalk(run);
  const filters = filtersIn(view, run, little, walk);
  budget.steps -= newWalk(run).steps - walk.steps;
  return filters.length > 0 || walk.steps <= 0;
}

function filtersAround(
  reader: Reader,
  anchors: readonly number[],
  little: boolean,
  budget: { left: number },
): ClassicFilter[] {
  const ends: number[] = new Array(CLASSIC_SIZE).fill(0);
  const filters: ClassicFilter[] = [];
  for (const anchor of anchors) {
    if (filters.length >= MOST_FILTERS) budget.left = 0;
    if (budget.left <= 0) break;
    const phase = anchor % CLASSIC_SIZE;
    if (anchor < (ends[phase] ?? 0)) continue;
    const { offset, code } = readRun(reader, anchor, ends[phase] ?? 0, little);
    ends[phase] = offset + code.length;
    budget.left -= code.length / CLASSIC_SIZE + 1;
    const run = { from: 0, to: code.length };
    for (const { from, to } of filtersIn(viewOf(code), run, little, newWalk(run))) {
      filters.push(describe(code.subarray(from, to), offset + from, little));
    }
  }
  return filters;
}

function describe(code: Uint8Array, offset: number, little: boolean): ClassicFilter {
  return {
    offset,
    instructions: code.length / CLASSIC_SIZE,
    endianness: little ? 'little' : 'big',
    text: decodeClassic(code, little).map(classicText),
  };
}

const FIRST_REACH = 32 * CLASSIC_SIZE;

/** The valid instructions around the one at `anchor`. */
function readRun(reader: Reader, anchor: number, floor: number, little: boolean): { offset: number; code: Uint8Array } {
  for (let reach = FIRST_REACH; ; reach *= 8) {
    const low = Math.max(anchor - reach, floor, anchor % CLASSIC_SIZE);
    const window = readAt(reader, low, anchor - low + reach);
    const at = Math.min(anchor - low, window.length);
    const { from, to, isOpenBelow, isOpenAbove } = runAround(viewOf(window), at, 0, window.length, little);
    const isOpen = (isOpenBelow && low === anchor - reach) || (isOpenAbove && window.length === at + reach);
    if (isOpen && reach < CLASSIC_MOST * CLASSIC_SIZE) continue;
    return { offset: low + from, code: window.subarray(from, to) };
  }
}

interface Run extends ByteRange {
  /** It may go on beyond the bytes that were there. */
  readonly isOpenBelow: boolean;
  readonly isOpenAbove: boolean;
}

/**
 * The valid instructions on either side of `at`, between `low` and `high`. Two of zeros end it: nobody loads nothing twice,
 * and otherwise it would go on through all padding.
 */
function runAround(view: DataView, at: number, low: number, high: number, little: boolean): Run {
  let from = at;
  for (let next = from - CLASSIC_SIZE; next >= low && isClassicAt(view, next, little); next -= CLASSIC_SIZE) {
    if (next - CLASSIC_SIZE >= low && isPadding(view, next - CLASSIC_SIZE)) break;
    from = next;
  }
  let to = at;
  for (; to + CLASSIC_SIZE <= high && isClassicAt(view, to, little); to += CLASSIC_SIZE) {
    if (to + 2 * CLASSIC_SIZE <= high && isPadding(view, to)) break;
  }
  return { from, to, isOpenBelow: from - CLASSIC_SIZE < low, isOpenAbove: to + CLASSIC_SIZE > high };
}

function isPadding(view: DataView, at: number): boolean {
  return isZeroAt(view, at) && isZeroAt(view, at + CLASSIC_SIZE);
}

function newWalk({ from, to }: ByteRange): { steps: number } {
  return { steps: (WALK_FACTOR * (to - from)) / CLASSIC_SIZE };
}

/** Where in a run the filters lie. */
function filtersIn(view: DataView, run: ByteRange, little: boolean, walk: { steps: number }): ByteRange[] {
  const filters: ByteRange[] = [];
  for (let at = run.from; at < run.to && walk.steps > 0; ) {
    const count = isStartAt(view, at, little) ? classicLength(view, at, run.to, little, walk) : 0;
    const filter = { from: at, to: at + count * CLASSIC_SIZE };
    const isFound = count >= MIN_INSTRUCTIONS && compares(view, filter, little);
    if (isFound) filters.push(filter);
    at = isFound ? filter.to : at + CLASSIC_SIZE;
  }
  return filters;
}

/** What compares nothing is no filter; what compares only with nothing is a table of numbers. */
function compares(view: DataView, { from, to }: ByteRange, little: boolean): boolean {
  for (let at = from; at < to; at += CLASSIC_SIZE) if (comparesAt(view, at, little)) return true;
  return false;
}
