// Loaders that nobody generated: what they claim is bounded by the bytes that are there, and nothing is read twice because of them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { carveLightSkeletons, type LightSkeleton, type SkeletonCarving } from '../../src/carve/light-skeleton.ts';
import { newRunBudget } from '../../src/carve/runs.ts';
import { predictLightTags } from '../../src/link/light-skeleton-tags.ts';
import { CountingReader } from './bytes.ts';
import { assemble, blobAddress, command, EPILOGUE, PROLOGUE, pointer, type Slot } from './skeleton-forms.ts';
import { prologuesIn } from './skeletons.ts';
import { SIGNED_BY_BPFTOOL_7_8 } from './skeletons-of-releases.ts';

const PROG_LOAD = 5;
const BTF_LOAD = 18;
const MAP_CREATE = 0;
const MAP_UPDATE_ELEM = 2;

/** Where the blob below has what. */
const AT = { license: 0, code: 8, attributes: 24, end: 168 } as const;

/** A blob of one program, `r0 = 0; exit`, of so many instructions as it says. */
function blob(count = 2, size: number = AT.end): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(AT.attributes, 1, true);
  view.setUint32(AT.attributes + 4, count, true);
  bytes.set(Buffer.from('small'), AT.attributes + 48);
  bytes.set(Buffer.from('GPL'), AT.license);
  bytes.set(assemble(EPILOGUE), AT.code);
  return bytes;
}

const LOAD: readonly Slot[] = [
  ...pointer(AT.attributes + 16, AT.license),
  ...pointer(AT.attributes + 8, AT.code),
  ...command(PROG_LOAD, AT.attributes, 144),
];

