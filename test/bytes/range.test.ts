import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ByteRange,
  bytesIn,
  coalesce,
  covers,
  intersect,
  lastAtOrBefore,
  subtract,
} from '../../src/bytes/range.ts';

const END = 40;
const ranges = fc
  .array(fc.tuple(fc.nat(END), fc.nat(8)), { maxLength: 8 })
  .map((pairs) => pairs.map(([from, length]) => ({ from, to: from + length })).filter(({ from, to }) => to > from));
const list = ranges.map(coalesce);
const bytesOf = (some: readonly ByteRange[]) =>
  Array.from({ length: END + 10 }, (_, at) => at).filter((at) => some.some(({ from, to }) => at >= from && at < to));
const isList = (some: readonly ByteRange[]) =>
  some.every(({ from, to }, index) => from < to && from > (some[index - 1]?.to ?? -1));

describe('lists of ranges say the same as the bytes in them', () => {
  test('coalesce', () => {
    fc.assert(
      fc.property(ranges, (some) => {
        const joined = coalesce(some);
        expect(bytesOf(joined)).toEqual(bytesOf(some));
        expect(isList(joined)).toBe(true);
        expect(bytesIn(joined)).toBe(bytesOf(some).length);
      }),
    );
  });

  test('intersect and subtract', () => {
    fc.assert(
      fc.property(list, list, (one, other) => {
        const theirs = new Set(bytesOf(other));
        expect(bytesOf(intersect(one, other))).toEqual(bytesOf(one).filter((at) => theirs.has(at)));
        expect(bytesOf(subtract(one, other))).toEqual(bytesOf(one).filter((at) => !theirs.has(at)));
      }),
    );
  });

  test('covers', () => {
    fc.assert(
      fc.property(list, fc.nat(END), fc.integer({ min: 1, max: 5 }), (some, from, length) => {
        const there = new Set(bytesOf(some));
        const all = Array.from({ length }, (_, index) => from + index).every((at) => there.has(at));
        expect(covers(some, { from, to: from + length })).toBe(all);
      }),
    );
  });

  test('lastAtOrBefore', () => {
    const found = [-1, 0, 1, 5, 9].map((at) => lastAtOrBefore([0, 1, 5], at, (item) => item));
    expect(found).toEqual([-1, 0, 1, 2, 2]);
  });
});
