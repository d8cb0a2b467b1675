// Arrays of instructions in bytes that are nothing else: real programs at every alignment, in both byte orders, in hosts of three kinds.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { carveInstructions, type InstructionArray } from '../../src/carve/instructions.ts';
import { newRunBudget } from '../../src/carve/runs.ts';
import { Finder } from '../../src/carve/search.ts';
import { InstructionSlots } from '../../src/insn/slots.ts';
import { Kernel, type Target } from '../../src/link/kernel.ts';
import { LIBBPF } from '../../src/link/libbpf.ts';
import { link } from '../../src/link/loader.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine } from '../link/host.ts';
import { GROUPS } from '../link/objects.ts';
import { noise } from './bytes.ts';

const finder = new Finder();

function arraysIn(bytes: Uint8Array): { arrays: readonly InstructionArray[]; limited: boolean } {
  const reader = memoryReader(bytes);
  const anchors = new AnchorList();
  finder.search(reader, { from: 0, to: bytes.length }, anchors);
  const carving = carveInstructions(reader, anchors.exits);
  return { ...carving, limited: carving.limited || anchors.dropped > 0 };
}

/** As a machine of the other byte order has them. */
function swapped(code: Uint8Array): Uint8Array {
  const from = new InstructionSlots(code, true);
  const to = new InstructionSlots(new Uint8Array(code.length), false);
  for (let slot = 0; slot < from.count; slot++) {
    to.write(slot, {
      opcode: from.opcode(slot),
      dst: from.dst(slot),
      src: from.src(slot),
      offset: from.offset(slot),
      imm: from.imm(slot),
    });
  }
  return to.bytes;
}

/** What surrounds an array: random bytes, zeros, and small numbers as tables hold them. */
const HOSTS: readonly ((size: number) => Uint8Array)[] = [
  (size) => noise(size, 99),
  (size) => new Uint8Array(size),
  (size) => noise(size, 7).map((byte, at) => (at % 4 === 0 ? byte : 0)),
];

