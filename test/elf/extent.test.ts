import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { EXTENT_CEILING, type Extent, measureExtent } from '../../src/elf/extent.ts';
import { ElfBuilder, type Endianness, type HeaderFields } from '../support/elf-builder.ts';

const BOTH_ORDERS: readonly Endianness[] = ['little', 'big'];

describe.each(BOTH_ORDERS)('the extent of a %s-endian file', (order) => {
  const content = new ElfBuilder(order).section('.data', { content: new Uint8Array(100) }).build();

  test('is up to the end of what lies last', () => {
    const expected: Extent = {
      end: content.length,
      present: content.length,
      tableCut: false,
      sections: 4,
      impossible: [],
    };
    expect(measure(content)).toEqual(expected);
    const around = new Uint8Array(content.length + 1000);
    around.set(content, 500);
    expect(measureExtent(memoryReader(around), 500, 500 + content.length)).toEqual(expected);
  });

  test('says what is there when the source ends first', () => {
    expect(measure(content.subarray(0, 200))).toMatchObject({ end: content.length, present: 200, tableCut: true });
  });

  test('does not depend on bytes past what is available', () => {
    expect(measureExtent(memoryReader(content), 0, 200)).toEqual(measure(content.subarray(0, 200)));
  });
});

describe('a file without an extent says why, with the numbers', () => {
  const failing: [string, Partial<HeaderFields>, string, RegExp][] = [
    ['no table', { e_shoff: 0n }, 'no-section-table', /e_shoff is 0/],
    ['a far table', { e_shoff: 0x1000_0000n }, 'section-table-range', /4 headers at 0x10000000 ends past 0x10000000/],
    ['an endless offset', { e_shoff: 2n ** 63n }, 'section-table-range', /at over 2\^53/],
    ['no such names', { e_shstrndx: 200 }, 'section-names-range', /e_shstrndx 200 of 4 sections/],
    ['names of another type', { e_shstrndx: 1 }, 'section-names-type', /section 1, named by e_shstrndx, has type 1/],
    ['no count', { e_shnum: 0 }, 'no-section-table', /e_shnum and sh_size of section 0 are both 0/],
  ];
  test.each(failing)('%s', (_, fields, code, message) => {
    const content = new ElfBuilder('little', fields).section('.data', { content: new Uint8Array(8) }).build();
    const error = caught(() => measure(content));
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ code });
    expect(String(error)).toMatch(message);
  });
});

test('any header gives an extent within the source, or a FormatError', () => {
  const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 10 });
  const built = new ElfBuilder().license().build();
  fc.assert(
    fc.property(damage, fc.nat(built.length), (changes, length) => {
      const content = built.slice(0, length);
      for (const [place, value] of changes) if (place < length) content[place] = value;
      let extent: Extent;
      try {
        extent = measure(content);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        return;
      }
      expect(extent.present).toBeLessThanOrEqual(Math.min(length, extent.end));
      expect(extent.end).toBeLessThanOrEqual(EXTENT_CEILING);
      expect(extent.end).toBeGreaterThanOrEqual(64);
    }),
    { numRuns: 3000 },
  );
});

function measure(content: Uint8Array): Extent {
  return measureExtent(memoryReader(content), 0, content.length);
}

function caught(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
