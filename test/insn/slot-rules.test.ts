// Single slots by the rules of the verifier, and never in contradiction to the disassembler.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { disassemble } from '../../src/insn/disassemble.ts';
import { isValidCode, judgeSlot, SLOT } from '../../src/insn/slot-rules.ts';
import { InstructionSlots } from '../../src/insn/slots.ts';

function kindOf(fields: Parameters<InstructionSlots['write']>[1], little = true): number {
  const slots = new InstructionSlots(new Uint8Array(8), little);
  slots.write(0, fields);
  return judgeSlot(new DataView(slots.bytes.buffer), 0, little);
}

describe.each([true, false])('little endian %s', (little) => {
  test.each([
    ['exit', { opcode: 0x95 }, SLOT.EXIT],
    ['exit with an operand', { opcode: 0x95, imm: 1 }, SLOT.INVALID],
    ['r11', { opcode: 0xb7, dst: 11 }, SLOT.INVALID],
    ['a write to r10', { opcode: 0xb7, dst: 10 }, SLOT.INVALID],
    ['a store through r10', { opcode: 0x7b, dst: 10, src: 1, offset: -8 }, SLOT.PLAIN],
    ['ja', { opcode: 0x05, offset: -3 }, SLOT.JUMP],
    ['gotol', { opcode: 0x06, imm: 70_000 }, SLOT.JUMP],
    ['gotol with an offset', { opcode: 0x06, offset: 1 }, SLOT.INVALID],
    ['may_goto', { opcode: 0xe5, offset: 2 }, SLOT.BRANCH],
    ['a comparison with a register and a number', { opcode: 0x1d, dst: 1, src: 2, imm: 5 }, SLOT.INVALID],
    ['a shift by 64', { opcode: 0x67, dst: 1, imm: 64 }, SLOT.INVALID],
    ['a 32-bit shift by 32', { opcode: 0x64, dst: 1, imm: 32 }, SLOT.INVALID],
    ['a division by zero', { opcode: 0x37, dst: 1 }, SLOT.INVALID],
    ['a signed division', { opcode: 0x37, dst: 1, offset: 1, imm: 3 }, SLOT.PLAIN],
    ['a sign extension from 32 bits', { opcode: 0xbf, dst: 1, src: 2, offset: 32 }, SLOT.PLAIN],
    ['the same of a 32-bit move', { opcode: 0xbc, dst: 1, src: 2, offset: 32 }, SLOT.INVALID],
    ['a cast of an address space', { opcode: 0xbf, dst: 1, src: 2, offset: 1, imm: 1 }, SLOT.PLAIN],
    ['a byte swap of 16 bits', { opcode: 0xd7, dst: 1, imm: 16 }, SLOT.PLAIN],
    ['a byte swap of 8 bits', { opcode: 0xdc, dst: 1, imm: 8 }, SLOT.INVALID],
    ['a load with sign', { opcode: 0x81, dst: 1, src: 2, offset: 4 }, SLOT.PLAIN],
    ['a load of 64 bits with sign', { opcode: 0x99, dst: 1, src: 2, offset: 4 }, SLOT.INVALID],
    ['an atomic addition', { opcode: 0xdb, dst: 1, src: 2 }, SLOT.PLAIN],
    ['an atomic addition of a byte', { opcode: 0xd3, dst: 1, src: 2 }, SLOT.INVALID],
    ['a load-acquire of a byte', { opcode: 0xd3, dst: 1, src: 2, imm: 0x100 }, SLOT.PLAIN],
    ['an exchange without fetch', { opcode: 0xdb, dst: 1, src: 2, imm: 0xe0 }, SLOT.INVALID],
    ['helper 1', { opcode: 0x85, imm: 1 }, SLOT.CALL],
    ['helper 0', { opcode: 0x85, imm: 0 }, SLOT.INVALID],
    ['helper 212', { opcode: 0x85, imm: 212 }, SLOT.INVALID],
    ['what libbpf poisons', { opcode: 0x85, imm: 195_896_080 }, SLOT.POISON],
    ['a map that libbpf did not create', { opcode: 0x85, imm: 2_001_000_003 }, SLOT.POISON],
    ['a kfunc that is not linked yet', { opcode: 0x85, src: 2 }, SLOT.CALL],
    ['a subprogram', { opcode: 0x85, src: 1, imm: -4 }, SLOT.SUBPROGRAM],
    ['a load from the packet', { opcode: 0x28, imm: 12 }, SLOT.PLAIN],
    ['a constant', { opcode: 0x18, dst: 1 }, SLOT.WIDE],
    ['a function address', { opcode: 0x18, dst: 1, src: 4, imm: 7 }, SLOT.FUNCTION],
    ['a constant of an unknown kind', { opcode: 0x18, dst: 1, src: 7 }, SLOT.INVALID],
    ['the second half of a constant', { imm: 9 }, SLOT.SECOND],
    ['an indirect call', { opcode: 0x8d, dst: 1 }, SLOT.INVALID],
  ])('%s', (_, fields, kind) => {
    expect(kindOf(fields, little)).toBe(kind);
  });
});

test('halves of constants belong together', () => {
  const wide = [0x18, 1, 0, 0, 0, 0, 0, 0];
  const second = [0, 0, 0, 0, 1, 0, 0, 0];
  expect(isValidCode(Uint8Array.from([...wide, ...second]), true)).toBe(true);
  expect(isValidCode(Uint8Array.from(wide), true)).toBe(false);
  expect(isValidCode(Uint8Array.from(second), true)).toBe(false);
  expect(isValidCode(Uint8Array.from([...wide, ...wide]), true)).toBe(false);
});

test('what is valid is never data to the disassembler', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.boolean(), (code, little) => {
      const kind = judgeSlot(new DataView(code.buffer), 0, little);
      if (kind === SLOT.INVALID || kind === SLOT.SECOND || kind === SLOT.WIDE || kind === SLOT.FUNCTION) return;
      expect(disassemble(code, little)[0]?.data).toBeUndefined();
    }),
    { numRuns: 20_000 },
  );
});
