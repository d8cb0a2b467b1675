// The BPF instruction set: bytes of either byte order to instructions, their text, and what they refer to.
// Knows nothing of ELF, symbols or relocations, and judges nothing: what the verifier would refuse is decoded all the same.
import { InstructionSlots, type SlotFields } from './slots.ts';

export interface Instruction extends SlotFields {
  /** Number of the first slot in the decoded code: `8 * index` is the byte offset, and branches count in slots. */
  readonly index: number;
  /** 2 for ld_imm64, else 1. An ld_imm64 with one slot is broken: see `InstructionSlots.width`. */
  readonly slots: 1 | 2;
  /** Only with two slots: both immediates as one number, 0..2^64-1; `imm` is its lower half. */
  readonly imm64?: bigint;
}

/** Every instruction of `code`, in order, without gaps. Any bytes decode; a tail shorter than a slot is left out. */
export function decodeInstructions(code: Uint8Array, little: boolean): Instruction[] {
  const slots = new InstructionSlots(code, little);
  const instructions: Instruction[] = [];
  for (let index = 0; index < slots.count; index += slots.width(index)) {
    instructions.push(decodeInstruction(slots, index));
  }
  return instructions;
}

/** The instruction whose first slot is `index`, which must lie inside `slots`. */
export function decodeInstruction(slots: InstructionSlots, index: number): Instruction {
  const opcode = slots.opcode(index);
  const dst = slots.dst(index);
  const src = slots.src(index);
  const offset = slots.offset(index);
  const imm = slots.imm(index);
  if (slots.width(index) === 1) return { index, opcode, dst, src, offset, imm, slots: 1 };
  const imm64 = (BigInt(slots.imm(index + 1) >>> 0) << 32n) | BigInt(imm >>> 0);
  return { index, opcode, dst, src, offset, imm, slots: 2, imm64 };
}
