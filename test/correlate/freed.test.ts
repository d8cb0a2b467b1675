// Arrays that were freed, as glibc leaves them: what is written over their first slots comes back from what the kernel runs.
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { Finder } from '../../src/carve/search.ts';
import { type FreedProgram, searchFreed } from '../../src/correlate/freed.ts';
import { newTagBudget } from '../../src/correlate/tag-search.ts';
import {
  add64,
  assemble,
  callHelper,
  copy64,
  exit,
  load32,
  loadMap,
  mov64,
  type Slot,
} from '../../src/link/assemble.ts';
import { tagCode } from '../../src/link/tag.ts';

const LITTLE = true;
/** Offset of the array: a chunk begins two words before. */
const AT = 64;
const POINTER = [0xe0, 0x8c, 0x74, 0xf6, 0x3e, 0x7f, 0, 0];
const NOTHING = new Array(8).fill(0);

/** The two links that free() writes into a chunk of a cache or bin. */
const SMALL = [...POINTER, ...POINTER];
/** A large chunk's, that no other of another size is linked with. */
const LARGE = [...SMALL, ...NOTHING, ...NOTHING];

function freed(code: Uint8Array, links: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(AT + code.length + 64);
  bytes.set(code, AT);
  bytes.set(links, AT);
  return bytes;
}

function exitsOf(bytes: Uint8Array): readonly number[] {
  const anchors = new AnchorList();
  new Finder().search(memoryReader(bytes), { from: 0, to: bytes.length }, anchors);
  return anchors.exits;
}

function search(bytes: Uint8Array, code: Uint8Array, xlated: Uint8Array, budget = newTagBudget()) {
  const wanted = [{ tag: tagCode(code, LITTLE).sha256, xlated }];
  const { places } = searchFreed(memoryReader(bytes), exitsOf(bytes), wanted, { little: LITTLE, budget });
  return places.flatMap(({ arrays }) => arrays);
}

/** Arithmetic on r0, unlike that of any other `seed`. */
function sums(count: number, seed: number): Slot[] {
  return Array.from({ length: count }, (_, index) => add64(0, seed + index));
}

function replaced(code: Uint8Array, ...first: readonly Slot[]): Uint8Array {
  const head = assemble(first, LITTLE);
  return new Uint8Array([...head, ...code.subarray(head.length)]);
}

describe('an array that was freed', () => {
  test('of less than a KiB lost two slots', () => {
    const code = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 100), exit], LITTLE);
    expect(search(freed(code, SMALL), code, code)).toMatchObject([{ offset: AT, slots: 8, repaired: true, code }]);
  });

  test('of a KiB or more lost four', () => {
    const code = assemble([load32(0, 1, 0), ...sums(200, 100), exit], LITTLE);
    // skb->len as the kernel reads it.
    const xlated = replaced(code, load32(0, 1, 112));
    expect(search(freed(code, LARGE), code, xlated)).toMatchObject([{ offset: AT, slots: 202, repaired: true, code }]);
  });

  test('is found when both of the lost loads were translated', () => {
    const code = assemble([load32(2, 1, 4), load32(1, 1, 0), mov64(0, 2), ...sums(5, 100), exit], LITTLE);
    // data_end and data of struct xdp_md, out of struct xdp_buff.
    const [end, data] = [load32(2, 1, 8), load32(1, 1, 0)].map((slot) => ({ ...slot, opcode: 0x79 }));
    const xlated = replaced(code, end as Slot, data as Slot);
    expect(search(freed(code, SMALL), code, xlated)).toMatchObject([{ offset: AT, slots: 9, code }]);
  });

  test('is found when a random link looks like an instruction that fits nowhere', () => {
    const code = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 100), exit], LITTLE);
    // if r1 == 0x12345678 goto +0x5a5a
    const key = [0x15, 0x01, 0x5a, 0x5a, 0x78, 0x56, 0x34, 0x12];
    expect(search(freed(code, [...POINTER, ...key]), code, code)).toMatchObject([{ offset: AT, code }]);
  });

  test('is found when only the first slot was lost, as in a fast bin', () => {
    const code = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 100), exit], LITTLE);
    expect(search(freed(code, POINTER), code, code)).toMatchObject([{ offset: AT, code }]);
    const sibling = replaced(code, copy64(6, 1), mov64(0, 8));
    expect(search(freed(sibling, POINTER), code, code)).toEqual([]);
  });

  test('is not made of an intact one that differs in the first slots', () => {
    const code = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 100), exit], LITTLE);
    expect(search(freed(replaced(code, copy64(6, 1), mov64(0, 8)), []), code, code)).toEqual([]);
    expect(search(freed(replaced(code, copy64(7, 1)), []), code, code)).toEqual([]);
    // As it lies behind zeros, or behind the size of its chunk.
    const alone = replaced(code, copy64(6, 1), mov64(0, 8)).subarray(16);
    expect(search(freed(alone, []), code, code)).toEqual([]);
  });

  test('may be of every program that differs in the lost slots alone', () => {
    const code = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 100), exit], LITTLE);
    const other = replaced(code, copy64(6, 1), mov64(0, 8));
    const third = assemble([copy64(6, 1), mov64(0, 7), ...sums(5, 200), exit], LITTLE);
    const [one, two, three] = [code, other, third].map((xlated) => ({ tag: tagCode(xlated, LITTLE).sha256, xlated }));
    const bytes = freed(code, SMALL);
    const options = { little: LITTLE, rivals: [one, two, three] as FreedProgram[] };
    const { places } = searchFreed(memoryReader(bytes), exitsOf(bytes), [one as FreedProgram], options);
    expect(places.map(({ arrays }) => arrays.map(({ tag }) => tag))).toEqual([[one?.tag, two?.tag]]);
  });

  test('is said to hold only the descriptors that are still there', () => {
    const code = assemble([...loadMap(1), ...loadMap(2), ...sums(5, 100), exit], LITTLE);
    code[4] = 3;
    code[16 + 4] = 5;
    expect(search(freed(code, SMALL), code, code)).toMatchObject([{ offset: AT, mapFds: [5], repaired: true }]);
  });

  test('is not proven by the few slots at its end, which many programs share', () => {
    const code = assemble([copy64(6, 1), mov64(1, 7), callHelper(5), mov64(0, 0), exit], LITTLE);
    expect(search(freed(code, SMALL), code, code)).toEqual([]);
  });

  test('is not looked for in code that is nothing like it', () => {
    const code = assemble([load32(2, 1, 4), load32(1, 1, 0), ...sums(20, 100), exit], LITTLE);
    const other = assemble([mov64(0, 0), ...sums(20, 1000), exit], LITTLE);
    const budget = newTagBudget();
    const before = budget.hashed;
    expect(search(freed(other, SMALL), code, code, budget)).toEqual([]);
    expect(before - budget.hashed).toBeLessThan(4096);
  });
});
