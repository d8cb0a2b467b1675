// Loaders and the data right beside them: which has which, where a blob lies between two loaders that could both have it.
// Counts bytes only; whether a blob makes sense for a loader was asked before.
import type { BlobPlace } from './skeleton-blob.ts';

interface Adjoining {
  /** Of the blob. */
  readonly size: number;
  /** At most one on either side. */
  readonly places: readonly BlobPlace[];
}

/** What the loaders up to some one have. */
interface Choice {
  /** Past the last blob that is taken. */
  readonly end: number;
  /** Bytes between loaders and their blobs, and for each loader without one more than there can be. */
  readonly cost: number;
  readonly offset: number | undefined;
  readonly before?: Choice;
}

/** More than all loaders of a source can be away from blobs that adjoin them. */
const NOTHING = 2 ** 24;
/** Choices that are followed at a time. Where skeletons lie side by side there are three. */
const MOST_CHOICES = 16;

/**
 * The offset of the blob of each of `loaders`, which ascend: as many as can be have one, as near as can be. Blobs ascend with
 * their loaders, which is so wherever both adjoin.
 */
export function pairAdjoining(loaders: readonly Adjoining[]): (number | undefined)[] {
  let choices: readonly Choice[] = [{ end: 0, cost: 0, offset: undefined }];
  for (const { size, places } of loaders) {
    const without = choices.map(
      (before): Choice => ({ end: before.end, cost: before.cost + NOTHING, offset: undefined, before }),
    );
    const having = places.flatMap(({ offset, distance }) =>
      choices
        .filter(({ end }) => end <= offset)
        .map((before): Choice => ({ end: offset + size, cost: before.cost + distance, offset, before })),
    );
    choices = worthwhile([...without, ...having]);
  }
  const [best] = choices.toSorted((a, b) => a.cost - b.cost);
  const offsets: (number | undefined)[] = [];
  for (let choice = best; choice?.before !== undefined; choice = choice.before) offsets.push(choice.offset);
  return offsets.reverse();
}

/** Without those that leave no more bytes than another one does, and are no better. Of equals the first is kept. */
function worthwhile(choices: readonly Choice[]): Choice[] {
  const kept: Choice[] = [];
  for (const choice of choices.toSorted((a, b) => a.end - b.end || a.cost - b.cost)) {
    if (choice.cost < (kept.at(-1)?.cost ?? Number.POSITIVE_INFINITY)) kept.push(choice);
  }
  return kept.slice(-MOST_CHOICES);
}
