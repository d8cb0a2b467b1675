import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cstring } from '../../src/bytes/cstring.ts';
import { FormatError } from '../../src/diagnostics.ts';

const table = Buffer.from('\0first\0second\0\0last');

test.each([
  [0, ''],
  [1, 'first'],
  [3, 'rst'],
  [7, 'second'],
  [14, ''],
  [15, 'last'],
  [18, 't'],
])('the string at %d is "%s"', (at, expected) => {
  expect(cstring(table, at)).toBe(expected);
});

test.each([-1, 19, 2 ** 32, Number.POSITIVE_INFINITY, Number.NaN])('at %d there is none', (at) => {
  expect(() => cstring(table, at)).toThrow(FormatError);
});

test('outside its table is said with both numbers', () => {
  expect(() => cstring(table, 0x20)).toThrow('string at 0x20 lies outside its table of 0x13 bytes');
});

test('bytes that are not UTF-8 are replaced; a byte order mark is kept', () => {
  expect(cstring(Uint8Array.of(0x61, 0xff, 0x62, 0), 0)).toBe('a\ufffdb');
  expect(cstring(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0), 0)).toBe('\ufeffa');
});

test('any text without NUL comes back', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
  fc.assert(
    fc.property(text, text, (before, value) => {
      const bytes = Buffer.from(`${before}\0${value}\0rest`);
      expect(cstring(bytes, Buffer.byteLength(before) + 1)).toBe(value);
    }),
  );
});