function loader(...body: readonly (readonly Slot[])[]): Uint8Array {
  return assemble([...PROLOGUE, ...body.flat(), ...EPILOGUE]);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** What reading cost, too. */
function carve(bytes: Uint8Array): SkeletonCarving & { readonly read: number } {
  const reader = new CountingReader(bytes);
  const carving = carveLightSkeletons(reader, prologuesIn(bytes));
  return { ...carving, read: reader.read };
}

function only({ skeletons }: SkeletonCarving): LightSkeleton {
  const [skeleton] = skeletons;
  if (skeleton === undefined || skeletons.length > 1) throw new Error(`${skeletons.length} skeletons`);
  return skeleton;
}

describe('a loader made by hand', () => {
  test('is read like a generated one', () => {
    const skeleton = only(carve(join(blob(), loader(LOAD))));
    expect(skeleton.programs.map(({ name, license, code }) => [name, license, code.length])).toEqual([
      ['small', 'GPL', 16],
    ]);
    expect(skeleton.diagnostics).toEqual([]);
  });

  test.each([
    ['2^32 - 1 instructions', 0xffff_ffff],
    ['a million', 1_000_000],
    ['none', 0],
    ['one more than there are bytes for', 3],
  ])('whose program claims %s has no data', (_, count) => {
    const skeleton = only(carve(join(blob(count), loader(LOAD))));
    expect(skeleton).not.toHaveProperty('data');
    expect(skeleton.diagnostics.map(({ code }) => code)).toEqual(['skeleton-data']);
  });

  test.each([
    ['attributes', [...LOAD, ...command(PROG_LOAD, 0x7fff_fff0, 144)]],
    ['a size', [...LOAD, ...command(PROG_LOAD, AT.attributes, 0x7fff_ffff)]],
    ['a pointer', [...pointer(0x7fff_fff8, AT.license), ...LOAD]],
    ['the license', [...LOAD, ...pointer(AT.attributes + 16, 0x7fff_ffff), ...command(PROG_LOAD, AT.attributes, 144)]],
    ['a string', [...LOAD, ...blobAddress(1, 0), [0xb7, 2, 0, 0, 0x7fff_ffff], [0x85, 0, 0, 0, 6]]],
  ] satisfies [string, Slot[]][])('with %s two gigabytes away has no data', (_, body) => {
    const skeleton = only(carve(join(blob(), loader(body), new Uint8Array(4096))));
    expect(skeleton).not.toHaveProperty('data');
  });

  test('with negative places refers to nothing', () => {
    const body: Slot[] = [
      ...pointer(-8, -16),
      ...command(PROG_LOAD, -144, 144),
      ...command(PROG_LOAD, AT.attributes, -1),
    ];
    expect(only(carve(join(blob(), loader(body)))).programs).toEqual([]);
  });

  test('that loads one program a thousand times gives none of them, and says why', () => {
    const again = Array.from({ length: 1000 }, () => command(PROG_LOAD, AT.attributes, 144));
    const skeleton = only(carve(join(blob(), loader(LOAD, ...again))));
    expect(skeleton.programs).toEqual([]);
    expect(skeleton.diagnostics.map(({ message }) => message)).toEqual([
      'the instructions of a program: with it, pieces of 176 bytes lie in 168',
    ]);
  });

  test('with commands too short for what they need reads the rest as zero', () => {
    const types = [...pointer(AT.end - 8, AT.code), ...command(BTF_LOAD, AT.end - 8, 0)];
    const map = [...command(MAP_CREATE, AT.attributes, 0), ...command(MAP_UPDATE_ELEM, AT.attributes, 4)];
    for (const body of [types, map]) {
      const skeleton = only(carve(join(blob(), loader(LOAD, body))));
      expect(skeleton.programs).toHaveLength(1);
      expect(skeleton.btf?.bytes ?? new Uint8Array(0)).toHaveLength(0);
    }
  });

  test('that ends in a circle is read once', () => {
    const circle = assemble([...PROLOGUE, ...LOAD, [0x05, 0, 0, -2, 0]]);
    expect(only(carve(join(blob(), circle))).programs).toHaveLength(1);
  });

  test('with code that nothing reaches is no loader', () => {
    const code = assemble([...PROLOGUE, [0x05, 0, 0, 1, 0], [0xb7, 0, 0, 0, 0], ...EPILOGUE]);
    expect(carve(code).skeletons).toEqual([]);
  });
});

describe('many loaders', () => {
  test('that share one blob are read once each, and stop at a bound', () => {
    const shared = loader(LOAD);
    const bytes = join(
      ...Array.from({ length: 1000 }, () => shared),
      blob(),
      ...Array.from({ length: 1000 }, () => shared),
    );
    const { skeletons, read } = carve(bytes);
    expect(skeletons).toHaveLength(2000);
    expect(skeletons.filter(({ data }) => data !== undefined).length).toBeGreaterThanOrEqual(1);
    // Windows of some kilobytes on either side of each.
    expect(read).toBeLessThan(2000 * 20_000);
  });

  test('that overlap at every alignment are bounded by the bytes', () => {
    const piece = loader(LOAD);
    const bytes = new Uint8Array(100_000);
    for (let at = 0; at + piece.length < bytes.length; at += 57) bytes.set(piece, at);
    const { skeletons, read } = carve(bytes);
    expect(skeletons.length).toBeLessThan(bytes.length / 57 + 1);
    expect(read).toBeLessThan(400 * bytes.length);
  });

  test('in a megabyte of prologues cost a multiple of it', () => {
    const row = assemble(PROLOGUE.slice(0, 7));
    for (const [step, end] of [
      [56, new Uint8Array(0)],
      [57, new Uint8Array(0)],
      [16, new Uint8Array(0)],
      [56, assemble(EPILOGUE)],
    ] as const) {
      const bytes = new Uint8Array(1 << 20);
      for (let at = 0; at + row.length < bytes.length; at += step) bytes.set(row.subarray(0, Math.max(16, step)), at);
      bytes.set(end, bytes.length - end.length);
      const { skeletons, read } = carve(bytes);
      expect(skeletons.length).toBeLessThanOrEqual(4096);
      expect(read / bytes.length).toBeLessThan(400);
    }
  });

  test('beyond what a source may cost are left out, and that is said', () => {
    const piece = join(loader(LOAD), new Uint8Array(1));
    const bytes = join(...Array.from({ length: 6000 }, () => piece));
    const { skeletons, limited } = carve(bytes);
    expect([skeletons.length, limited]).toEqual([4096, true]);
  });

  test('are not looked for when the budget of the source is spent', () => {
    const bytes = join(blob(), loader(LOAD));
    const budget = { ...newRunBudget(), slots: 0 };
    expect(carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes), budget)).toEqual({
      skeletons: [],
      limited: true,
    });
  });

  test('with large data that is nowhere spend what may be read, and no more', () => {
    const far = loader(LOAD, blobAddress(0, 8_000_000));
    const bytes = join(...Array.from({ length: 200 }, () => join(far, new Uint8Array(80_000))));
    const { limited, read } = carve(bytes);
    expect(limited).toBe(true);
    expect(read).toBeLessThan((1 << 28) + 3 * bytes.length);
  });
});

