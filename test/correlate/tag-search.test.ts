// Arrays found by the tag of the program they became: in the memory of a real loader, and in bytes made to mislead.
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { Finder } from '../../src/carve/search.ts';
import { searchFreed } from '../../src/correlate/freed.ts';
import { newTagBudget, searchTags, type TagSearchOptions } from '../../src/correlate/tag-search.ts';
import { firewallProgram } from '../../src/link/systemd.ts';
import { tagCode } from '../../src/link/tag.ts';
import { type Loader, runLoader, UNABLE } from './loader.ts';

const finder = new Finder();

function exitsIn(bytes: Uint8Array): readonly number[] {
  const anchors = new AnchorList();
  finder.search(memoryReader(bytes), { from: 0, to: bytes.length }, anchors);
  return anchors.exits;
}

function search(bytes: Uint8Array, wanted: readonly string[], options: TagSearchOptions = {}) {
  return searchTags(memoryReader(bytes), exitsIn(bytes), new Set(wanted), options);
}

describe.skipIf(UNABLE !== undefined)(`a process that loads raw arrays${UNABLE ? ` (skipped: ${UNABLE})` : ''}`, () => {
  let loader: Loader;
  beforeAll(async () => {
    loader = await runLoader();
  });
  const program = (what: string) => {
    const found = loader.programs.find((each) => each.what === what);
    if (found === undefined) throw new Error(`no program ${what}`);
    return found;
  };
  const heap = () => loader.regions.find(({ path }) => path === '[heap]')?.bytes ?? new Uint8Array(0);

  test('a kept array is proven, with the number of its map', () => {
    const tags = loader.programs.map(({ tag }) => tag);
    const proven = loader.regions.flatMap(({ bytes }) => search(bytes, tags).arrays);
    const { tag, mapFd } = program('kept');
    expect(new Set(proven.map((each) => each.tag))).toEqual(new Set([tag]));
    expect(proven[0]).toMatchObject({ slots: 24, mapFds: [mapFd] });
    expect(proven[0]?.code).toHaveLength(24 * 8);
    expect(proven[0]?.identical).toBeUndefined();
  });

  test('a freed array is proven once its first two slots are put back', () => {
    const { tag, xlated, mapFd } = program('freed');
    const bytes = heap();
    const { places } = searchFreed(memoryReader(bytes), exitsIn(bytes), [{ tag, xlated }]);
    expect(places).toMatchObject([{ arrays: [{ tag, slots: 24, repaired: true, mapFds: [mapFd] }] }]);
    expect(Object.values(tagCode(places[0]?.arrays[0]?.code ?? new Uint8Array(0), true))).toContain(tag);
  });

  test('a wiped array stays unexplained', () => {
    const { tag, xlated } = program('wiped');
    for (const { bytes } of loader.regions) {
      expect(search(bytes, [tag]).arrays).toEqual([]);
      expect(searchFreed(memoryReader(bytes), exitsIn(bytes), [{ tag, xlated }]).places).toEqual([]);
    }
  });
});

const CODE = firewallProgram({ direction: 'ingress', accounting: true }, true);
const TAGS = { sha1: '7dc8126e8768ea37', sha256: '6144bc3db46d80b4' } as const;

function around(code: Uint8Array, before: number, filler = 0): Uint8Array {
  const bytes = new Uint8Array(before + code.length + 64).fill(filler);
  bytes.set(code, before);
  return bytes;
}

describe('made bytes', () => {
  test.each(['sha1', 'sha256'] as const)('the array is found by its %s tag, at any alignment', (algorithm) => {
    for (const before of [0, 1, 8, 4093]) {
      const { arrays } = search(around(CODE, before), [TAGS[algorithm]]);
      expect(arrays).toMatchObject([{ offset: before, slots: 29, tag: TAGS[algorithm], algorithm }]);
    }
  });

  test('junk that is valid code before it does not hide it', () => {
    const junk = Uint8Array.from({ length: 800 }, (_, at) => (at % 8 === 0 ? 0xbf : at % 8 === 1 ? 0x76 : 0));
    expect(search(around(new Uint8Array([...junk, ...CODE]), 64), [TAGS.sha256]).arrays).toMatchObject([
      { offset: 64 + 800, slots: 29 },
    ]);
  });

  test('what lies inside a proven array is not reported beside it', () => {
    const suffixes = Array.from({ length: 28 }, (_, slot) => tagCode(CODE.subarray(8 * (slot + 1)), true).sha256);
    const { arrays } = search(around(CODE, 8), [TAGS.sha256, ...suffixes]);
    expect(arrays.map(({ slots }) => slots)).toEqual([29]);
  });

  test('two slots are identical code and no more', () => {
    const trivial = Uint8Array.from([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
    const bytes = new Uint8Array([...around(trivial, 16), ...around(trivial, 16)]);
    const { arrays } = search(bytes, [tagCode(trivial, true).sha256]);
    expect(arrays).toMatchObject([{ slots: 2, identical: true }]);
  });

  test('big-endian code is found on a big-endian machine', () => {
    const big = firewallProgram({ direction: 'ingress', accounting: true }, false);
    const tag = tagCode(big, false).sha256;
    expect(search(around(big, 24), [tag], { little: false }).arrays).toMatchObject([{ offset: 24, slots: 29 }]);
    expect(search(around(big, 24), [tag]).arrays).toEqual([]);
  });

  test('code with a slot that nothing reaches is found only by trying every end', () => {
    const ja = [0x05, 0, 1, 0, 0, 0, 0, 0];
    const odd = new Uint8Array([...CODE.subarray(0, 24), ...ja, ...CODE.subarray(24, 32), ...CODE.subarray(24)]);
    const tag = createHash('sha256').update(odd.slice()).digest('hex').slice(0, 16);
    expect(search(around(odd, 8), [tag]).arrays).toEqual([]);
    expect(search(around(odd, 8), [tag], { exhaustive: true }).arrays).toMatchObject([{ offset: 8, slots: 31 }]);
  });

  test('hashing stops when the budget is used up, and that is said', () => {
    const bytes = new Uint8Array(1 << 20);
    for (let at = 0; at < bytes.length; at += 8) bytes.set([0xbf, 0x16], at);
    bytes.set([0x95, 0, 0, 0, 0, 0, 0, 0], bytes.length - 8);
    const budget = { ...newTagBudget(), hashed: 4 << 20 };
    expect(search(bytes, ['00'.repeat(8)], { budget })).toEqual({ arrays: [], limited: true });
    expect(budget.hashed).toBeGreaterThan(-(2 << 20));
  });
});
