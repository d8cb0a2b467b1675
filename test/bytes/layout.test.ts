import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytes, layout, off64, s16, s32, u8, u16, u32, u64, viewOf } from '../../src/bytes/layout.ts';
import { FormatError } from '../../src/diagnostics.ts';

const row = layout({ a: u8, b: u16, c: u32, d: s16, e: s32, f: u64, g: off64, h: bytes(3) });

describe('a declared struct', () => {
  const content = Uint8Array.from({ length: 40 }, (_, index) => index + 0xf0);

  test('is packed: offsets follow from the widths', () => {
    expect(row.offsets).toEqual({ a: 0, b: 1, c: 3, d: 7, e: 9, f: 13, g: 21, h: 29 });
    expect(row.size).toBe(32);
  });

  test.each([
    [true, { a: 0xf1, b: 0xf3f2, c: 0xf7f6f5f4, d: -0x607 - 1, f: 0x0504_0302_0100_fffen }],
    [false, { a: 0xf1, b: 0xf2f3, c: 0xf4f5f6f7, d: -0x707, f: 0xfeff_0001_0203_0405n }],
  ])('reads each member, little endian: %s', (little, expected) => {
    expect(row.read(viewOf(content), 1, little)).toMatchObject(expected);
    expect(row.read(viewOf(content), 1, little).h).toEqual(Uint8Array.of(0x0e, 0x0f, 0x10));
  });

  test('reads any values back in both byte orders', () => {
    const values = fc.record({
      b: fc.nat(0xffff),
      c: fc.nat(0xffff_ffff),
      d: fc.integer({ min: -0x8000, max: 0x7fff }),
    });
    fc.assert(
      fc.property(values, fc.boolean(), ({ b, c, d }, little) => {
        const view = new DataView(new ArrayBuffer(8));
        view.setUint16(0, b, little);
        view.setUint32(2, c, little);
        view.setInt16(6, d, little);
        expect(layout({ b: u16, c: u32, d: s16 }).read(view, 0, little)).toEqual({ b, c, d });
      }),
    );
  });

  test('outside the view is malformed input, with both numbers', () => {
    for (const at of [9, 40, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => row.read(viewOf(content), at, true)).toThrow(FormatError);
    }
    expect(() => row.read(viewOf(content), 9, true)).toThrow('32 bytes at 0x9 end past 0x28');
    expect(row.read(viewOf(content), 8, true).a).toBe(0xf8);
  });

  test('of a window on a buffer stays in the window', () => {
    const window = content.subarray(4, 12);
    expect(layout({ a: u8 }).read(viewOf(window), 0, true)).toEqual({ a: 0xf4 });
    expect(() => layout({ a: u8 }).read(viewOf(window), 8, true)).toThrow(FormatError);
  });

  test('gives byte blocks memory of their own', () => {
    const source = Uint8Array.of(1, 2, 3);
    const { h } = layout({ h: bytes(3) }).read(viewOf(source), 0, true);
    source[0] = 9;
    expect(h).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe('a 64-bit file offset', () => {
  test('is exact up to 2^53 - 1 and infinite from there, never rounded', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.boolean(), (value, little) => {
        const view = new DataView(new ArrayBuffer(8));
        view.setBigUint64(0, value, little);
        expect(off64.read(view, 0, little)).toBe(value < 2n ** 53n ? Number(value) : Number.POSITIVE_INFINITY);
      }),
    );
  });

  test.each([
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, Number.POSITIVE_INFINITY],
    [2n ** 64n - 1n, Number.POSITIVE_INFINITY],
  ])('%d reads as %d', (value, expected) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value, true);
    expect(off64.read(view, 0, true)).toBe(expected);
  });
});
