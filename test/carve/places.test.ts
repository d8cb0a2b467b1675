import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WINDOW } from '../../src/carve/search.ts';
import { at, BOTH_ORDERS, concat, header, object, objectAround, text } from './bytes.ts';
import { carve, places, SEGMENT } from './carve.ts';

const MAGIC = text('\x7fELF');

describe.each(BOTH_ORDERS)('a %s-endian object', (order) => {
  const whole = object(order);

  test('is found at every offset from 0 to 130', () => {
    for (let offset = 0; offset <= 130; offset++) {
      expect(places(at(offset, whole, offset + whole.length + 7, 0xff))).toEqual([`${offset}+${whole.length} whole`]);
    }
  });

  test('is found anywhere in any bytes', () => {
    const noise = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(noise, noise, (before, after) => {
        expect(places(concat(before, whole, after))).toContain(`${before.length}+${whole.length} whole`);
      }),
    );
  });

  const borders = { '64 KiB': 65_536, '256 KiB': WINDOW, '1 MiB': 2 ** 20, '4 MiB': 2 ** 22, '8 MiB': SEGMENT };
  test.each(Object.entries(borders))('is found astride %s, wherever the border cuts it', (_, border) => {
    const buffer = new Uint8Array(border + whole.length + 1);
    const cuts = [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 40, 59, 61, 62, 63, 64, 65, 127, 128, whole.length - 1];
    for (const cut of [...cuts, whole.length]) {
      buffer.fill(0);
      buffer.set(whole, border - cut);
      expect(places(buffer)).toEqual([`${border - cut}+${whole.length} whole`]);
    }
  });

  test('is found astride every border of small segments', () => {
    for (let offset = 900; offset <= 1100; offset++) {
      expect(places(at(offset, whole, 2048), 1024)).toEqual([`${offset}+${whole.length} whole`]);
    }
  });

  test('tells its identity', () => {
    expect(carve(whole).objects[0]?.elf).toEqual({ class: 64, endianness: order, type: 'REL', sections: 4 });
  });

  test('is found directly behind another, and that behind a third', () => {
    const [first, third] = [object(order, 'first'), object(order, 'third')];
    const starts = [0, first.length, first.length + whole.length];
    expect(places(concat(first, whole, third))).toEqual([
      `${starts[0]}+${first.length} whole`,
      `${starts[1]}+${whole.length} whole`,
      `${starts[2]}+${third.length} whole`,
    ]);
  });

  test('is found inside another, which is whole too', () => {
    const outer = objectAround(whole, order);
    expect(places(outer)).toEqual([`0+${outer.length} whole`, `64+${whole.length} whole`]);
  });

  test('is found three deep', () => {
    const outer = objectAround(objectAround(whole, order), order);
    expect(carve(outer).objects.map(({ offset }) => offset)).toEqual([0, 64, 128]);
  });

  test('is found when its first byte is the last of the one before', () => {
    const table = order === 'little' ? { sh_entsize: 0x7fn << 56n } : { sh_entsize: 0x7fn };
    const before = objectEndingWith(table, order);
    expect(before.at(-1)).toBe(0x7f);
    const both = concat(before, whole.subarray(1));
    expect(places(both)).toEqual([`0+${before.length} whole`, `${before.length - 1}+${whole.length} whole`]);
  });

  test.each([1, 2, 3, 4, 15, 63])('is found with %d bytes of a broken header directly before it', (length) => {
    const false_ = header({ e_shoff: 0n }, order).subarray(0, length);
    expect(places(concat(false_, whole))).toEqual([`${length}+${whole.length} whole`]);
  });

  test('is found with the magic directly before it, once and many times', () => {
    for (const count of [1, 2, 5, 40]) {
      const before = concat(...Array.from({ length: count }, () => MAGIC));
      expect(places(concat(before, whole))).toEqual([`${before.length}+${whole.length} whole`]);
    }
  });

  test('is found with a refused header directly before it, which is counted', () => {
    const refused = header({ e_shoff: 0n }, order);
    const { objects, rejected } = carve(concat(refused, whole));
    expect(objects.map(({ offset, size }) => [offset, size])).toEqual([[64, whole.length]]);
    expect(rejected).toEqual({ 'no-section-table': 1 });
  });

  test('is found where its magic also ends the header of another', () => {
    const before = header({ e_shoff: 0n }, order);
    const overlapped = concat(before.subarray(0, 60), whole);
    expect(places(overlapped)).toContain(`60+${whole.length} whole`);
  });
});

test('objects of both byte orders are found side by side', () => {
  const pieces = [object('little', 'a'), object('big', 'b'), object('little', 'c'), object('big', 'd')];
  expect(carve(concat(...pieces)).objects.map(({ elf }) => elf.endianness)).toEqual(['little', 'big', 'little', 'big']);
});

test('the magic in prose, in hexadecimal and in UTF-16 is nothing', () => {
  const prose = text('begins with \x7fELF and then e_machine 247 (0xf7 0x00) \x7f E L F 7f454c46 ');
  const wide = Buffer.from('\x7fELF\x02\x01\x01', 'utf16le');
  expect(carve(concat(prose, wide, new Uint8Array(80)))).toMatchObject({ objects: [], rejected: {} });
});

test('ELF files of other machines are nothing', () => {
  for (const e_machine of [1, 3, 40, 62, 183, 243, 246, 248, 0x00f8, 0xf7f7]) {
    expect(carve(object('little', 'GPL', { e_machine }))).toMatchObject({ objects: [], rejected: {} });
  }
});

test('e_machine in the byte order that EI_DATA does not announce is nothing', () => {
  expect(carve(object('little', 'GPL', { e_machine: 0xf700 }))).toMatchObject({ objects: [], rejected: {} });
  expect(carve(object('big', 'GPL', { e_machine: 0xf700 }))).toMatchObject({ objects: [], rejected: {} });
});

test('sources of 0 to 63 bytes hold nothing; a header cut off by the end is counted once e_machine is there', () => {
  const whole = object();
  for (let length = 0; length < 64; length++) {
    const expected = length < 20 ? {} : { 'truncated-header': 1 };
    expect(carve(whole.subarray(0, length))).toMatchObject({ objects: [], rejected: expected });
    expect(carve(at(1000, whole.subarray(0, length))).rejected).toEqual(expected);
  }
});

/** An object whose last section header is as given: its final bytes are those of sh_entsize. */
function objectEndingWith(fields: { readonly sh_entsize: bigint }, order: 'little' | 'big'): Uint8Array {
  const content = object(order);
  new DataView(content.buffer).setBigUint64(content.length - 8, fields.sh_entsize, order === 'little');
  return content;
}
