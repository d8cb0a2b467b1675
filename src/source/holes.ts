// Where a file has bytes at all: the ranges of a sparse file that are stored.
import type { ByteRange } from '../bytes/range.ts';
import { ENXIO, type Libc, SEEK_DATA, SEEK_HOLE } from '../sys/libc.ts';
import type { OpenFile } from './file.ts';

/** Holes shorter than this are read like the data around them: cheaper than another range. */
const HOLE_WORTH_SKIPPING = 1024 * 1024;

/** Whether so much of the file is missing on disk that skipping holes pays. `st_blocks` counts 512-byte units. */
export function isSparse(file: OpenFile): boolean {
  const { size, blocks } = file.stats;
  return size - blocks * 512 > HOLE_WORTH_SKIPPING;
}

/** The stored ranges of `file` from `from` to its size, ascending. A filesystem without holes gives one. */
export function storedRanges(file: OpenFile, from: number, libc: Libc): ByteRange[] {
  const { size } = file.stats;
  const ranges: ByteRange[] = [];
  for (let at = from; at < size; ) {
    const start = libc.lseek(file.descriptor, at, SEEK_DATA);
    if (start < 0 && libc.errno() === ENXIO) break;
    if (start < 0) return [{ from, to: size }];
    const hole = libc.lseek(file.descriptor, start, SEEK_HOLE);
    const end = hole > start ? Math.min(hole, size) : size;
    const last = ranges.at(-1);
    if (last !== undefined && start - last.to < HOLE_WORTH_SKIPPING)
      ranges[ranges.length - 1] = { from: last.from, to: end };
    else ranges.push({ from: start, to: end });
    at = end;
  }
  return ranges;
}
