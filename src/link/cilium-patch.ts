// One instruction after CO-RE, as cilium/ebpf writes it.
import { ALU, CLASS, CLASS_MASK, OPCODE, OPERATION_MASK, POISON, SOURCE, SOURCE_MASK } from '../insn/opcodes.ts';
import type { InstructionSlots } from '../insn/slots.ts';
import type { CiliumFixup } from './cilium-core.ts';
import { refuse } from './loader.ts';

/** r10 as a destination, which no verifier accepts. */
const READ_ONLY_REGISTER = 10;
const MAX_OFFSET = 0x7fff;
const MAX_IMMEDIATE = 0x7fff_ffff;

export function patchCilium(slots: InstructionSlots, slot: number, fixup: CiliumFixup, poisonsWide: boolean): void {
  if (!Number.isInteger(slot)) throw refuse('a CO-RE relocation lies in the middle of an instruction');
  if (fixup.poison) {
    poison(slots, slot, poisonsWide);
    return;
  }
  const { local, target, checked } = fixup;
  const opcode = slots.opcode(slot);
  const check = (held: number, wanted: number): void => {
    if (checked && held !== wanted) throw refuse(`slot ${slot} holds ${held}, its BTF says ${wanted}`);
  };
  switch (opcode & CLASS_MASK) {
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      check(slots.offset(slot), (local << 16) >> 16);
      if (target > MAX_OFFSET) throw refuse(`offset ${target} does not fit an instruction`);
      slots.write(slot, { offset: target });
      return;
    case CLASS.LD:
      if (slots.width(slot) !== 2 || slots.src(slot) !== 0) throw refuse(`slot ${slot} is no plain 64-bit constant`);
      check(slots.imm(slot + 1) * 2 ** 32 + (slots.imm(slot) >>> 0), local);
      slots.write(slot, { imm: target });
      slots.write(slot + 1, { imm: 0 });
      return;
    case CLASS.ALU:
    case CLASS.ALU64: {
      const isSwap = (opcode & CLASS_MASK) === CLASS.ALU && (opcode & OPERATION_MASK) === ALU.END;
      if (isSwap || (opcode & SOURCE_MASK) !== SOURCE.K) throw refuse(`slot ${slot} has no immediate`);
      check(slots.imm(slot), local);
      if (target > MAX_IMMEDIATE) throw refuse(`${target} does not fit an immediate`);
      slots.write(slot, { imm: target });
      return;
    }
    default:
      throw refuse(`slot ${slot} cannot be relocated`);
  }
}

function poison(slots: InstructionSlots, slot: number, poisonsWide: boolean): void {
  if (slots.width(slot) === 1) {
    slots.write(slot, { opcode: OPCODE.CALL, dst: 0, src: 0, offset: 0, imm: POISON.CORE });
    return;
  }
  // The stream would lose a slot, and no jump over it would be right.
  if (!poisonsWide) throw refuse(`slot ${slot} is a 64-bit constant that cannot be relocated`);
  slots.write(slot, { dst: READ_ONLY_REGISTER, src: 0, offset: 0, imm: POISON.CORE });
  slots.write(slot + 1, { opcode: 0, dst: 0, src: 0, offset: 0, imm: 0 });
}
