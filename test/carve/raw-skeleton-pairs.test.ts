// Many loaders and many blobs in one source: each blob belongs to one loader, the one that it adjoins.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { carveLightSkeletons } from '../../src/carve/light-skeleton.ts';
import { GROUPS } from '../link/objects.ts';
import { CountingReader } from './bytes.ts';
import type { Form } from './skeleton-forms.ts';
import { generateSkeleton, NO_SKELETONS, prologuesIn } from './skeletons.ts';
import { SIGNED_BY_BPFTOOL_7_8 } from './skeletons-of-releases.ts';

/** A part of a source: a loader, a blob, or so many bytes of neither. */
type Part = { readonly loader: Form } | { readonly data: Form } | number;

/** For each loader among `parts`, in order: which part its data is; `undefined` when it has none. */
function pairs(parts: readonly Part[]): (number | undefined)[] {
  const { bytes, offsets } = lay(parts);
  return carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes)).skeletons.map(({ loader, data, programs }) => {
    expect(isLoader(parts[offsets.indexOf(loader.offset)])).toBe(true);
    if (data === undefined) return undefined;
    const index = offsets.indexOf(data.offset);
    const part = parts[index];
    if (typeof part !== 'object' || !('data' in part)) throw new Error(`data at ${data.offset}, where none is`);
    expect([data.size, programs.length > 0]).toEqual([part.data.data.length, true]);
    return index;
  });
}

function lay(parts: readonly Part[]): { readonly bytes: Uint8Array; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  const pieces: Uint8Array[] = [new Uint8Array(77).fill(0x5a)];
  let at = 77;
  for (const part of parts) {
    const piece =
      typeof part === 'number' ? new Uint8Array(part).fill(0x5a) : 'data' in part ? part.data.data : part.loader.loader;
    // Nothing is found in a gap, and one of no bytes would begin where the next part does.
    offsets.push(typeof part === 'number' ? -1 : at);
    pieces.push(piece);
    at += piece.length;
  }
  return { bytes: new Uint8Array(Buffer.concat(pieces)), offsets };
}

function isLoader(part: Part | undefined): boolean {
  return typeof part === 'object' && 'loader' in part;
}

/** The same in every way but the license. */
function otherLicense({ data, loader }: Form): Form {
  const copy = data.slice();
  copy.set(Buffer.from('gpl'), Buffer.from(copy).indexOf('GPL\0'));
  return { data: copy, loader };
}

const ONE = SIGNED_BY_BPFTOOL_7_8.little;
const [data, loader] = [{ data: ONE }, { loader: ONE }];
const [dataOfTwin, loaderOfTwin] = [{ data: otherLicense(ONE) }, { loader: otherLicense(ONE) }];
const GAPS = [0, 1, 64, 600, 4096, 100_000, 900_000];

function times<T>(count: number, make: (index: number) => readonly T[]): T[] {
  return Array.from({ length: count }, (_, index) => make(index)).flat();
}

describe('a loader without data beside a skeleton', () => {
  test.each(GAPS)('%i bytes behind it has none', (gap) => {
    expect(pairs([data, loader, gap, loader])).toEqual([0, undefined]);
    expect(pairs([data, 24, loader, gap, loader])).toEqual([0, undefined]);
  });

  test.each(GAPS)('%i bytes before it has none', (gap) => {
    expect(pairs([loader, gap, loader, data])).toEqual([undefined, 3]);
    expect(pairs([loader, gap, loader, 24, data])).toEqual([undefined, 4]);
  });

  test.each(GAPS.filter((gap) => gap > 24))('%i bytes from its data has none', (gap) => {
    expect(pairs([loader, 24, data, gap, loader])).toEqual([2, undefined]);
    expect(pairs([loader, gap, data, 24, loader])).toEqual([undefined, 2]);
  });

  test('that adjoins its data as well has none: there is one record', () => {
    expect(pairs([loader, data, loader])).toEqual([1, undefined]);
  });

  test('between two has none', () => {
    expect(pairs([data, 8, loader, 40, loader, 40, data, 8, loader])).toEqual([0, undefined, 6]);
    expect(pairs([loader, 8, data, 40, loader, 40, loader, 8, data])).toEqual([2, undefined, 8]);
  });

  test('is said to have none', () => {
    const { bytes } = lay([data, loader, 4096, loader]);
    const [, stray] = carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes)).skeletons;
    expect([stray?.programs, stray?.maps, stray?.diagnostics.map(({ code }) => code)]).toEqual([
      [],
      [],
      ['skeleton-data'],
    ]);
  });
});

