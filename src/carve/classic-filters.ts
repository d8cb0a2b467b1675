// Filters of classic BPF in bytes, as backdoors on raw sockets and sandboxes carry them. The kernel gives them no tag and no
// number, so what is found here is known by its form alone.
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import {
  CLASSIC_MOST,
  CLASSIC_SIZE,
  type ClassicInstruction,
  classicLength,
  classicText,
  decodeClassic,
  isClassic,
  isComparison,
  isLoad,
  readClassic,
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
    const starts = little ? returns : returns.map((at) => at - 1);
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
    filters.push(...filtersIn(code, offset, little));
  }
  return filters;
}

const FIRST_REACH = 32 * CLASSIC_SIZE;

/** The valid instructions around the one at `anchor`. */
function readRun(reader: Reader, anchor: number, floor: number, little: boolean): { offset: number; code: Uint8Array } {
  for (let reach = FIRST_REACH; ; reach *= 8) {
    const low = Math.max(anchor - reach, floor, anchor % CLASSIC_SIZE);
    const window = readAt(reader, low, anchor - low + reach);
    const view = viewOf(window);
    let from = Math.min(anchor - low, window.length);
    while (from >= CLASSIC_SIZE && isClassic(readClassic(view, from - CLASSIC_SIZE, little))) from -= CLASSIC_SIZE;
    let to = anchor - low;
    while (to + CLASSIC_SIZE <= window.length && isClassic(readClassic(view, to, little))) to += CLASSIC_SIZE;
    const isOpen = (from < CLASSIC_SIZE && low === anchor - reach) || to + CLASSIC_SIZE > anchor - low + reach;
    if (isOpen && reach < CLASSIC_MOST * CLASSIC_SIZE) continue;
    return { offset: low + from, code: window.slice(from, Math.max(from, to)) };
  }
}

function filtersIn(bytes: Uint8Array, offset: number, little: boolean): ClassicFilter[] {
  const code = decodeClassic(bytes, little);
  const filters: ClassicFilter[] = [];
  let steps = WALK_FACTOR * code.length;
  let start = 0;
  while (start < code.length && steps > 0) {
    const first = code[start];
    const count = first !== undefined && isStart(first) ? classicLength(code, start) : 0;
    steps -= Math.max(1, count);
    const body = code.slice(start, start + count);
    if (count >= MIN_INSTRUCTIONS && isFilter(body)) {
      filters.push({
        offset: offset + start * CLASSIC_SIZE,
        instructions: count,
        endianness: little ? 'little' : 'big',
        text: body.map(classicText),
      });
      start += count;
    } else start++;
  }
  return filters;
}

/** Zeros before a filter read as `ld #0`. */
function isStart(insn: ClassicInstruction): boolean {
  return isLoad(insn) && (insn.code !== 0 || insn.k !== 0);
}

/** What compares nothing is no filter; what compares only with nothing is a table of numbers. */
function isFilter(body: readonly ClassicInstruction[]): boolean {
  return body.some((insn) => isComparison(insn) && insn.k !== 0);
}
