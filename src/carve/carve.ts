// Turns candidate headers into objects with exact bounds, in bounded work whatever the bytes are.
// Knows bounds and overlap; neither hashes nor understands what it carves.
import { BlockReader } from '../bytes/block-reader.ts';
import type { Reader } from '../bytes/reader.ts';
import { EXTENT_CEILING } from '../elf/extent.ts';
import { CROWD, REJECTED_LISTED, type RejectedCandidate, type Rejection } from './search.ts';
import { type SizedObject, sizeObject } from './size.ts';
import { TableMeter } from './table-meter.ts';

export interface Carving {
  readonly objects: readonly SizedObject[];
  readonly rejected: Readonly<Partial<Record<Rejection, number>>>;
  readonly listed: readonly RejectedCandidate[];
}

/*
 * Objects side by side cost no more than the source is long. Objects inside one another need not:
 * n headers that all reach to the end make n^2/2 bytes. What overlaps is therefore taken smallest
 * first within a budget, so that a real object inside a bomb outlives the bomb.
 */
const OVERLAP_BYTES = 32 * 1024 * 1024;
/** Objects without a section table have no end of their own; one source is cut off only once. */
const CUT_OBJECTS = 64;
/** Crowded headers that are sized: this many at least, and more as the source is longer. */
const CROWDED = 200_000;
const CROWDED_PER_MIB = 64;
const DEFERRED = 1 << 17;

/**
 * Sizes the objects whose headers lie at `offsets` (ascending) of a source of `sourceSize` bytes. The work that may go into
 * it grows with the bytes `stored`: address space without memory behind it earns none.
 */
export function carveObjects(
  reader: Reader,
  offsets: readonly number[],
  sourceSize: number,
  stored = sourceSize,
): Carving {
  const objects: SizedObject[] = [];
  const rejects = new Rejects();
  let overlapping: SizedObject[] = [];
  let covered = 0;
  let crowded = CROWDED + CROWDED_PER_MIB * (stored / (1024 * 1024));
  const meter = new TableMeter(new BlockReader(reader), stored / sourceSize);
  for (const [index, offset] of offsets.entries()) {
    const isCrowded = (offsets[index + 1] ?? sourceSize) - offset < CROWD;
    if (isCrowded && crowded-- <= 0) {
      rejects.add(offset, 'work-limit');
      continue;
    }
    meter.begin(offset, isCrowded);
    const sizing = sizeObject(meter, offset, sourceSize);
    if (typeof sizing === 'string') rejects.add(offset, sizing);
    else if (sizing !== undefined && !sizing.tableCut && offset >= covered) {
      covered = offset + sizing.size;
      objects.push(sizing);
      meter.refund();
    } else if (sizing !== undefined) {
      overlapping.push(sizing);
      if (overlapping.length >= 2 * DEFERRED) overlapping = keepBest(overlapping, rejects);
    }
  }
  const all = objects.concat(withinBudget(overlapping, sourceSize, rejects)).sort((a, b) => a.offset - b.offset);
  return { objects: all, rejected: rejects.counts, listed: rejects.listed };
}

function bestFirst(a: SizedObject, b: SizedObject): number {
  return Number(a.tableCut) - Number(b.tableCut) || a.size - b.size || a.offset - b.offset;
}

function keepBest(overlapping: SizedObject[], rejects: Rejects): SizedObject[] {
  overlapping.sort(bestFirst);
  for (const dropped of overlapping.splice(DEFERRED)) rejects.add(dropped.offset, 'overlap-limit');
  return overlapping;
}

function withinBudget(overlapping: SizedObject[], sourceSize: number, rejects: Rejects): SizedObject[] {
  let bytes = Math.max(OVERLAP_BYTES, Math.min(sourceSize, EXTENT_CEILING + OVERLAP_BYTES));
  let cut = CUT_OBJECTS;
  return overlapping.sort(bestFirst).filter((object) => {
    bytes -= object.size;
    if (object.tableCut) cut--;
    const taken = bytes >= 0 && cut >= 0;
    if (!taken) rejects.add(object.offset, 'overlap-limit');
    return taken;
  });
}

class Rejects {
  readonly counts: Partial<Record<Rejection, number>> = {};
  readonly listed: RejectedCandidate[] = [];

  add(offset: number, code: Rejection): void {
    this.counts[code] = (this.counts[code] ?? 0) + 1;
    if (this.listed.length < REJECTED_LISTED) this.listed.push({ offset, code });
  }
}
