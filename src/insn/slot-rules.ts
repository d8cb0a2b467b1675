// What the kernel demands of a single slot, as a table: registers that exist, unused fields that are zero, operations that are known.
// Bytes that meet all of it are rarely anything but code; `closure.ts` asks the same of many slots together.
import { viewOf } from '../bytes/layout.ts';
import { HELPERS } from './helpers.ts';
import {
  ALU,
  ALU_OFFSET,
  ATOMIC,
  CALL,
  CLASS,
  JMP,
  MODE,
  OPCODE,
  POISON,
  POISON_COUNT,
  PSEUDO,
  SIZE,
  SOURCE,
} from './opcodes.ts';
import { SLOT_SIZE } from './slots.ts';

/** What a valid slot does to the flow of control. Falsy: no valid slot. */
export const SLOT = {
  INVALID: 0,
  PLAIN: 1,
  EXIT: 2,
  /** ja and gotol. */
  JUMP: 3,
  /** Comparisons and may_goto. */
  BRANCH: 4,
  /** A helper or kfunc. */
  CALL: 5,
  SUBPROGRAM: 6,
  /** What a loader puts where it could not resolve something: an invalid call, in code that is never run. */
  POISON: 7,
  /** First half of ld_imm64. */
  WIDE: 8,
  /** First half of ld_imm64 that loads the address of a function. */
  FUNCTION: 9,
  /** Second half of ld_imm64: valid only behind one of the two above. */
  SECOND: 10,
} as const;
export type SlotKind = (typeof SLOT)[keyof typeof SLOT];

/**
 * The kind of the slot at byte `at`, which must lie wholly inside `view`; the slot after a ld_imm64 is judged by itself.
 * The rules are check_and_init_regs, check_alu_op, check_ld_imm, check_ld_abs, check_atomic and do_check of Linux 6.18.
 */
export function judgeSlot(view: DataView, at: number, little: boolean): SlotKind {
  const opcode = view.getUint8(at);
  const rule = RULES[opcode] as number;
  if (rule === NONE) return SLOT.INVALID;
  const registers = view.getUint8(at + 1);
  const dst = little ? registers & 0x0f : registers >> 4;
  const src = little ? registers >> 4 : registers & 0x0f;
  if (dst > LAST_REGISTER || src > LAST_REGISTER) return SLOT.INVALID;
  if (rule & DST_0 && dst !== 0) return SLOT.INVALID;
  if (rule & DST_WRITTEN && dst === FRAME_POINTER) return SLOT.INVALID;
  if (rule & SRC_0 && src !== 0) return SLOT.INVALID;
  if (rule & OFF_0 && view.getInt16(at + 2, little) !== 0) return SLOT.INVALID;
  if (rule & IMM_0 && view.getInt32(at + 4, little) !== 0) return SLOT.INVALID;
  switch (rule >> SPECIAL_SHIFT) {
    case SPECIAL.NONE:
      return SLOT.PLAIN;
    case SPECIAL.EXIT:
      return SLOT.EXIT;
    case SPECIAL.JUMP:
      return SLOT.JUMP;
    case SPECIAL.BRANCH:
      return SLOT.BRANCH;
    case SPECIAL.SECOND:
      return SLOT.SECOND;
    case SPECIAL.CALL:
      return judgeCall(src, view.getInt16(at + 2, little), view.getInt32(at + 4, little));
    case SPECIAL.WIDE:
      if (src > PSEUDO.MAP_IDX_VALUE) return SLOT.INVALID;
      return src === PSEUDO.FUNC ? SLOT.FUNCTION : SLOT.WIDE;
    default:
      return isAllowed(rule >> SPECIAL_SHIFT, opcode, view.getInt16(at + 2, little), view.getInt32(at + 4, little))
        ? SLOT.PLAIN
        : SLOT.INVALID;
  }
}

/** Whether the whole of `code` is made of valid slots, halves of ld_imm64 in pairs. */
export function isValidCode(code: Uint8Array, little: boolean): boolean {
  const view = viewOf(code);
  if (code.length % SLOT_SIZE !== 0) return false;
  let open = false;
  for (let at = 0; at < code.length; at += SLOT_SIZE) {
    const kind = judgeSlot(view, at, little);
    if (kind === SLOT.INVALID || (kind === SLOT.SECOND) !== open) return false;
    open = isFirstHalf(kind);
  }
  return !open;
}

export function isFirstHalf(kind: number): boolean {
  return kind === SLOT.WIDE || kind === SLOT.FUNCTION;
}

