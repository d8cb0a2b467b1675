// Bytes made to cost more than they weigh. Every test asks for bounded results and for the good object beside them.
import { describe, expect, test } from 'vitest';
import { memoryReader, type Reader } from '../../src/bytes/reader.ts';
import { at, concat, header, object, objectAround, repeat, sectionTable, text } from './bytes.ts';
import { carve, carveFrom, SEGMENT } from './carve.ts';

const NULL = { type: 0 };
const NAMES = { type: 3 };
const MIB = 2 ** 20;
/** As large as the smallest real ones. */
const good = object('little', 'the good one'.padEnd(500));

/** What is carved of `flood` with the good object behind it and, where `inside` is given, in it. */
function beside(flood: Uint8Array, inside?: number) {
  const content = concat(flood, good);
  if (inside !== undefined) content.set(good, inside);
  const carved = carve(content);
  const places = inside === undefined ? [flood.length] : [inside, flood.length];
  const found = places.filter((place) =>
    carved.objects.some(
      ({ offset, size, completeness }) => offset === place && size === good.length && completeness === 'whole',
    ),
  );
  return { ...carved, found: found.length === places.length };
}

describe('beside the good object:', () => {
  test('100,000 bare magics back to back', () => {
    const flood = repeat(text('\x7fELF'), 100_000);
    expect(beside(flood, 200_001)).toMatchObject({ found: true, rejected: {} });
  });

  test.each([
    ['7f', 8 * MIB],
    ['7f45', 4 * MIB],
    ['7f454c', MIB],
    ['7f7f454c46', MIB],
  ])('runs of %s', (pattern, count) => {
    const flood = repeat(Buffer.from(pattern, 'hex'), count);
    expect(beside(flood, Math.floor(flood.length / 2) + 1)).toMatchObject({ found: true });
  });

  test.each([
    ['without table', { e_shoff: 0n }, 'no-section-table'],
    ['of 32 bits', { ident: [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1] }, 'unsupported-class'],
    ['with names in no string table', { e_shoff: 64n, e_shstrndx: 1 }, 'section-names-type'],
    ['with names in no string table, far away', { e_shoff: 2_000_064n, e_shstrndx: 1 }, 'section-names-type'],
  ])('100,000 headers %s, all counted', (_, fields, code) => {
    const flood = concat(repeat(header(fields), 100_000), new Uint8Array(2 * MIB + 128));
    const { found, rejected } = beside(flood, 3_200_000);
    expect(found).toBe(true);
    expect(rejected).toEqual({ [code]: 100_000 - Math.ceil(good.length / 64) });
  });

  test('100,000 headers that each claim a table past the end', () => {
    const flood = repeat(header({ e_shoff: 0x800_0000n, e_shnum: 10, e_shstrndx: 9 }), 100_000);
    for (const inside of [64, 3_200_000, flood.length - good.length - 64]) {
      const { found, bytes, objects } = beside(flood, inside);
      expect(found).toBe(true);
      expect(objects.length).toBeLessThan(100);
      expect(bytes).toBeLessThan(48 * MIB);
    }
  });

  test('headers packed so that each is part of two others, one every 24 bytes', () => {
    const unit = text('\x7fELF\x02\x01\x01\0\0\0\0\0\x03\0\x01\0\x01\0\xf7\0\0\0\0\0');
    const { found, bytes } = beside(repeat(unit, 349_525), 240_000);
    expect(found).toBe(true);
    expect(bytes).toBeLessThan(64 * MIB);
  });

  test('candidates every 7 bytes, more than the finder lists at once, all counted', () => {
    const count = 100_000;
    const flood = repeat(text('\x7fELF\xf7\0\0'), count);
    const { found, rejected } = beside(flood);
    expect(found).toBe(true);
    // The last two have their e_machine in what follows.
    expect(rejected).toEqual({ 'unsupported-class': count - 2 });
  });

  test('an object every 64 bytes that spans the rest: 4,096 in one another', () => {
    const count = 4096;
    const size = count * 64 + 128;
    const heads = Array.from({ length: count }, (_, index) => header({ e_shoff: BigInt(size - 128 - index * 64) }));
    const flood = concat(...heads, sectionTable([NULL, NAMES]));
    const { found, bytes, rejected } = beside(flood, 64 * 1000);
    expect(found).toBe(true);
    expect(bytes).toBeLessThan(40 * MIB);
    expect(rejected['overlap-limit']).toBeGreaterThan(3000);
  });

  test('an object of 60,000 identical sections', () => {
    const rows = [NULL, NAMES, ...Array.from({ length: 59_998 }, () => ({ type: 1, offset: 64n, size: 8n }))];
    const content = concat(header({ e_shnum: 60_000 }), sectionTable(rows));
    const { found, objects } = beside(content);
    expect(found).toBe(true);
    expect(objects[0]).toMatchObject({ offset: 0, size: content.length, completeness: 'whole' });
  });

  test('an object of 60,000 sections with impossible claims names 16 of them', () => {
    const far = { type: 1, offset: 1n << 60n, size: 1n };
    const rows = [NULL, NAMES, ...Array.from({ length: 59_998 }, () => far)];
    const { objects } = beside(concat(header({ e_shnum: 60_000 }), sectionTable(rows)));
    expect(objects[0]?.impossible).toHaveLength(16);
  });
});

