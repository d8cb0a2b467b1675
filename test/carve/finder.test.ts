import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { Finder, WINDOW } from '../../src/carve/search.ts';
import { sizeObject } from '../../src/carve/size.ts';
import { at, concat, header } from './bytes.ts';

const finder = new Finder();

test('finder.wasm.ts is what finder.wat assembles to', () => {
  const script = fileURLToPath(new URL('../../src/carve/finder.build.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

describe('the verdict on any header', () => {
  /** Mostly values on the edges of what is accepted. */
  const u16 = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 0xfffe, 0xffff), fc.nat(0xffff));
  const offset = fc.oneof(
    fc.constantFrom(0n, 1n, 32n, 64n, 65n, 128n, 300n, 0x1000_0000n - 128n, 0x1000_0000n, 0x1000_0001n, 2n ** 53n),
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.bigInt(0n, 600n),
  );
  const fields = fc.record({
    e_shoff: offset,
    e_shnum: u16,
    e_shstrndx: u16,
    e_type: fc.constantFrom(0, 1, 2, 3),
    e_phoff: offset,
    e_phnum: u16,
  });
  const table = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 0x40, 0xff), { minLength: 0, maxLength: 400 });
  const order = fc.constantFrom('little' as const, 'big' as const);

  test('is the one that the full measurement gives', () => {
    fc.assert(
      fc.property(fields, table, order, fc.nat(130), (given, tail, endianness, place) => {
        const content = concat(new Uint8Array(place), header(given, endianness), Uint8Array.from(tail));
        const { offsets, rejected } = finder.search(memoryReader(content), { from: 0, to: content.length });
        const sized = sizeObject(memoryReader(content), place, content.length);
        if (typeof sized === 'string') {
          // Extended numbering is left to the full measurement; the rest the finder must have refused alike.
          if (!offsets.includes(place)) expect(rejected).toEqual({ [sized]: 1 });
          else expect(given.e_shnum === 0 || given.e_shstrndx === 0xffff).toBe(true);
        } else expect(offsets).toContain(place);
      }),
      { numRuns: 3000 },
    );
  });

  test('does not depend on where the header lies in the window', () => {
    const refused = header({ e_shoff: 128n, e_shstrndx: 1 });
    for (const place of [0, 63, 64, WINDOW - 300, WINDOW - 130, WINDOW - 64, WINDOW - 63, WINDOW - 1, WINDOW]) {
      const content = at(place, refused, place + 1000);
      expect(finder.search(memoryReader(content), { from: 0, to: content.length }).rejected).toEqual({
        'section-names-type': 1,
      });
    }
  });
});

describe('a search', () => {
  const whole = header();
  const content = concat(whole, new Uint8Array(68), Uint8Array.of(3), new Uint8Array(200));
  const range = (from: number, to: number) => finder.search(memoryReader(content), { from, to });

  test('takes headers that begin in its range only', () => {
    expect(range(0, 1).offsets).toEqual([0]);
    expect(range(1, content.length).offsets).toEqual([]);
    expect(finder.search(memoryReader(at(100, whole, 500)), { from: 0, to: 100 }).seen).toBe(0);
    expect(finder.search(memoryReader(at(100, whole, 500)), { from: 100, to: 101 }).seen).toBe(1);
  });

  test('tells where the source ended, and only when it did', () => {
    expect(range(0, content.length).end).toBe(content.length);
    expect(range(0, content.length + 10_000).end).toBe(content.length);
    expect(range(0, content.length - 63).end).toBeUndefined();
    expect(finder.search(memoryReader(new Uint8Array(0)), { from: 0, to: 100 })).toMatchObject({ seen: 0, end: 0 });
  });

  test('of bytes without magic finds nothing, whatever was in the buffer before', () => {
    range(0, content.length);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const quiet = bytes.map((byte) => (byte === 0x7f ? 0x7e : byte));
        expect(finder.search(memoryReader(quiet), { from: 0, to: quiet.length }).seen).toBe(0);
      }),
    );
  });

  test('finds what a search byte by byte finds, in bytes full of pieces of magic', () => {
    const piece = fc.constantFrom('7f', '45', '7f45', '4c46', '7f454c46', '02', '0101', '00', 'f700', '00f7', '0100');
    const bytes = fc.array(piece, { maxLength: 400 }).map((pieces) => Buffer.from(pieces.join(''), 'hex'));
    fc.assert(
      fc.property(bytes, (hay) => {
        const padded = concat(hay, new Uint8Array(64));
        const found = finder.search(memoryReader(padded), { from: 0, to: padded.length });
        const counted = [...padded.keys()].filter((place) => isBpfHeader(padded, place)).length;
        expect(found.seen - unmachined(padded, found.offsets)).toBe(counted);
      }),
      { numRuns: 500 },
    );
  });
});

/** Magic, and EM_BPF in the order that EI_DATA announces or, where it announces none, in either. */
function isBpfHeader(bytes: Uint8Array, place: number): boolean {
  const [a, b, c, d] = bytes.subarray(place, place + 4);
  if (a !== 0x7f || b !== 0x45 || c !== 0x4c || d !== 0x46) return false;
  const [data, low, high] = [bytes[place + 5], bytes[place + 18], bytes[place + 19]];
  return (low === 0xf7 && high === 0 && data !== 2) || (low === 0 && high === 0xf7 && data !== 1);
}

/** Candidates with e_machine 0, which only ET_REL headers can be. */
function unmachined(bytes: Uint8Array, offsets: readonly number[]): number {
  return offsets.filter((place) => bytes[place + 18] === 0 && bytes[place + 19] === 0).length;
}
