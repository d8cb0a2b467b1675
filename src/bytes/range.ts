// Stretches of bytes by offset or address, and lists of them: ascending and apart.

export interface ByteRange {
  readonly from: number;
  /** Past the last byte. */
  readonly to: number;
}

export function bytesIn(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Any ranges as a list: in order, those that overlap or touch as one. */
export function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const list: ByteRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = list.at(-1);
    if (last === undefined || range.from > last.to) list.push(range);
    else if (range.to > last.to) list[list.length - 1] = { from: last.from, to: range.to };
  }
  return list;
}

/** What two lists have in common. */
export function intersect(some: readonly ByteRange[], others: readonly ByteRange[]): ByteRange[] {
  const common: ByteRange[] = [];
  for (let i = 0, j = 0; i < some.length && j < others.length; ) {
    const one = some[i] as ByteRange;
    const other = others[j] as ByteRange;
    const from = Math.max(one.from, other.from);
    const to = Math.min(one.to, other.to);
    if (from < to) common.push({ from, to });
    if (one.to < other.to) i++;
    else j++;
  }
  return common;
}

/** What of one list is not in the other. */
export function subtract(from: readonly ByteRange[], taken: readonly ByteRange[]): ByteRange[] {
  const left: ByteRange[] = [];
  let next = 0;
  for (const range of from) {
    let at = range.from;
    while ((taken[next]?.to ?? Number.POSITIVE_INFINITY) <= at) next++;
    for (let index = next; index < taken.length; index++) {
      const gone = taken[index] as ByteRange;
      if (gone.from >= range.to) break;
      if (gone.from > at) left.push({ from: at, to: gone.from });
      at = gone.to;
    }
    if (at < range.to) left.push({ from: at, to: range.to });
  }
  return left;
}

/** Whether all of `range` is in the list. */
export function covers(list: readonly ByteRange[], range: ByteRange): boolean {
  return list.some(({ from, to }) => from <= range.from && to >= range.to);
}

/** Index of the last of `sorted` that begins at or before `position`, -1 when there is none. */
export function lastAtOrBefore<T>(sorted: readonly T[], position: number, startOf: (item: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (startOf(sorted[middle] as T) <= position) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