describe('real programs as libbpf hands them over', () => {
  const objects = GROUPS.find(({ group }) => group === 'libbpf-tools')?.objects ?? [];
  const reason = NO_BTF ?? (objects.length < 42 ? 'libbpf-tools is not installed' : undefined);

  test.skipIf(reason !== undefined)(
    `are found at their exact place and length${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const target = thisMachine();
      const programs = objects.slice(0, 42).map(({ bytes }) => longest(bytes, target));
      let embeddings = 0;
      const misses: string[] = [];
      for (const [index, code] of programs.entries()) {
        for (const little of [true, false]) {
          const bytes = little ? code : swapped(code);
          for (const shift of [0, 4]) {
            for (const [kind, host] of HOSTS.entries()) {
              const before = 4096 + 8 * index + shift;
              const image = host(before + bytes.length + 4096);
              image.set(bytes, before);
              embeddings++;
              const { arrays } = arraysIn(image);
              const isExact = arrays.some(
                (each) =>
                  each.offset === before &&
                  each.slots === bytes.length / 8 &&
                  (each.endianness === 'little') === little,
              );
              if (!isExact || arrays.length > 1) {
                const found = arrays.map((each) => `${each.offset - before}+${each.slots} ${each.endianness}`);
                misses.push(`${index} of ${bytes.length / 8} slots, little ${little}, host ${kind}: ${found}`);
              }
            }
          }
        }
      }
      console.log(`${embeddings - misses.length} of ${embeddings} embeddings exact`);
      for (const miss of misses) console.log(miss);
      expect(embeddings).toBe(504);
      expect(misses.length).toBeLessThanOrEqual(2);
    },
    300_000,
  );

  /** The largest program of an object, linked. */
  function longest(bytes: Uint8Array, target: Target): Uint8Array {
    const object = openObject(bytes);
    const run = LIBBPF[0]?.open(object, new Kernel(target, true));
    const linked = object.programs.flatMap((program) => {
      const result = run && link(run, program);
      return result && 'code' in result ? [result.code] : [];
    });
    const [first] = linked.sort((a, b) => b.length - a.length);
    if (first === undefined) throw new Error('no program links');
    return first;
  }
});

const exit = Uint8Array.of(0x95, 0, 0, 0, 0, 0, 0, 0);
const slot = (...fields: number[]) => Uint8Array.from({ length: 8 }, (_, at) => fields[at] ?? 0);
/** r2 = *(u32 *)(r1 + 4); r0 = r2; r0 += 1; exit. */
const SMALL = [slot(0x61, 0x12, 4), slot(0xbf, 0x20), slot(7, 0, 0, 0, 1), exit];

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe('what is reported', () => {
  test('four slots that load from the context are possible', () => {
    expect(arraysIn(join([new Uint8Array(16), ...SMALL])).arrays).toEqual([
      { offset: 16, slots: 4, endianness: 'little', trust: 'possible', calls: 0, mapLoads: 0 },
    ]);
  });

  test.each([
    ['three slots', join(SMALL.slice(1))],
    ['a register that is read before it is written', join([slot(0x61, 0x12, 4), slot(0xbf, 0x30), ...SMALL.slice(2)])],
    ['an argument that is read after a call', join([slot(0x85, 0, 0, 0, 5), slot(0xbf, 0x10), ...SMALL.slice(2)])],
    [
      'a slot that nothing reaches',
      join([slot(0x61, 0x12, 4), slot(0xbf, 0x20), slot(5, 0, 1), slot(7, 0, 0, 0, 1), exit]),
    ],
    ['a jump out of the code', join([slot(0x61, 0x12, 4), slot(0xbf, 0x20), slot(0x15, 0, 9, 0, 1), exit])],
    [
      'a jump into the middle of a constant',
      join([slot(0x61, 0x12, 4), slot(0x15, 2, 1), slot(0x18, 0), slot(0), exit]),
    ],
    ['nothing but opcodes', join([...Array.from({ length: 16 }, () => slot(0xb7)), exit])],
    ['no load, no call, no map', join([slot(0xb7, 0, 0, 0, 1), slot(7, 0, 0, 0, 1), slot(7, 0, 0, 0, 1), exit])],
  ])('%s: nothing', (_, code) => {
    expect(arraysIn(join([new Uint8Array(8), code, new Uint8Array(8)])).arrays).toEqual([]);
  });

  test('eight slots with a call are almost certain', () => {
    const code = join([
      slot(0xb7, 6, 0, 0, 1),
      slot(0x85, 0, 0, 0, 5),
      slot(0xbf, 0x67),
      slot(0xb7, 8, 0, 0, 1),
      ...SMALL.slice(2, 3),
      slot(0x0f, 0x70),
      slot(0x0f, 0x80),
      exit,
    ]);
    expect(arraysIn(code).arrays.map(({ trust, slots, calls }) => [trust, slots, calls])).toEqual([
      ['almost-certain', 8, 1],
    ]);
  });

  test('an EXIT in the last slot of a source is one', () => {
    expect(arraysIn(join(SMALL)).arrays).toHaveLength(1);
  });

  test('arrays side by side are told apart', () => {
    expect(arraysIn(join([...SMALL, ...SMALL, ...SMALL])).arrays.map(({ offset }) => offset)).toEqual([0, 32, 64]);
  });
});

describe('hostile bytes', () => {
  const fill = (pattern: Uint8Array, size: number) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at + pattern.length <= size; at += pattern.length) bytes.set(pattern, at);
    return bytes;
  };

  test('EXIT in every slot is one run', () => {
    expect(arraysIn(fill(exit, 1 << 19))).toEqual({ arrays: [], limited: false });
  });

  test('a program in every 32 bytes is found as far as the list goes, and the rest is said to be missing', () => {
    const { arrays } = arraysIn(fill(join(SMALL), 1 << 20));
    expect(arrays.length).toBe((1 << 20) / 32);
  });

  test('valid slots without end are cut, and that is said', () => {
    const bytes = fill(slot(0xbf, 0x16), 1 << 23);
    bytes.set(exit, (1 << 22) + 8);
    expect(arraysIn(bytes).limited).toBe(true);
  });

  test('a budget that is used up stops the work and says so', () => {
    const reader = memoryReader(fill(join(SMALL), 1 << 12));
    const budget = { ...newRunBudget(), slots: 0 };
    expect(carveInstructions(reader, [24, 56], { budget })).toEqual({ arrays: [], limited: true });
  });

  test('a program between floods of EXIT slots at other alignments is still found', () => {
    const flood = fill(join([slot(0xb7), exit]), 1 << 16);
    const bytes = join([flood, new Uint8Array(300), ...SMALL, new Uint8Array(300), flood]);
    expect(arraysIn(bytes).arrays.map(({ offset }) => offset)).toEqual([(1 << 16) + 300]);
  });

  test('any bytes give arrays that lie in them, in order and apart', () => {
    const words = fc.oneof(
      fc.constantFrom(
        exit,
        ...SMALL,
        slot(0x18, 0x11),
        slot(0),
        slot(0x85, 0x10, 0, 0, 1),
        slot(5, 0, 0xff, 0xff),
        slot(0x85, 0, 0, 0, 1),
      ),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), (parts) => {
        const bytes = join(parts);
        let end = 0;
        for (const { offset, slots } of arraysIn(bytes).arrays) {
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + 8 * slots;
        }
        expect(end).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});
