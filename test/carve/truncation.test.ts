import { describe, expect, test } from 'vitest';
import { at, BOTH_ORDERS, concat, header, object, sectionTable } from './bytes.ts';
import { carve, places } from './carve.ts';

const NULL = { type: 0 };
const NAMES = { type: 3 };

describe.each(BOTH_ORDERS)('a source that ends inside an object, %s endian:', (order) => {
  test('with the table last, everything up to the end belongs to the object', () => {
    const whole = object(order);
    for (let length = 64; length < whole.length; length++) {
      expect(places(at(7, whole.subarray(0, length)))).toEqual([`7+${length} truncated`]);
    }
  });

  test('with the table first, what is there of the sections belongs to it', () => {
    const table = sectionTable([NULL, NAMES, section(256, 100), section(400, 50)], order);
    const head = concat(header({ e_shnum: 4 }, order), table);
    expect(head.length).toBe(320);
    const cut = (length: number) => places(at(0, head, 1000).subarray(0, length));
    expect(cut(450)).toEqual(['0+450 whole']);
    expect(cut(1000)).toEqual(['0+450 whole']);
    expect(cut(449)).toEqual(['0+449 truncated']);
    expect(cut(401)).toEqual(['0+401 truncated']);
    // Between the two sections lies nothing of the object's own.
    expect(cut(400)).toEqual(['0+356 truncated']);
    expect(cut(357)).toEqual(['0+356 truncated']);
    expect(cut(355)).toEqual(['0+355 truncated']);
    expect(cut(330)).toEqual(['0+330 truncated']);
    expect(cut(320)).toEqual(['0+320 truncated']);
    expect(cut(319)).toEqual(['0+319 truncated']);
    expect(cut(64)).toEqual(['0+64 truncated']);
  });

  test('a name section beyond the end is not held against it', () => {
    const table = sectionTable([NULL, section(64, 8), NAMES], order);
    const content = concat(header({ e_shnum: 3, e_shstrndx: 2 }, order), table);
    expect(places(content.subarray(0, -1))).toEqual([`0+${content.length - 1} truncated`]);
    expect(places(content.subarray(0, 128))).toEqual(['0+128 truncated']);
  });

  test('an object whose table begins past the end takes what is left', () => {
    const content = at(0, header({ e_shoff: 5000n }, order), 300);
    expect(places(content)).toEqual(['0+300 truncated']);
    expect(carve(content).objects).toMatchObject([{ tableCut: true, elf: { sections: 2 } }]);
  });

  test('a whole object behind a truncated one is whole', () => {
    const whole = object(order);
    const truncated = header({ e_shoff: 5000n }, order);
    expect(places(concat(truncated, whole))).toEqual([`0+${64 + whole.length} truncated`, `64+${whole.length} whole`]);
  });
});

test('several objects without a table share one end, and only so many are kept', () => {
  const head = header({ e_shoff: 1_000_000n });
  const { objects, rejected } = carve(concat(...Array.from({ length: 100 }, () => head)));
  expect(objects).toHaveLength(64);
  expect(rejected).toEqual({ 'overlap-limit': 36 });
});

function section(offset: number, size: number) {
  return { type: 1, offset: BigInt(offset), size: BigInt(size) };
}
