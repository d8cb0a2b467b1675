// Code in one source that no ELF header announces: objects that lost theirs, light skeletons, instruction arrays, classic filters.
// Puts the carvers in order, each kept out of what another one has explained already.
import { BlockReader } from '../bytes/block-reader.ts';
import { type ByteRange, coalesce, lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { Anchors } from './anchors.ts';
import { type ClassicFilter, carveClassicFilters } from './classic-filters.ts';
import { carveHeaderless, type PartialObject, type RebuiltObject } from './headerless.ts';
import { carveInstructions, type InstructionArray } from './instructions.ts';
import { carveLightSkeletons, type LightSkeleton } from './light-skeleton.ts';
import { newRunBudget, type RunBudget } from './runs.ts';

export interface OutsideOptions {
  /** Of the source, bytes. */
  readonly size: number;
  /** The objects that were found by their headers: nothing is looked for in them. */
  readonly known: readonly ByteRange[];
  /** Look for what only its own sense gives away: instructions, filters, and BTF that nothing is left around. */
  readonly raw: boolean;
  /** Only what lies as compilers and allocators align it, as in memory. In files anything may stand before it. */
  readonly aligned: boolean;
  /** Of the machine that the source is from: what is said where both byte orders make sense. */
  readonly preferLittle: boolean;
  /** Shared by the parts of one source. */
  readonly budget?: RunBudget;
}

export interface OutsideCarving {
  readonly rebuilt: readonly RebuiltObject[];
  readonly partial: readonly PartialObject[];
  readonly skeletons: readonly LightSkeleton[];
  readonly arrays: readonly InstructionArray[];
  readonly filters: readonly ClassicFilter[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
}

/** What is around `anchors` and in no known object. */
export function carveOutside(reader: Reader, anchors: Anchors, options: OutsideOptions): OutsideCarving {
  const { size, raw, aligned, preferLittle, budget = newRunBudget() } = options;
  const blocks = new BlockReader(reader);
  const known = coalesce(options.known);
  const { skeletons, limited } = carveLightSkeletons(blocks, outside(anchors.loaders, known), budget);
  const explained = coalesce([...known, ...skeletons.flatMap(extentsOf)]);
  const { rebuilt, partial, ...headerless } = carveHeaderless(blocks, anchors.btf, size, explained);
  const found = { rebuilt, skeletons };
  if (!raw) return { ...found, partial: [], arrays: [], filters: [], limited: limited || headerless.limited };
  const taken = coalesce([...explained, ...rebuilt.map((each) => extent(each.offset, each.bytes.length))]);
  const exits = outside(anchors.exits, taken).filter((at) => !aligned || at % SLOT_SIZE === 0);
  // Where a loader was at work, its functions are programs by now.
  const { near, far } = splitByBtf(exits, aligned ? [] : partial);
  const unexplained = masked(blocks, taken);
  const programs = carveInstructions(unexplained, far, { preferLittle, budget });
  const functions = carveInstructions(unexplained, near, { preferLittle, budget, entry: 'function' });
  const arrays = [...programs.arrays, ...functions.arrays].sort((a, b) => a.offset - b.offset);
  const all = coalesce([...taken, ...arrays.map((each) => extent(each.offset, each.slots * SLOT_SIZE))]);
  const classic = carveClassicFilters(masked(blocks, all), outside(anchors.returns, all));
  return {
    ...found,
    partial,
    arrays,
    filters: classic.filters.filter(({ offset }) => !aligned || offset % CLASSIC_ALIGNMENT === 0),
    limited: limited || headerless.limited || programs.limited || functions.limited || classic.limited,
  };
}

/** struct sock_filter holds nothing longer. */
const CLASSIC_ALIGNMENT = 4;
/** Bytes before a BTF in which the functions of its object may lie. */
const BEFORE_BTF = 1024 * 1024;

function extent(offset: number, size: number): ByteRange {
  return { from: offset, to: offset + size };
}

function extentsOf({ loader, data }: LightSkeleton): ByteRange[] {
  const code = extent(loader.offset, loader.slots * SLOT_SIZE);
  return data === undefined ? [code] : [code, extent(data.offset, data.size)];
}

/** No instruction begins with it, in either set and byte order. */
const NO_CODE = 0xff;

/** The same bytes, but what lies in `ranges` is no code: what stands beside it must not be taken to begin in it. */
function masked(reader: Reader, ranges: readonly ByteRange[]): Reader {
  return {
    readInto(target, at) {
      const count = reader.readInto(target, at);
      const first = Math.max(
        0,
        lastAtOrBefore(ranges, at, ({ from }) => from),
      );
      for (let index = first; index < ranges.length; index++) {
        const { from, to } = ranges[index] as ByteRange;
        if (from >= at + count) break;
        if (to > at) target.fill(NO_CODE, Math.max(0, from - at), Math.min(count, to - at));
      }
      return count;
    },
  };
}

/** Those of `offsets` that lie in none of `ranges`; both ascend. */
function outside(offsets: readonly number[], ranges: readonly ByteRange[]): number[] {
  let next = 0;
  return offsets.filter((offset) => {
    while ((ranges[next]?.to ?? Number.POSITIVE_INFINITY) <= offset) next++;
    return offset < (ranges[next]?.from ?? Number.POSITIVE_INFINITY);
  });
}

/** Functions of an object may read arguments; programs that stand alone have one. */
function splitByBtf(exits: readonly number[], partial: readonly PartialObject[]): { near: number[]; far: number[] } {
  const around = coalesce(partial.map(({ offset }) => ({ from: offset - BEFORE_BTF, to: offset })));
  const far = outside(exits, around);
  const isFar = new Set(far);
  return { near: exits.filter((exit) => !isFar.has(exit)), far };
}