describe('tables that many headers share are read only so often:', () => {
  const rows = 65_534;

  test.each([
    ['objects inside one another', { e_machine: 247 }, 1n],
    ['e_machine 0 with an impossible section', { e_machine: 0 }, 1n << 40n],
  ])('section headers of %s', (_, fields, lastSize) => {
    const heads = 20_000;
    const table = sectionTable([
      NULL,
      NAMES,
      ...Array.from({ length: rows - 3 }, () => ({ type: 1, size: 1n })),
      { type: 1, size: lastSize },
    ]);
    const flood = concat(
      ...Array.from({ length: heads }, (_, index) =>
        header({ ...fields, e_shoff: BigInt((heads - index) * 64), e_shnum: rows }),
      ),
      table,
    );
    expect(tableBytes(flood)).toBeLessThan(400 * MIB);
    expect(beside(flood, 64 * 1000).found).toBe(true);
  });

  test('program headers', () => {
    const heads = 20_000;
    const segments = 65_534 * 56;
    const end = heads * 64 + segments;
    const flood = concat(
      ...Array.from({ length: heads }, (_, index) =>
        header({
          e_type: 2,
          e_shoff: BigInt(end - index * 64),
          e_phoff: BigInt((heads - index) * 64),
          e_phnum: 65_534,
        }),
      ),
      new Uint8Array(segments),
      sectionTable([NULL, NAMES]),
    );
    const reads = { count: 0 };
    expect(tableBytes(flood, reads)).toBeLessThan(400 * MIB);
    expect(reads.count).toBeLessThan(200_000);
    expect(beside(flood, 64 * 1000).found).toBe(true);
  });
});

test('200,000 objects of 144 bytes, each in part of the next two', () => {
  // One section header lies 16 bytes into the next header: its sh_type is the e_version there, its sh_size the e_flags.
  const unit = header({ e_version: 3, e_shoff: 80n, e_shnum: 1, e_shstrndx: 0, e_ehsize: 0, e_shentsize: 0 });
  const { objects } = carve(repeat(unit, 400_000));
  expect(objects.length).toBeGreaterThan(180_000);
  expect(objects.slice(0, 3)).toMatchObject([0, 64, 128].map((offset) => ({ offset, size: 144 })));
});

test('a real object outlives a bomb of larger ones around it', () => {
  const inner = object('big', 'inner');
  const bomb = Array.from({ length: 200 }).reduce<Uint8Array>((content) => objectAround(content), at(500_000, inner));
  const { objects, bytes } = carve(bomb);
  expect(objects.some(({ size, completeness }) => size === inner.length && completeness === 'whole')).toBe(true);
  expect(bytes).toBeLessThan(bomb.length + 40 * MIB);
});

test('a source that ends earlier than it said gives no more than it has', () => {
  const content = concat(object(), object());
  const { objects } = carveFrom(memoryReader(content.subarray(0, 400)), content.length);
  expect(objects.every(({ offset, size }) => offset + size <= content.length)).toBe(true);
});

test('a candidate list is bounded for every segment of a flooded source', () => {
  const unit = header({ e_shoff: 0x800_0000n, e_shnum: 10, e_shstrndx: 9 });
  const { rejected, objects } = carve(repeat(unit, (2 * SEGMENT) / 64));
  expect(objects.length).toBeLessThan(100);
  expect(rejected['work-limit']).toBeGreaterThan(100_000);
});

/** Bytes read while the headers of `content` are searched and sized. */
function tableBytes(content: Uint8Array, reads = { count: 0 }): number {
  const reader = memoryReader(content);
  let bytes = 0;
  const counting: Reader = {
    readInto(target, at) {
      bytes += target.length;
      reads.count++;
      return reader.readInto(target, at);
    },
  };
  carveFrom(counting, content.length);
  return bytes;
}