/** The helpers end at 211; cilium/ebpf since 0.14 marks a missing kfunc with 0xdedc0de. */
const LAST_HELPER = HELPERS.length - 1;
const CILIUM_POISON = 0xdedc0de;

/** A kfunc's number is 0 while the loader of a light skeleton has not filled it in. */
function judgeCall(src: number, off: number, imm: number): SlotKind {
  switch (src) {
    case CALL.HELPER:
      if (off !== 0) return SLOT.INVALID;
      if (imm > 0 && imm <= LAST_HELPER) return SLOT.CALL;
      return isPoison(imm) ? SLOT.POISON : SLOT.INVALID;
    case CALL.SUBPROGRAM:
      return off === 0 ? SLOT.SUBPROGRAM : SLOT.INVALID;
    case CALL.KFUNC:
      return off >= 0 && imm >= 0 ? SLOT.CALL : SLOT.INVALID;
    default:
      return SLOT.INVALID;
  }
}

function isPoison(imm: number): boolean {
  if (imm === POISON.CORE || imm === CILIUM_POISON) return true;
  if (imm >= POISON.MAP && imm < POISON.MAP + POISON_COUNT.MAP) return true;
  return imm >= POISON.KFUNC && imm < POISON.KFUNC + POISON_COUNT.KFUNC;
}

/** BPF_ADDR_SPACE_CAST: to the kernel's address space, or from it. */
const CASTS: readonly number[] = [1, 0x1_0000];
const WIDTHS: readonly number[] = [16, 32, 64];

function isAllowed(special: number, opcode: number, off: number, imm: number): boolean {
  switch (special) {
    case SPECIAL.END:
      return WIDTHS.includes(imm);
    case SPECIAL.SHIFT_32:
      return imm >= 0 && imm < 32;
    case SPECIAL.SHIFT_64:
      return imm >= 0 && imm < 64;
    case SPECIAL.DIVIDE_K:
      return imm !== 0 && (off === 0 || off === ALU_OFFSET.SIGNED);
    case SPECIAL.DIVIDE_X:
      return off === 0 || off === ALU_OFFSET.SIGNED;
    case SPECIAL.MOVE_32:
      return imm === 0 && (off === 0 || off === 8 || off === 16);
    case SPECIAL.MOVE_64:
      if (off === ALU_OFFSET.ADDR_SPACE_CAST) return CASTS.includes(imm);
      return imm === 0 && (off === 0 || off === 8 || off === 16 || off === 32);
    case SPECIAL.ATOMIC:
      return isAtomic(opcode, imm);
    default:
      return false;
  }
}

const FETCHING: readonly number[] = [ALU.ADD, ALU.OR, ALU.AND, ALU.XOR];

function isAtomic(opcode: number, imm: number): boolean {
  if (imm === ATOMIC.LOAD_ACQ || imm === ATOMIC.STORE_REL) return true;
  const size = opcode & SIZE.DW;
  if (size !== SIZE.W && size !== SIZE.DW) return false;
  if (imm === (ATOMIC.XCHG | ATOMIC.FETCH) || imm === (ATOMIC.CMPXCHG | ATOMIC.FETCH)) return true;
  return FETCHING.includes(imm & ~ATOMIC.FETCH) && imm >= 0 && imm <= 0xff;
}

const LAST_REGISTER = 10;
const FRAME_POINTER = 10;

/*
 * One number for each opcode:
 *
 *     15..8 special   4 r10 not written   3 imm = 0   2 off = 0   1 src = 0   0 dst = 0
 */
const DST_0 = 1;
const SRC_0 = 2;
const OFF_0 = 4;
const IMM_0 = 8;
const DST_WRITTEN = 16;
const SPECIAL_SHIFT = 8;
/** No special has this number, so that a valid rule is never 0. */
const NONE = 0;
const SPECIAL = {
  NONE: 1,
  EXIT: 2,
  JUMP: 3,
  BRANCH: 4,
  CALL: 5,
  WIDE: 6,
  SECOND: 7,
  END: 8,
  SHIFT_32: 9,
  SHIFT_64: 10,
  DIVIDE_K: 11,
  DIVIDE_X: 12,
  MOVE_32: 13,
  MOVE_64: 14,
  ATOMIC: 15,
} as const;

const RULES: Uint16Array = tabulate();

