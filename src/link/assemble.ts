// Instructions put together by hand: for code that programs generate, and whose bytes are known by how they do it.
import { ALU, CALL, CLASS, JMP, MODE, OPCODE, PSEUDO, SIZE, SOURCE } from '../insn/opcodes.ts';
import { InstructionSlots, SLOT_SIZE, type SlotFields } from '../insn/slots.ts';

/** One slot; fields that are left out are zero. */
export type Slot = Partial<SlotFields>;

/** The slots as bytes of one byte order. */
export function assemble(slots: readonly Slot[], little: boolean): Uint8Array {
  const code = new Uint8Array(slots.length * SLOT_SIZE);
  const target = new InstructionSlots(code, little);
  for (const [index, slot] of slots.entries()) target.write(index, slot);
  return code;
}

export const mov64 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU64 | ALU.MOV, dst, imm });
export const mov32 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU | ALU.MOV, dst, imm });
export const copy64 = (dst: number, src: number): Slot => ({ opcode: CLASS.ALU64 | ALU.MOV | SOURCE.X, dst, src });
export const copy32 = (dst: number, src: number): Slot => ({ opcode: CLASS.ALU | ALU.MOV | SOURCE.X, dst, src });
export const add64 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU64 | ALU.ADD, dst, imm });
export const and32 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU | ALU.AND, dst, imm });
export const or32 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU | ALU.OR, dst, imm });
export const rsh32 = (dst: number, imm: number): Slot => ({ opcode: CLASS.ALU | ALU.RSH, dst, imm });
export const load32 = (dst: number, src: number, offset: number): Slot => ({
  opcode: CLASS.LDX | MODE.MEM | SIZE.W,
  dst,
  src,
  offset,
});
export const store32 = (dst: number, offset: number, src: number): Slot => ({
  opcode: CLASS.STX | MODE.MEM | SIZE.W,
  dst,
  src,
  offset,
});
export const store32Imm = (dst: number, offset: number, imm: number): Slot => ({
  opcode: CLASS.ST | MODE.MEM | SIZE.W,
  dst,
  offset,
  imm,
});
/** `*(u64 *)(dst + 0) += src`, atomically. */
export const atomicAdd64 = (dst: number, src: number): Slot => ({
  opcode: CLASS.STX | MODE.ATOMIC | SIZE.DW,
  dst,
  src,
});
/** Two slots; the number of the map is not hashed. */
export const loadMap = (dst: number): Slot[] => [{ opcode: OPCODE.LD_IMM64, dst, src: PSEUDO.MAP_FD }, {}];
export const callHelper = (imm: number): Slot => ({ opcode: OPCODE.CALL, src: CALL.HELPER, imm });
export const jump = (offset: number): Slot => ({ opcode: OPCODE.JA, offset });
export const jumpIfEqual = (dst: number, imm: number, offset: number): Slot => ({
  opcode: CLASS.JMP | JMP.JEQ,
  dst,
  imm,
  offset,
});
export const jumpIfNot = (dst: number, imm: number, offset: number): Slot => ({
  opcode: CLASS.JMP | JMP.JNE,
  dst,
  imm,
  offset,
});
export const jumpIfDifferent = (dst: number, src: number, offset: number): Slot => ({
  opcode: CLASS.JMP | JMP.JNE | SOURCE.X,
  dst,
  src,
  offset,
});
export const exit: Slot = { opcode: OPCODE.EXIT };
