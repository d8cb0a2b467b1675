import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteLength, type FilePath, join, nameOf, placeOf, simplify } from '../../src/source/path.ts';

const path = (latin1: string): Uint8Array => Uint8Array.from(Buffer.from(latin1, 'latin1'));

test('a path is text when its bytes are UTF-8, and its bytes when not', () => {
  expect(simplify(Buffer.from('/tmp/é\u{1f41d}\n'))).toBe('/tmp/é\u{1f41d}\n');
  expect(simplify(path('/tmp/\xff'))).toEqual(path('/tmp/\xff'));
  expect(simplify(Buffer.from('\ufeffa'))).toBe('\ufeffa');
});

test.each([
  ['/a\xff', '/a\\xff'],
  ['\xc3\xa9\xff', 'é\\xff'],
  ['\xe2\x82\xff', '\\xe2\\x82\\xff'],
  ['\xed\xa0\x80', '\\xed\\xa0\\x80'],
  ['\xc0\xaf', '\\xc0\\xaf'],
  ['\xf4\x90\x80\x80', '\\xf4\\x90\\x80\\x80'],
  ['\xf0\x9f\x90\x9d\xfe', '\u{1f41d}\\xfe'],
])('%j is reported as %s, with the exact bytes beside it', (bytes, shown) => {
  const exact = Buffer.from(bytes, 'latin1').toString('base64');
  expect(nameOf(path(bytes))).toEqual({ path: shown, pathBase64: exact });
  expect(placeOf(path(bytes))).toEqual({ where: shown, pathBase64: exact });
  expect(placeOf(nameOf(path(bytes)))).toEqual({ where: shown, pathBase64: exact });
});

test('text needs no bytes beside it', () => {
  expect(nameOf('/a\\xff')).toEqual({ path: '/a\\xff' });
  expect(placeOf('/a\\xff')).toEqual({ where: '/a\\xff' });
});

describe('joined', () => {
  test.each<[FilePath, FilePath, FilePath]>([
    ['a', 'b', 'a/b'],
    ['a/', 'b', 'a/b'],
    ['/', 'b', '/b'],
    ['a', path('\xff'), path('a/\xff')],
    [path('\xff'), 'b', path('\xff/b')],
    [path('\xff/'), 'b', path('\xff/b')],
    [path('\xc3'), path('\xa9'), path('\xc3/\xa9')],
  ])('%j and %j', (directory, name, expected) => {
    expect(join(directory, name)).toEqual(expected);
  });
});

test('any bytes come back from their name in a report', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
      const simple = simplify(bytes);
      const { path: shown, pathBase64 } = nameOf(simple);
      const restored = pathBase64 === undefined ? Buffer.from(shown) : Buffer.from(pathBase64, 'base64');
      expect(Uint8Array.from(restored)).toEqual(bytes);
      expect(byteLength(simple)).toBe(bytes.length);
    }),
  );
});
