// Every opcode with every operand that could matter, and a great many random slots, against llvm-objdump.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InstructionSlots, type SlotFields } from '../../src/insn/slots.ts';
import { differences, findLlvm, LLVM_MISSING, objdumpCode, ourLines } from './objdump.ts';

const llvm = findLlvm();
const OFFSETS = [0, 1, 2, 3, 8, 16, 24, 32, 64, 0x7fff, -1, -8, -0x8000];
const IMMEDIATES = [0, 1, 2, 8, 10, 16, 32, 64, 0x10, 0xff, 0x10000, 0x10001, 0x7fffffff, -1, -8, -0x8000, -0x80000000];
const ATOMIC_IMMEDIATES = Array.from({ length: 0x400 }, (_, imm) => imm).concat(0x1100, 0x1110, -1, -15, -16);
const NIBBLES = Array.from({ length: 16 }, (_, nibble) => nibble);
const OPCODES = Array.from({ length: 256 }, (_, opcode) => opcode);

describe.skipIf(!llvm)(`disassembly equals llvm-objdump [${LLVM_MISSING}]`, () => {
  test.each([{ little: true }, { little: false }])(
    'for every opcode and operand, little endian $little',
    ({ little }) => {
      const code = encode(OPCODES.flatMap(formsOf), little);
      if (!llvm) return;
      expect(differences(objdumpCode(llvm, code, little), ourLines(code, little))).toEqual([]);
    },
  );

  test.each([{ little: true }, { little: false }])('for random slots, little endian $little', ({ little }) => {
    const [code] = fc.sample(fc.uint8Array({ minLength: 400_000, maxLength: 400_000 }), { numRuns: 1, seed: 20260725 });
    if (!llvm || !code) return;
    expect(differences(objdumpCode(llvm, code, little), ourLines(code, little))).toEqual([]);
  });

  test.each([
    ['an ld_imm64 cut in half', '1801000005000000'],
    ['an ld_imm64 cut in half after an instruction', '9500000000000000 1811000005000000'],
    ['an ld_imm64 whose second half is an instruction', '1801000005000000 9500000000000000 9500000000000000'],
    ['an ld_imm64 with an offset', '1801010105000000 0000000000000000'],
    ['an ld_imm64 into no register', '18cc000005000000 0000000000000000'],
    ['a tail shorter than a slot', '9500000000000000 0a0b0c'],
    ['nothing but a tail', '0a'],
  ])('for %s', (_what, hex) => {
    const code = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    if (!llvm) return;
    for (const little of [true, false]) {
      expect(differences(objdumpCode(llvm, code, little), ourLines(code, little))).toEqual([]);
    }
  });
});

/** All register pairs at rest, and all offsets and immediates with two registers that exist. */
function formsOf(opcode: number): SlotFields[] {
  const atomic = (opcode & 0xe7) === 0xc3;
  const immediates = atomic ? ATOMIC_IMMEDIATES : IMMEDIATES;
  return [
    ...NIBBLES.flatMap((dst) => NIBBLES.map((src) => ({ opcode, dst, src, offset: 0, imm: 0 }))),
    ...OFFSETS.flatMap((offset) => immediates.map((imm) => ({ opcode, dst: 1, src: 2, offset, imm }))),
    ...OFFSETS.flatMap((offset) => NIBBLES.map((src) => ({ opcode, dst: 10, src, offset, imm: 64 }))),
    // A wide load takes the slot that follows, so every opcode also comes directly after one.
    { opcode: 0x18, dst: 1, src: 0, offset: 0, imm: -1 },
    { opcode, dst: 1, src: 2, offset: 3, imm: -5 },
    { opcode: 0x05, dst: 0, src: 0, offset: 0, imm: 0 },
  ];
}

function encode(slots: readonly SlotFields[], little: boolean): Uint8Array {
  const code = new Uint8Array(slots.length * 8);
  const target = new InstructionSlots(code, little);
  for (const [slot, fields] of slots.entries()) target.write(slot, fields);
  return code;
}