describe('thousands of loaders', () => {
  /** What reading cost, too. */
  function carve(parts: readonly Part[]) {
    const { bytes } = lay(parts);
    const reader = new CountingReader(bytes);
    const { skeletons, limited } = carveLightSkeletons(reader, prologuesIn(bytes));
    return { limited, perByte: reader.read / bytes.length, found: skeletons.map((each) => each.data !== undefined) };
  }

  test.each([0, 13])('behind one skeleton, %i bytes apart, are one record and loaders alone', (gap) => {
    const { found, limited } = carve([data, loader, ...times(1000, () => [gap, loader])]);
    expect([found, limited]).toEqual([[true, ...times(1000, () => [false])], false]);
  });

  test('hide no skeleton behind them, and are read a few times each', () => {
    const strays = times(3000, () => [13, loader]);
    const { found, limited, perByte } = carve([...strays, 2_000_000, data, loader]);
    expect([found.indexOf(true), limited]).toEqual([3000, false]);
    expect(perByte).toBeLessThan(20);
  });

  test('with data each have all of it', () => {
    const { found, limited, perByte } = carve(times(2000, () => [data, loader]));
    expect([found.includes(false), found.length, limited]).toEqual([false, 2000, false]);
    expect(perByte).toBeLessThan(20);
  });
});

describe('skeletons side by side have each its own data', () => {
  const kinds = [
    ['identical', data, loader],
    ['alike', dataOfTwin, loaderOfTwin],
  ] as const;

  test.each(kinds)('%s ones, in any order of their parts', (_, data2, loader2) => {
    expect(pairs([loader, data, data2, loader2])).toEqual([1, 2]);
    expect(pairs([data, loader, loader2, data2])).toEqual([0, 3]);
    expect(pairs([data, loader, data2, loader2])).toEqual([0, 2]);
    expect(pairs([loader, data, loader2, data2])).toEqual([1, 3]);
  });

  test.each(kinds)('%s ones, with padding that brings the data of one closer to the other', (_, data2, loader2) => {
    expect(pairs([loader, 24, data, loader2, 8, data2])).toEqual([2, 5]);
    expect(pairs([data, 8, loader, data2, 24, loader2])).toEqual([0, 3]);
    expect(pairs([loader, 24, data, 1, data2, 24, loader2])).toEqual([2, 4]);
  });

  test.each(kinds)('forty %s copies', (_, data2, loader2) => {
    const both = (index: number) => (index % 2 === 0 ? ([data, loader] as const) : ([data2, loader2] as const));
    expect(pairs(times(40, both))).toEqual(times(40, (index) => [2 * index]));
    expect(pairs(times(40, (index) => [...both(index)].reverse()))).toEqual(times(40, (index) => [2 * index + 1]));
    expect(
      pairs(
        times(40, (index) => {
          const [itsData, itsLoader] = both(index);
          return [itsLoader, 24, itsData, 7];
        }),
      ),
    ).toEqual(times(40, (index) => [4 * index + 2]));
  });

  test('when all data lies before all loaders', () => {
    const found = pairs([...times(40, () => [data, 9]), ...times(40, () => [loader, 9])]);
    expect(new Set(found)).toEqual(new Set(times(40, (index) => [2 * index])));
  });
});

const OBJECTS = GROUPS.filter(({ group }) => group === 'libbpf-tools').flatMap(({ objects }) => objects);
const reason = NO_SKELETONS ?? (OBJECTS.length < 20 ? 'libbpf-tools is not installed' : undefined);
const skipped = reason ? ` (skipped: ${reason})` : '';

describe('skeletons of real objects', () => {
  const forms: Form[] = [];
  beforeAll(() => {
    if (reason !== undefined) return;
    for (const { bytes } of OBJECTS.slice(0, 12)) {
      const form = generateSkeleton(bytes);
      if (form !== undefined) forms.push(form);
    }
  }, 120_000);

  test.skipIf(reason !== undefined)(`keep their data wherever the parts of all of them lie${skipped}`, () => {
    expect(forms.length).toBeGreaterThanOrEqual(8);
    const all = forms.flatMap((form) => [{ data: form }, { loader: form }]);
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), fc.nat(40), (parts, gap) => {
        const spaced = parts.flatMap((part): Part[] => [part, gap]);
        const expected = spaced.flatMap((part) =>
          typeof part === 'object' && 'loader' in part
            ? [spaced.findIndex((each) => typeof each === 'object' && 'data' in each && each.data === part.loader)]
            : [],
        );
        expect(pairs(spaced)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });
});

test('in any order of any number of parts no two loaders have the same data, and none is left that both lack', () => {
  const part = fc.constantFrom<Part>(data, loader, dataOfTwin, loaderOfTwin, 5, 40, 3000);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
      const found = pairs(parts);
      const having = found.filter((each) => each !== undefined);
      const blobs = parts.filter((each) => typeof each === 'object' && 'data' in each).length;
      expect(new Set(having).size).toBe(having.length);
      expect(having.length).toBe(Math.min(blobs, found.length));
    }),
    { numRuns: 300 },
  );
});
