import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BlockReader } from '../../src/bytes/block-reader.ts';
import { memoryReader, type Reader, readAt } from '../../src/bytes/reader.ts';

const content = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);

describe.each([
  ['memory', (): Reader => memoryReader(content)],
  ['blocks', (): Reader => new BlockReader(memoryReader(content))],
])('bytes from %s', (_, open) => {
  test('are those at the place asked for, as far as they go', () => {
    const reader = open();
    fc.assert(
      fc.property(fc.nat(110_000), fc.nat(40_000), (at, length) => {
        expect(Buffer.compare(readAt(reader, at, length), content.subarray(at, at + length))).toBe(0);
      }),
    );
  });

  test('past the end are none', () => {
    expect(readAt(open(), content.length, 10)).toEqual(new Uint8Array(0));
    expect(readAt(open(), 2 ** 52, 10)).toEqual(new Uint8Array(0));
  });

  test('are in memory of their own', () => {
    const piece = readAt(open(), 0, 4);
    piece.fill(0xee);
    expect(readAt(open(), 0, 4)).toEqual(content.slice(0, 4));
  });
});

describe('numbers from blocks', () => {
  const blocks = new BlockReader(memoryReader(content));
  const view = new DataView(content.buffer);

  test('are those in the bytes, or -1 where a block or the source ends first', () => {
    fc.assert(
      fc.property(fc.nat(content.length + 10), fc.boolean(), (at, little) => {
        const expected = (width: number, value: () => number) => (at + width <= content.length ? value() : -1);
        expect(blocks.u8(at)).toBe(expected(1, () => view.getUint8(at)));
        expect([-1, expected(2, () => view.getUint16(at, little))]).toContain(blocks.u16(at, little));
        expect([-1, expected(4, () => view.getUint32(at, little))]).toContain(blocks.u32(at, little));
      }),
    );
  });

  test('are read from the source once for many that lie together', () => {
    let reads = 0;
    const counted: Reader = {
      readInto(target, at) {
        reads++;
        return memoryReader(content).readInto(target, at);
      },
    };
    const kept = new BlockReader(counted);
    for (let at = 0; at < 10_000; at += 2) kept.u16(at, true);
    expect(reads).toBe(1);
  });
});
