// The anchors of the vector pass against a plain search, around the borders of its windows too.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { carveClassicFilters } from '../../src/carve/classic-filters.ts';
import { carveInstructions } from '../../src/carve/instructions.ts';
import { Finder, WINDOW } from '../../src/carve/search.ts';
import { object } from './bytes.ts';

const finder = new Finder();

function anchorsIn(bytes: Uint8Array, ranges = [{ from: 0, to: bytes.length }]) {
  const anchors = new AnchorList({ classic: true });
  const candidates = ranges.map((range) => finder.search(memoryReader(bytes), range, anchors));
  return { anchors, candidates };
}

const EXIT = [0x95, 0, 0, 0, 0, 0, 0, 0];
const BTF = {
  little: [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0],
  big: [0xeb, 0x9f, 1, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0, 9],
};
/** r6 = r1; r1 = r10: how every loader of a light skeleton begins. */
const LOADER = {
  little: [0xbf, 0x16, 0, 0, 0, 0, 0, 0, 0xbf, 0xa1, 0, 0, 0, 0, 0, 0],
  big: [0xbf, 0x61, 0, 0, 0, 0, 0, 0, 0xbf, 0x1a, 0, 0, 0, 0, 0, 0],
};
/** A comparison, then a verdict. */
const RETURN = { little: [0x15, 0, 0, 1, 7, 0, 0, 0, 6, 0, 0, 0], big: [0, 0x15, 0, 1, 0, 0, 0, 7, 0, 6, 0, 0] };

/** `btf_header` of the kernel's <linux/btf.h>: types first, strings right behind them. */
function isBtf(bytes: Uint8Array, at: number): boolean {
  const view = new DataView(bytes.buffer, at);
  const little = view.getUint8(0) === 0x9f;
  const [length = 0, types, typesSize, strings, stringsSize] = [4, 8, 12, 16, 20].map((to) =>
    view.getUint32(to, little),
  );
  const begins = view.getUint16(0, little) === 0xeb9f && view.getUint8(2) === 1 && view.getUint8(3) === 0;
  return begins && length >= 24 && length <= 64 && types === 0 && typesSize === strings && stringsSize !== 0;
}

function isLoader(bytes: Uint8Array, at: number): boolean {
  return Object.values(LOADER).some((slots) => slots.every((byte, index) => bytes[at + index] === byte));
}

function plant(size: number, places: readonly (readonly [at: number, bytes: readonly number[]])[]): Uint8Array {
  const bytes = new Uint8Array(size).fill(0x33);
  for (const [at, content] of places) bytes.set(content.slice(0, size - at), at);
  return bytes;
}

const BORDERS = [0, 1, 8, 9, WINDOW - 64, WINDOW - 8, WINDOW - 1, WINDOW, WINDOW + 5, 2 * WINDOW - 65];

test.each(BORDERS)('each alone is found at %i, whichever kind', (at) => {
  const size = 2 * WINDOW + 100;
  expect(anchorsIn(plant(size, [[at, EXIT]])).anchors.exits).toEqual([at]);
  for (const order of ['little', 'big'] as const) {
    expect(anchorsIn(plant(size, [[at, BTF[order]]])).anchors.btf).toEqual([at]);
    expect(anchorsIn(plant(size, [[at, LOADER[order]]])).anchors.loaders).toEqual([at]);
    const six = at + RETURN[order].indexOf(6);
    expect(anchorsIn(plant(size, [[at, RETURN[order]]])).anchors.returns).toEqual([six]);
  }
});

test('EXIT slots are left out unless they are wanted, and hide nothing', () => {
  const program = [0xb7, 0, 0, 0, 0, 0, 0, 0, ...EXIT];
  const flood = Array.from({ length: WINDOW / 2 / program.length }, () => program).flat();
  const anchors = new AnchorList({ exits: false });
  const bytes = plant(WINDOW, [
    [0, flood],
    [flood.length, BTF.little],
    [flood.length + 64, LOADER.big],
  ]);
  finder.search(memoryReader(bytes), { from: 0, to: bytes.length }, anchors);
  expect(anchors).toMatchObject({ exits: [], btf: [flood.length], loaders: [flood.length + 64], dropped: 0 });
});

test('a search in ranges finds each anchor once', () => {
  const bytes = plant(
    3 * WINDOW,
    BORDERS.slice(4).map((at) => [at, EXIT]),
  );
  const whole = anchorsIn(bytes).anchors.exits;
  const half = WINDOW + 3;
  const ranges = [
    { from: 0, to: half },
    { from: half, to: bytes.length },
  ];
  expect(anchorsIn(bytes, ranges).anchors.exits).toEqual(whole);
});

test('an EXIT in the last eight bytes is found, a cut one is not', () => {
  for (const size of [8, 64, 71, WINDOW + 8]) {
    expect(anchorsIn(plant(size, [[size - 8, EXIT]])).anchors.exits).toEqual([size - 8]);
    expect(anchorsIn(plant(size, [[size - 7, EXIT]])).anchors.exits).toEqual([]);
  }
});

test('headers of objects are the same with anchors as without', () => {
  const bytes = new Uint8Array([...plant(100, [[8, EXIT]]), ...object(), ...object('big'), 0x7f, 0x45, 0x4c]);
  const { candidates } = anchorsIn(bytes);
  expect(candidates).toEqual([finder.search(memoryReader(bytes), { from: 0, to: bytes.length })]);
});

