import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeInstructions } from '../../src/insn/decode.ts';
import { disassemble } from '../../src/insn/disassemble.ts';
import { InstructionSlots } from '../../src/insn/slots.ts';
import { assemble, codeOf, findLlvm, inTemporaryDirectory, LLVM_MISSING, objdump } from './objdump.ts';

const code = (...rows: string[]) => Buffer.from(rows.join('').replaceAll(' ', ''), 'hex');

// r4 = *(u64 *)(r1 - 0x98)
const load = { index: 0, opcode: 0x79, dst: 4, src: 1, offset: -0x98, imm: 0, slots: 1 };

test('the fields of a little-endian instruction', () => {
  expect(decodeInstructions(code('79 14 68ff 00000000'), true)).toEqual([load]);
});

test('the fields of a big-endian instruction, its registers swapped', () => {
  expect(decodeInstructions(code('79 41 ff68 00000000'), false)).toEqual([load]);
});

test('a wide load takes two slots and is one number', () => {
  expect(decodeInstructions(code('18 01 0000 78563412', '00 00 0000 efcdab89', '95 00 0000 00000000'), true)).toEqual([
    { index: 0, opcode: 0x18, dst: 1, src: 0, offset: 0, imm: 0x12345678, slots: 2, imm64: 0x89abcdef12345678n },
    { index: 2, opcode: 0x95, dst: 0, src: 0, offset: 0, imm: 0, slots: 1 },
  ]);
});

test('half a wide load is one slot of data', () => {
  expect(disassemble(code('18 11 0000 05000000'), true)).toEqual([
    { index: 0, bytes: '1811000005000000', text: '.8byte 0x0000000500001118', data: true },
  ]);
});

test('an unknown opcode is data in the byte order of its code', () => {
  const unknown = code('ff 01 0200 03000000');
  expect(disassemble(unknown, true).map(({ text }) => text)).toEqual(['.8byte 0x00000003000201ff']);
  expect(disassemble(unknown, false).map(({ text }) => text)).toEqual(['.8byte 0xff01020003000000']);
});

test('a tail shorter than a slot is data after the instructions', () => {
  expect(disassemble(code('95 00 0000 00000000', '0a0b0c'), true)).toEqual([
    { index: 0, bytes: '9500000000000000', text: 'exit' },
    { index: 1, bytes: '0a0b0c', text: '.byte 0x0a, 0x0b, 0x0c', data: true },
  ]);
});

test('no bytes are no instructions', () => {
  expect(disassemble(new Uint8Array(0), true)).toEqual([]);
});

test('code is read through the window it has on its buffer', () => {
  const buffer = code('ffffffffff', '95 00 0000 00000000', 'ffff');
  expect(disassemble(buffer.subarray(5, 13), true).map(({ text }) => text)).toEqual(['exit']);
});

const codeBytes = fc.uint8Array({ maxLength: 200 });

test('any bytes have a disassembly that covers each byte once', () => {
  fc.assert(
    fc.property(codeBytes, fc.boolean(), (bytes, little) => {
      const lines = disassemble(bytes, little);
      expect(lines.map((line) => line.bytes).join('')).toBe(Buffer.from(bytes).toString('hex'));
      for (const line of lines) expect(line.text).toMatch(/^[\x20-\x7e]+$/);
    }),
  );
});

test('any bytes decode to instructions without a gap', () => {
  fc.assert(
    fc.property(codeBytes, fc.boolean(), (bytes, little) => {
      let next = 0;
      for (const { index, slots } of decodeInstructions(bytes, little)) {
        expect(index).toBe(next);
        next += slots;
      }
      expect(next).toBe(Math.floor(bytes.length / 8));
    }),
  );
});

describe('slots', () => {
  const fields = fc.record({
    opcode: fc.integer({ min: 0, max: 255 }),
    dst: fc.integer({ min: 0, max: 15 }),
    src: fc.integer({ min: 0, max: 15 }),
    offset: fc.integer({ min: -0x8000, max: 0x7fff }),
    imm: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  });

  test('what is written is read back, in either byte order', () => {
    fc.assert(
      fc.property(fields, fc.boolean(), (written, little) => {
        const slots = new InstructionSlots(new Uint8Array(8), little);
        slots.write(0, written);
        expect(decodeInstructions(slots.bytes, little)).toEqual([{ index: 0, ...written, slots: 1 }]);
      }),
    );
  });

  test('writing one field leaves the others', () => {
    const slots = new InstructionSlots(Uint8Array.from(code('85 10 0000 ffffffff', '18 01 0000 05000000')), true);
    slots.write(0, { imm: 7 });
    slots.write(1, { src: 2 });
    expect(Buffer.from(slots.bytes)).toEqual(code('85 10 0000 07000000', '18 21 0000 05000000'));
  });

  test('a slot past the end is an error of the caller', () => {
    const slots = new InstructionSlots(new Uint8Array(12), true);
    expect(slots.count).toBe(1);
    expect(() => slots.imm(1)).toThrow(RangeError);
  });
});

describe.skipIf(!findLlvm())(`llvm-mc [${LLVM_MISSING}]`, () => {
  test.each([{ little: true }, { little: false }])(
    'assembles data to the same bytes, little endian $little',
    ({ little }) => {
      const data = code('ff 01 0200 03000000', '06 f7', '99');
      expect(
        reassemble(
          disassemble(data, little).map(({ text }) => text),
          little,
        ),
      ).toEqual(data);
    },
  );

  test.each([{ little: true }, { little: false }])(
    'assembles text to the same bytes, little endian $little',
    ({ little }) => {
      const source = [
        'r4 = *(u64 *)(r1 - 0x98)',
        '*(u16 *)(r10 - 0x2) = w3',
        '*(u8 *)(r1 + 0x1) = -0x1',
        'r1 = *(s32 *)(r2 + 0x0)',
        'r0 = *(u8 *)skb[0x17]',
        'r0 = *(u32 *)skb[r6]',
        'r1 = -0x8000000000000000 ll',
        'ld_pseudo r1, 0x2, 0x5',
        'w1 s>>= 0x3',
        'r1 s/= r2',
        'w7 s%= 0x5',
        'r1 = (s8)r2',
        'r1 = addr_space_cast(r1, 0x0, 0x1)',
        'r3 = be16 r3',
        'r3 = bswap64 r3',
        'if w1 s<= -0x1 goto +0x3',
        'may_goto -0x2',
        'gotol +0x123',
        'lock *(u64 *)(r1 + 0x0) += r2',
        'w0 = atomic_fetch_add((u32 *)(r1 + 0x0), w0)',
        'w2 = xchg32_32(r1 + 0x8, w2)',
        'r0 = cmpxchg_64(r1 + 0x8, r0, r2)',
        'w1 = load_acquire((u8 *)(r2 + 0x8))',
        'store_release((u64 *)(r1 + 0x8), r2)',
        'call 0x6',
        'callx r3',
        'exit',
      ];
      expect(disassemble(reassemble(source, little), little).map(({ text }) => text)).toEqual(source);
    },
  );
});

function reassemble(lines: readonly string[], little: boolean): Uint8Array {
  const llvm = findLlvm();
  if (!llvm) return new Uint8Array(0);
  return inTemporaryDirectory((directory) => {
    const object = `${directory}/text.o`;
    assemble(llvm, `.text\n${lines.join('\n')}\n`, little, object);
    return Buffer.concat(objdump(llvm, object)?.map(codeOf) ?? []);
  });
}
