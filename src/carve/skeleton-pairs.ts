// Which data belongs to which loader, among all light skeletons of one source: no two have the same.
// Compilers lay out the two side by side; where more than one loader could have a blob, the one that it adjoins does.
import { lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { pairAdjoining } from './skeleton-adjoining.ts';
import { BlobFinder, type BlobPlace } from './skeleton-blob.ts';
import type { ScriptedLoader } from './skeleton-finder.ts';
import type { SkeletonWork } from './skeleton-work.ts';

/** Padding between the two, and the zero that ends a string. */
const PADDING = 64;
/** Between the two: padding, and what a compiler may have put there. */
const GAP = 1024;
/** The same where BTF shows where the blob is: as far as pieces of one heap lie apart. */
const WIDE_GAP = 1024 * 1024;

/**
 * The offset of the blob of each of `loaders`, which ascend; `undefined` where there is none, or another loader has it.
 * Those that adjoin their loader come first, then the others, the nearest first.
 */
export function pairWithData(
  reader: Reader,
  loaders: readonly ScriptedLoader[],
  work: SkeletonWork,
): (number | undefined)[] {
  const blobs = new BlobFinder(reader, work);
  const pairs = pairAdjoining(loaders.map((each) => ({ size: each.script.size, places: blobs.near(each, PADDING) })));
  const taken = new TakenBytes();
  for (const [index, offset] of pairs.entries()) {
    if (offset !== undefined) taken.take(offset, loaders[index]?.script.size ?? 0);
  }
  const queue = new PlaceQueue();
  for (const [index, each] of loaders.entries()) {
    if (pairs[index] === undefined) queue.add({ index, size: each.script.size, places: places(each, blobs, taken) });
  }
  for (let next = queue.take(); next !== undefined; next = queue.take()) {
    const { offset, index, size } = next;
    if (!taken.isFree(offset, size)) {
      queue.add(next);
      continue;
    }
    taken.take(offset, size);
    pairs[index] = offset;
  }
  return pairs;
}

/** Where the blob of a loader may be, the nearest first; nothing that is taken when it is asked for. */
function* places(each: ScriptedLoader, blobs: BlobFinder, taken: TakenBytes): Generator<BlobPlace> {
  const isFree = (offset: number, size: number) => taken.isFree(offset, size);
  for (;;) {
    const [place] = blobs.near(each, GAP, isFree).sort((a, b) => a.distance - b.distance);
    if (place === undefined) break;
    // Asked again, another loader has it by now: the next search does not give it.
    yield place;
  }
  yield* blobs.far(each, WIDE_GAP, isFree);
}

/** Bytes that belong to a loader. */
class TakenBytes {
  /** Ascending and apart. */
  readonly #ranges: { readonly from: number; readonly to: number }[] = [];

  isFree(offset: number, size: number): boolean {
    const last = this.#ranges[this.#lastBefore(offset + size)];
    return last === undefined || last.to <= offset;
  }

  take(offset: number, size: number): void {
    this.#ranges.splice(this.#lastBefore(offset) + 1, 0, { from: offset, to: offset + size });
  }

  #lastBefore(offset: number): number {
    return lastAtOrBefore(this.#ranges, offset - 1, ({ from }) => from);
  }
}

interface Seeker {
  /** Of the loader. */
  readonly index: number;
  /** Of its blob. */
  readonly size: number;
  /** What it may have, the nearest first. */
  readonly places: Iterator<BlobPlace>;
}

/** Loaders that look for a blob, by how near the next place is that each of them may have. */
class PlaceQueue {
  /** The nearest last. */
  readonly #waiting: (Seeker & BlobPlace)[] = [];

  /** Adds `seeker` at its next place; drops it when it has no more. */
  add({ index, size, places }: Seeker): void {
    const next = places.next();
    if (next.done) return;
    const waiting = { index, size, places, ...next.value };
    const at = lastAtOrBefore(this.#waiting, -waiting.distance - 1, ({ distance }) => -distance) + 1;
    this.#waiting.splice(at, 0, waiting);
  }

  take(): (Seeker & BlobPlace) | undefined {
    return this.#waiting.pop();
  }
}