test('wherever a range ends, BTF and loaders belong to the one in which they begin', () => {
  for (const content of [BTF.little, BTF.big, LOADER.little, LOADER.big]) {
    const bytes = plant(400, [[100, content]]);
    for (let cut = 90; cut < 130; cut++) {
      const ranges = [
        { from: 0, to: cut },
        { from: cut, to: bytes.length },
      ];
      const { btf, loaders } = anchorsIn(bytes, ranges).anchors;
      expect([...btf, ...loaders], `cut at ${cut}`).toEqual([100]);
    }
  }
});

describe('any bytes', () => {
  const isExit = (bytes: Uint8Array, at: number) => at >= 0 && EXIT.every((byte, index) => bytes[at + index] === byte);
  const piece = fc.oneof(
    fc.constant(Uint8Array.from(EXIT)),
    fc.constant(Uint8Array.from([0x95, 0, 0])),
    fc.uint8Array({ maxLength: 12 }),
    fc.nat(40).map((size) => new Uint8Array(size)),
  );

  test('BTF and loaders are those of a plain search', () => {
    const known = [...Object.values(BTF), ...Object.values(LOADER)];
    const part = fc.oneof(
      fc.constantFrom(...known).map((bytes) => Uint8Array.from(bytes)),
      fc.tuple(fc.constantFrom(...known), fc.nat(23)).map(([bytes, cut]) => Uint8Array.from(bytes.slice(0, cut))),
      fc.constantFrom([0x9f], [0xeb], [0xbf], [0x7f, 0x45]).map((bytes) => Uint8Array.from(bytes)),
      piece,
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const bytes = new Uint8Array(Buffer.concat([...parts, new Uint8Array(64)]));
        const { btf, loaders } = anchorsIn(bytes).anchors;
        const places = Array.from(bytes.subarray(63).keys());
        expect(btf).toEqual(places.filter((at) => isBtf(bytes, at)));
        expect(loaders).toEqual(places.filter((at) => isLoader(bytes, at)));
      }),
      { numRuns: 3000 },
    );
  });

  test('the EXIT slots are those of a plain search, but one of each row', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const bytes = new Uint8Array(Buffer.concat(pieces));
        const found = new Set(anchorsIn(bytes).anchors.exits);
        for (let at = 0; at < bytes.length; at++) {
          if (found.has(at)) expect(isExit(bytes, at)).toBe(true);
          else if (isExit(bytes, at)) expect(isExit(bytes, at - 8)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test('a flood is cut short, and what stands apart from it is kept', () => {
  const program = [0xb7, 0, 0, 0, 0, 0, 0, 0, ...EXIT];
  const flood = Array.from({ length: WINDOW / 2 / program.length }, () => program).flat();
  const bytes = plant(WINDOW, [
    [0, flood],
    [WINDOW - 4096, EXIT],
  ]);
  const { anchors } = anchorsIn(bytes);
  expect(anchors.dropped).toBeGreaterThan(0);
  expect(anchors.exits.length).toBeLessThan(2048);
  expect(anchors.exits.at(-1)).toBe(WINDOW - 4096);
});

describe('prospects', () => {
  const MOV = [0xb7, 0, 0, 0, 0, 0, 0, 0];
  const filler = fc.constantFrom(0, 0x33, 0xff);
  const row = fc.constantFrom(
    ...[EXIT, MOV, [0x18, 1, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0], [0x61, 0x10, 4, 0, 0, 0, 0, 0]],
    ...[
      [0x20, 0, 0, 0, 12, 0, 0, 0],
      [0x15, 0, 0, 1, 7, 0, 0, 0],
      [6, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
    ],
    ...[
      [0, 0x20, 0, 0, 0, 0, 0, 12],
      [0, 0x15, 0, 1, 0, 0, 0, 7],
      [0, 6, 0, 0, 0, 0, 0, 0],
    ],
  );
  const place = fc.tuple(fc.array(row, { maxLength: 12 }), fc.nat(40));

  test('an EXIT slot that stands alone is none, one behind three slots is', () => {
    const bytes = plant(1000, [
      [100, EXIT],
      [500, [...MOV, ...MOV, ...MOV, ...EXIT]],
    ]);
    expect(prospectsIn(bytes).exits).toEqual([524]);
  });

  test('what is carved around them is what is carved around all', () => {
    fc.assert(
      fc.property(fc.array(place, { maxLength: 8 }), filler, (places, fill) => {
        const parts = places.flatMap(([rows, gap]) => [Uint8Array.from(rows.flat()), new Uint8Array(gap).fill(fill)]);
        const bytes = new Uint8Array(Buffer.concat([new Uint8Array(64).fill(fill), ...parts]));
        const reader = memoryReader(bytes);
        const [all, some] = [anchorsIn(bytes).anchors, prospectsIn(bytes)];
        expect(carveInstructions(reader, some.exits).arrays).toEqual(carveInstructions(reader, all.exits).arrays);
        expect(carveClassicFilters(reader, some.returns)).toEqual(carveClassicFilters(reader, all.returns));
      }),
      { numRuns: 3000 },
    );
  });
});

function prospectsIn(bytes: Uint8Array): AnchorList {
  const anchors = new AnchorList({ classic: true, prospectsOnly: true });
  finder.search(memoryReader(bytes), { from: 0, to: bytes.length }, anchors);
  return anchors;
}