function tabulate(): Uint16Array {
  const rules = new Uint16Array(256);
  const set = (opcode: number, flags: number, special: number = SPECIAL.NONE) => {
    rules[opcode] = flags | (special << SPECIAL_SHIFT);
  };
  setAlu(set);
  setMemory(set);
  setJumps(set);
  return rules;
}

type Set = (opcode: number, flags: number, special?: number) => void;

function setAlu(set: Set): void {
  const plain = [ALU.ADD, ALU.SUB, ALU.MUL, ALU.OR, ALU.AND, ALU.XOR];
  for (const opcodeClass of [CLASS.ALU, CLASS.ALU64]) {
    const wide = opcodeClass === CLASS.ALU64;
    const k = (operation: number) => opcodeClass | operation | SOURCE.K;
    const x = (operation: number) => opcodeClass | operation | SOURCE.X;
    for (const operation of plain) {
      set(k(operation), DST_WRITTEN | SRC_0 | OFF_0);
      set(x(operation), DST_WRITTEN | OFF_0 | IMM_0);
    }
    for (const operation of [ALU.LSH, ALU.RSH, ALU.ARSH]) {
      set(k(operation), DST_WRITTEN | SRC_0 | OFF_0, wide ? SPECIAL.SHIFT_64 : SPECIAL.SHIFT_32);
      set(x(operation), DST_WRITTEN | OFF_0 | IMM_0);
    }
    for (const operation of [ALU.DIV, ALU.MOD]) {
      set(k(operation), DST_WRITTEN | SRC_0, SPECIAL.DIVIDE_K);
      set(x(operation), DST_WRITTEN | IMM_0, SPECIAL.DIVIDE_X);
    }
    set(k(ALU.MOV), DST_WRITTEN | SRC_0 | OFF_0);
    set(x(ALU.MOV), DST_WRITTEN, wide ? SPECIAL.MOVE_64 : SPECIAL.MOVE_32);
    set(k(ALU.NEG), DST_WRITTEN | SRC_0 | OFF_0 | IMM_0);
    set(k(ALU.END), DST_WRITTEN | SRC_0 | OFF_0, SPECIAL.END);
  }
  set(CLASS.ALU | ALU.END | SOURCE.X, DST_WRITTEN | SRC_0 | OFF_0, SPECIAL.END);
}

function setMemory(set: Set): void {
  for (const size of [SIZE.W, SIZE.H, SIZE.B, SIZE.DW]) {
    set(CLASS.LDX | MODE.MEM | size, DST_WRITTEN | IMM_0);
    set(CLASS.ST | MODE.MEM | size, SRC_0);
    set(CLASS.STX | MODE.MEM | size, IMM_0);
    set(CLASS.STX | MODE.ATOMIC | size, 0, SPECIAL.ATOMIC);
    if (size === SIZE.DW) continue;
    set(CLASS.LDX | MODE.MEMSX | size, DST_WRITTEN | IMM_0);
    set(CLASS.LD | MODE.ABS | size, DST_0 | SRC_0 | OFF_0);
    set(CLASS.LD | MODE.IND | size, DST_0 | OFF_0);
  }
  set(OPCODE.LD_IMM64, DST_WRITTEN | OFF_0, SPECIAL.WIDE);
  set(0, DST_0 | SRC_0 | OFF_0, SPECIAL.SECOND);
}

function setJumps(set: Set): void {
  const comparisons = [JMP.JEQ, JMP.JGT, JMP.JGE, JMP.JSET, JMP.JNE, JMP.JSGT, JMP.JSGE, JMP.JLT, JMP.JLE];
  for (const operation of [...comparisons, JMP.JSLT, JMP.JSLE]) {
    for (const opcodeClass of [CLASS.JMP, CLASS.JMP32]) {
      set(opcodeClass | operation | SOURCE.K, SRC_0, SPECIAL.BRANCH);
      set(opcodeClass | operation | SOURCE.X, IMM_0, SPECIAL.BRANCH);
    }
  }
  set(OPCODE.JA, DST_0 | SRC_0 | IMM_0, SPECIAL.JUMP);
  set(OPCODE.GOTOL, DST_0 | SRC_0 | OFF_0, SPECIAL.JUMP);
  set(OPCODE.MAY_GOTO, DST_0 | SRC_0 | IMM_0, SPECIAL.BRANCH);
  set(OPCODE.CALL, DST_0, SPECIAL.CALL);
  set(OPCODE.EXIT, DST_0 | SRC_0 | OFF_0 | IMM_0, SPECIAL.EXIT);
}
