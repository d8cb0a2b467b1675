// Closures against a plain walk of the graph, and registers against a plain forward analysis, over code made at random.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Closure, fallsThrough } from '../../src/insn/closure.ts';
import { ENTRY, liveRegisters, mayEnter } from '../../src/insn/dataflow.ts';
import { judgeSlot, SLOT } from '../../src/insn/slot-rules.ts';
import { InstructionSlots, type SlotFields } from '../../src/insn/slots.ts';

type Fields = Partial<SlotFields>;

function run(code: readonly Fields[]) {
  const slots = new InstructionSlots(new Uint8Array(8 * code.length), true);
  for (const [index, fields] of code.entries()) slots.write(index, fields);
  const view = new DataView(slots.bytes.buffer);
  const kinds = Uint8Array.from(code, (_, index) => judgeSlot(view, 8 * index, true));
  return { slots, kinds, closure: new Closure(slots, kinds) };
}

/** By definition: all that control reaches from `start` is [start, start + n). */
function slowLength({ slots, kinds }: ReturnType<typeof run>, start: number): number {
  if (kinds[start] === SLOT.SECOND) return 0;
  const seen = new Set<number>();
  const open = [start];
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    const kind = kinds[slot];
    if (slot < start || kind === undefined) return 0;
    if (seen.has(slot)) continue;
    seen.add(slot);
    const targets: number[] = [];
    if (fallsThrough(kind)) open.push(slot + 1);
    if (kind === SLOT.JUMP || kind === SLOT.BRANCH) {
      targets.push(slot + 1 + (slots.opcode(slot) === 6 ? slots.imm(slot) : slots.offset(slot)));
    }
    if (kind === SLOT.SUBPROGRAM || kind === SLOT.FUNCTION) targets.push(slot + 1 + slots.imm(slot));
    if (targets.some((target) => kinds[target] === SLOT.SECOND)) return 0;
    open.push(...targets);
  }
  return Math.max(...seen) === start + seen.size - 1 ? seen.size : 0;
}

/** Registers that are certainly set before each slot, by iteration from the entry; whether all that is read is set. */
function slowIsSet({ slots, kinds, closure }: ReturnType<typeof run>, start: number, count: number): boolean {
  const ARGUMENTS = 0b11_1110;
  const before = new Map<number, number>([[start, ENTRY.PROGRAM]]);
  const open = [start];
  let fine = true;
  const arrive = (slot: number, set: number) => {
    const known = before.get(slot);
    const met = known === undefined ? set : known & set;
    if (met === known) return;
    before.set(slot, met);
    open.push(slot);
  };
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    const set = before.get(slot) ?? 0;
    const [dst, src] = [1 << slots.dst(slot), 1 << slots.src(slot)];
    const opcode = slots.opcode(slot);
    const need = (registers: number) => {
      if (registers & ~set) fine = false;
    };
    let after = set;
    switch (kinds[slot]) {
      case SLOT.EXIT:
        need(1);
        continue;
      case SLOT.CALL:
        after = (set & ~ARGUMENTS) | 1;
        break;
      case SLOT.BRANCH:
        need(dst);
        break;
      case SLOT.PLAIN:
        if (opcode === 0xbf) need(src);
        if (opcode === 0x07) need(dst);
        if (opcode === 0x7b) need(dst | src);
        if (opcode !== 0x7b) after = set | dst;
        break;
      default:
        break;
    }
    const target = closure.targets[slot] as number;
    if (target >= 0) arrive(target, after);
    if (fallsThrough(kinds[slot] as number) && slot + 1 < start + count) arrive(slot + 1, after);
  }
  return fine;
}

const offset = fc.integer({ min: -6, max: 6 });
const register = fc.integer({ min: 0, max: 9 });
const plain: fc.Arbitrary<Fields> = fc.oneof(
  register.map((dst) => ({ opcode: 0xb7, dst, imm: 1 })),
  register.map((dst) => ({ opcode: 0x07, dst, imm: 1 })),
  fc.tuple(register, register).map(([dst, src]) => ({ opcode: 0xbf, dst, src })),
  fc.tuple(register, register).map(([dst, src]) => ({ opcode: 0x7b, dst, src })),
  fc.constant({ opcode: 0x85, imm: 5 }),
);
const flow: fc.Arbitrary<Fields> = fc.oneof(
  fc.constant({ opcode: 0x95 }),
  offset.map((each) => ({ opcode: 0x05, offset: each })),
  offset.map((imm) => ({ opcode: 0x06, imm })),
  fc.tuple(offset, register).map(([each, dst]) => ({ opcode: 0x15, dst, offset: each })),
);
const calls: fc.Arbitrary<Fields> = offset.map((imm) => ({ opcode: 0x85, src: 1, imm }));

describe('closures', () => {
  test('from every start are those of a plain walk', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, flow, flow, calls), { maxLength: 24 }), (code) => {
        const whole = run(code);
        for (let start = 0; start < code.length; start++) {
          expect(whole.closure.lengthFrom(start, { steps: 1000 })).toBe(slowLength(whole, start));
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('constants are entered at their first half only', () => {
    const code: Fields[] = [{ opcode: 0x15, offset: 1 }, { opcode: 0x18, dst: 1 }, {}, { opcode: 0x95 }];
    const { closure } = run(code);
    expect([0, 1, 2, 3].map((start) => closure.lengthFrom(start, { steps: 0 }))).toEqual([0, 3, 0, 1]);
  });

  test('without steps left, what is entered from behind is not answered', () => {
    const { closure } = run([{ opcode: 5, offset: 2 }, { opcode: 0xb7 }, { opcode: 0x95 }, { opcode: 5, offset: -3 }]);
    expect(closure.lengthFrom(0, { steps: 3 })).toBe(0);
    expect(closure.lengthFrom(0, { steps: 4 })).toBe(4);
  });
});

describe('registers', () => {
  test('a program may begin where a forward analysis finds all that is read to be set', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, plain, flow), { maxLength: 16 }), (code) => {
        const whole = run([...code, { opcode: 0x95 }]);
        const live = liveRegisters(whole.slots, whole.kinds, whole.closure.targets);
        for (let start = 0; start <= code.length; start++) {
          const count = whole.closure.lengthFrom(start, { steps: 1000 });
          if (count === 0) continue;
          expect(mayEnter(live?.[start] ?? 0xffff, ENTRY.PROGRAM)).toBe(slowIsSet(whole, start, count));
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('what follows a poisoned call is never run', () => {
    const { slots, kinds, closure } = run([
      { opcode: 0x85, imm: 195_896_080 },
      { opcode: 0xbf, src: 7 },
      { opcode: 0x95 },
    ]);
    expect(liveRegisters(slots, kinds, closure.targets)?.[0]).toBe(0);
  });

  test('a subprogram may read its arguments, and no more', () => {
    const call: Fields = { opcode: 0x85, src: 1, imm: 1 };
    const starts = ([1, 6] as const).map((src) => {
      const { slots, kinds, closure } = run([call, { opcode: 0x95 }, { opcode: 0xbf, dst: 0, src }, { opcode: 0x95 }]);
      return mayEnter(liveRegisters(slots, kinds, closure.targets)?.[0] ?? 0xffff, ENTRY.PROGRAM);
    });
    expect(starts).toEqual([true, false]);
  });
});
