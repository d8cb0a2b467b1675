// Code in one source that no ELF header announces: objects that lost theirs, light skeletons, instruction arrays, classic filters.
// Puts the carvers in order, each kept out of what another one has explained already.
import { BlockReader } from '../bytes/block-reader.ts';
import { type ByteRange, coalesce, lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { Anchors } from './anchors.ts';
import { type ClassicFilter, carveClassicFilters } from './classic-filters.ts';
import { carveHeaderless, type PartialObject, type RebuiltObject } from './headerless.ts';
import { carveInstructions, type InstructionArray, type InstructionOptions } from './instructions.ts';
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
  /** The source is the memory of somebody who has BPF programs or maps. */
  readonly isOwner?: boolean;
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
  return new Outside(reader, options).carve(anchors);
}

class Outside {
  readonly #blocks: Reader;
  readonly #options: OutsideOptions;
  readonly #budget: RunBudget;
  /** What is explained so far. */
  #taken: readonly ByteRange[];
  #limited = false;

  constructor(reader: Reader, options: OutsideOptions) {
    this.#blocks = new BlockReader(reader);
    this.#options = options;
    this.#budget = options.budget ?? newRunBudget(options.size);
    this.#taken = coalesce(options.known);
  }

  carve(anchors: Anchors): OutsideCarving {
    const skeletons = this.#each(anchors.loaders, (offsets) => this.#skeletons(offsets));
    const headerless = this.#each(anchors.btf, (offsets) => [this.#headerless(offsets)]);
    const rebuilt = headerless.flatMap((each) => each.rebuilt);
    const partial = headerless.flatMap((each) => each.partial);
    const arrays = this.#options.raw ? this.#arrays(anchors.exits, partial) : [];
    const filters = this.#options.raw ? this.#filters(anchors.returns) : [];
    return { rebuilt, partial: this.#options.raw ? partial : [], skeletons, arrays, filters, limited: this.#limited };
  }

  /** What stands apart comes first: a flood uses up the limits of work for itself only. */
  #each<T>(offsets: readonly number[], carve: (offsets: readonly number[]) => readonly T[]): T[] {
    return bySparsity(offsets).flatMap((some) => {
      const left = outside(some, this.#taken);
      return left.length > 0 ? carve(left) : [];
    });
  }

  #skeletons(offsets: readonly number[]): readonly LightSkeleton[] {
    const { skeletons, limited } = carveLightSkeletons(this.#blocks, offsets, this.#budget);
    this.#take(skeletons.flatMap(extentsOf), limited);
    return skeletons;
  }

  #headerless(offsets: readonly number[]): Pick<OutsideCarving, 'rebuilt' | 'partial'> {
    const { rebuilt, partial, limited } = carveHeaderless(this.#blocks, offsets, this.#options.size, this.#taken);
    this.#take(
      rebuilt.map((each) => extent(each.offset, each.bytes.length)),
      limited,
    );
    return { rebuilt, partial };
  }

  #arrays(exits: readonly number[], partial: readonly PartialObject[]): InstructionArray[] {
    const { aligned, preferLittle, isOwner = false } = this.#options;
    const common = { preferLittle, isOwner, budget: this.#budget };
    const arrays = this.#each(exits, (some) => {
      const places = aligned ? some.filter((at) => at % SLOT_SIZE === 0) : some;
      // Where a loader was at work, its functions are programs by now.
      const { little, big, far } = splitByBtf(places, aligned ? [] : partial);
      return [
        ...this.#instructions(little, { ...common, ...FUNCTIONS, order: 'little' }),
        ...this.#instructions(big, { ...common, ...FUNCTIONS, order: 'big' }),
        ...this.#instructions(little, { ...common, order: 'big' }),
        ...this.#instructions(big, { ...common, order: 'little' }),
        ...this.#instructions(far, common),
      ];
    });
    return arrays.sort((a, b) => a.offset - b.offset);
  }

  #instructions(exits: readonly number[], options: InstructionOptions): readonly InstructionArray[] {
    const left = outside(exits, this.#taken);
    if (left.length === 0) return [];
    const { arrays, limited } = carveInstructions(masked(this.#blocks, this.#taken), left, options);
    this.#take(
      arrays.map((each) => extent(each.offset, each.slots * SLOT_SIZE)),
      limited,
    );
    return arrays;
  }

  #filters(returns: readonly number[]): ClassicFilter[] {
    const filters = this.#each(returns, (some) => {
      const { filters: found, limited } = carveClassicFilters(masked(this.#blocks, this.#taken), some);
      this.#take(
        found.map((each) => extent(each.offset, each.instructions * SLOT_SIZE)),
        limited,
      );
      return found;
    });
    return filters.filter(({ offset }) => !this.#options.aligned || offset % CLASSIC_ALIGNMENT === 0);
  }

  #take(extents: readonly ByteRange[], limited: boolean): void {
    this.#limited ||= limited;
    if (extents.length > 0) this.#taken = coalesce([...this.#taken, ...extents]);
  }
}

/** Before a BTF there were functions, however little they do. */
const FUNCTIONS = { entry: 'function', isOwner: true } as const;
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

/** Blocks of so many bytes with more anchors than that are a flood. */
const BLOCK = 64 * 1024;
const CROWD = 128;

/** Offsets in blocks with few of them, then the others; both ascend. */
function bySparsity(offsets: readonly number[]): readonly (readonly number[])[] {
  const blocks = new Map<number, number>();
  for (const offset of offsets) {
    const block = Math.floor(offset / BLOCK);
    blocks.set(block, (blocks.get(block) ?? 0) + 1);
  }
  const isSparse = (offset: number) => (blocks.get(Math.floor(offset / BLOCK)) ?? 0) <= CROWD;
  const sparse = offsets.filter(isSparse);
  return sparse.length === offsets.length ? [offsets] : [sparse, offsets.filter((offset) => !isSparse(offset))];
}

/** Functions of an object may read arguments and have its byte order; programs that stand alone have one argument. */
function splitByBtf(
  exits: readonly number[],
  partial: readonly PartialObject[],
): Readonly<Record<'little' | 'big' | 'far', readonly number[]>> {
  const before = (order: 'little' | 'big') =>
    coalesce(
      partial
        .filter(({ endianness }) => endianness === order)
        .map(({ offset }) => ({ from: offset - BEFORE_BTF, to: offset })),
    );
  const notLittle = outside(exits, before('little'));
  const far = outside(notLittle, before('big'));
  const [isNotLittle, isFar] = [new Set(notLittle), new Set(far)];
  return {
    little: exits.filter((exit) => !isNotLittle.has(exit)),
    big: notLittle.filter((exit) => !isFar.has(exit)),
    far,
  };
}