describe('any bytes', () => {
  const prologue = assemble(PROLOGUE);

  test('behind a prologue end in values that lie in the source', () => {
    const slot = fc.constantFrom<Slot[]>(
      ...[
        LOAD.slice(),
        command(PROG_LOAD, 0, 144),
        command(BTF_LOAD, 16, 20),
        pointer(0, 8),
        command(MAP_CREATE, 0, 44),
        command(MAP_UPDATE_ELEM, 8, 32),
      ],
    );
    fc.assert(
      fc.property(
        fc.array(slot, { maxLength: 12 }),
        fc.uint8Array({ maxLength: 400 }),
        fc.boolean(),
        (body, noise, isLittle) => {
          const code = assemble([...PROLOGUE, ...body.flat(), ...EPILOGUE], isLittle);
          for (const bytes of [join(noise, code), join(code, noise), join(blob(), noise, code), join(prologue, noise)])
            inside(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each(['little', 'big'] as const)(
    'in a real skeleton, %s-endian, leave records that lie in the source, or none',
    (order) => {
      const { data, loader: code } = SIGNED_BY_BPFTOOL_7_8[order];
      const good = join(new Uint8Array(50), code, data, new Uint8Array(50));
      const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
      fc.assert(
        fc.property(
          fc.array(change, { maxLength: 16 }),
          fc.integer({ min: 60, max: good.length }),
          (changes, length) => {
            const bytes = good.slice(0, length);
            for (const [at, byte] of changes) if (at < length) bytes[at] = byte;
            inside(bytes);
          },
        ),
        { numRuns: 500 },
      );
    },
  );

  test('in the data alone, which the loader was not told of', () => {
    const { data, loader: code } = SIGNED_BY_BPFTOOL_7_8.little;
    const change = fc.tuple(fc.nat(data.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const other = data.slice();
        for (const [at, byte] of changes) other[at] = byte;
        inside(join(code, other));
      }),
      { numRuns: 500 },
    );
  });
});

/** All that is said lies in the source, and tags can be asked for. */
function inside(bytes: Uint8Array): void {
  for (const skeleton of carve(bytes).skeletons) {
    const { data, loader: code, programs, maps, btf } = skeleton;
    expect(code.offset + code.code.length).toBeLessThanOrEqual(bytes.length);
    if (data === undefined) expect([programs, maps, btf]).toEqual([[], [], undefined]);
    else {
      const end = data.offset + data.size;
      expect(end).toBeLessThanOrEqual(bytes.length);
      for (const each of programs) expect(each.offset + each.code.length).toBeLessThanOrEqual(end);
      if (btf !== undefined) expect(btf.offset + btf.bytes.length).toBeLessThanOrEqual(end);
    }
    expect(predictLightTags(skeleton, { modules: [], release: '6.18.0' })).toHaveLength(programs.length);
  }
}
