// Whether code reads only registers that hold something, as the kernel demands: for all starts of a run at once.
// A program may begin where every register that is still to be read is one that the kernel fills in.
import { ALU, ATOMIC, CLASS, CLASS_MASK, MODE, MODE_MASK, OPCODE, OPERATION_MASK, SOURCE } from './opcodes.ts';
import { SLOT } from './slot-rules.ts';
import type { InstructionSlots } from './slots.ts';

/** Sets of registers, one bit each. */
const R0 = 1;
const ARGUMENTS = 0b11_1110;
const R6 = 1 << 6;
const R10 = 1 << 10;
/** Something is read here that no entry could provide: an argument register after a call. */
const BROKEN = 1 << 15;

/** The registers that are set when control enters. */
export const ENTRY = {
  /** A program has its context. */
  PROGRAM: (1 << 1) | R10,
  /** A function has up to five arguments; one that returns nothing need not set r0. */
  FUNCTION: R0 | ARGUMENTS | R10,
} as const;

/** More rounds than any loop nest of a compiler takes; a run that takes more is not believed. */
const ROUNDS = 24;

/** For every slot of a run the registers that are read from there on before they are written; `undefined` beyond the limit of work. */
export function liveRegisters(
  slots: InstructionSlots,
  kinds: Uint8Array,
  targets: Int32Array,
): Uint16Array | undefined {
  const live = new Uint16Array(kinds.length + 2);
  for (let round = 0; round < ROUNDS; round++) {
    let changed = false;
    for (let slot = kinds.length - 1; slot >= 0; slot--) {
      const before = liveBefore(slots, slot, kinds[slot] as number, targets[slot] as number, live);
      if (before === live[slot]) continue;
      live[slot] = before;
      changed = true;
    }
    if (!changed) return live;
  }
  return undefined;
}

export function mayEnter(live: number, entry: number): boolean {
  return (live & ~entry) === 0;
}

function liveBefore(slots: InstructionSlots, slot: number, kind: number, target: number, live: Uint16Array): number {
  const next = live[slot + 1] as number;
  switch (kind) {
    case SLOT.EXIT:
      return R0;
    case SLOT.JUMP:
      return liveAt(live, target);
    case SLOT.BRANCH:
      return next | liveAt(live, target) | comparedRegisters(slots, slot);
    case SLOT.CALL:
      return afterCall(next);
    case SLOT.SUBPROGRAM:
      return afterCall(next) | calleeFault(live, target);
    // Never run: what follows need not make sense from here.
    case SLOT.POISON:
      return 0;
    case SLOT.WIDE:
      return (live[slot + 2] as number) & ~(1 << slots.dst(slot));
    case SLOT.FUNCTION:
      return ((live[slot + 2] as number) & ~(1 << slots.dst(slot))) | calleeFault(live, target);
    case SLOT.SECOND:
      return next;
    default:
      return beforePlain(slots, slot, next);
  }
}

function liveAt(live: Uint16Array, target: number): number {
  return target >= 0 ? (live[target] ?? BROKEN) : BROKEN;
}

/** A call leaves nothing in r1 to r5 and its result in r0. */
function afterCall(next: number): number {
  return (next & ~(R0 | ARGUMENTS)) | (next & ARGUMENTS ? BROKEN : 0);
}

function calleeFault(live: Uint16Array, target: number): number {
  return mayEnter(liveAt(live, target), ENTRY.FUNCTION) ? 0 : BROKEN;
}

function comparedRegisters(slots: InstructionSlots, slot: number): number {
  const opcode = slots.opcode(slot);
  if (opcode === OPCODE.MAY_GOTO) return 0;
  return (1 << slots.dst(slot)) | (opcode & SOURCE.X ? 1 << slots.src(slot) : 0);
}

function beforePlain(slots: InstructionSlots, slot: number, next: number): number {
  const opcode = slots.opcode(slot);
  const dst = 1 << slots.dst(slot);
  const src = 1 << slots.src(slot);
  switch (opcode & CLASS_MASK) {
    case CLASS.LD:
      return afterCall(next) | R6 | ((opcode & MODE_MASK) === MODE.IND ? src : 0);
    case CLASS.LDX:
      return (next & ~dst) | src;
    case CLASS.ST:
      return next | dst;
    case CLASS.STX:
      return (opcode & MODE_MASK) === MODE.ATOMIC ? beforeAtomic(slots.imm(slot), next, dst, src) : next | dst | src;
    default: {
      const operation = opcode & OPERATION_MASK;
      const operand = operation !== ALU.END && opcode & SOURCE.X ? src : 0;
      return (operation === ALU.MOV ? next & ~dst : next | dst) | operand;
    }
  }
}

function beforeAtomic(operation: number, next: number, dst: number, src: number): number {
  if (operation === ATOMIC.LOAD_ACQ) return (next & ~dst) | src;
  if (operation === (ATOMIC.CMPXCHG | ATOMIC.FETCH)) return next | R0 | dst | src;
  return next | dst | src;
}
