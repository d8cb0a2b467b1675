// Cuts what is to be searched into pieces worth a call, and gathers small pieces into tasks worth a message.
import type { ByteRange } from '../bytes/range.ts';

/** A range of a source that is searched in one go. */
export const SEGMENT = 8 * 1024 * 1024;
/** Sources with more stored bytes than this are split among threads. */
export const SPLIT_FROM = 64 * 1024 * 1024;

/** The same ranges, none longer than a segment. */
export function segments(ranges: readonly ByteRange[]): ByteRange[] {
  return ranges.flatMap(({ from, to }) =>
    Array.from({ length: Math.ceil((to - from) / SEGMENT) }, (_, index) => ({
      from: from + index * SEGMENT,
      to: Math.min(to, from + (index + 1) * SEGMENT),
    })),
  );
}

/** Ranges of a sparse file or of memory may be tiny: together they make tasks of about a segment. */
export function groupRanges(ranges: readonly ByteRange[]): ByteRange[][] {
  const groups: ByteRange[][] = [];
  let room = 0;
  for (const range of ranges) {
    const size = range.to - range.from;
    const open = groups.at(-1);
    if (open && size <= room) open.push(range);
    else {
      groups.push([range]);
      room = SEGMENT;
    }
    room -= size;
  }
  return groups;
}
