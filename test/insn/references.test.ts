import { expect, test } from 'vitest';
import { decodeInstructions, type Instruction } from '../../src/insn/decode.ts';
import { branchOf, callOf, wideConstantOf } from '../../src/insn/references.ts';

/** The instruction in slot 10: ten exits, then these bytes, little endian. */
function inSlot10(hex: string): Instruction {
  const code = Buffer.from(`${'9500000000000000'.repeat(10)}${hex.replaceAll(' ', '')}`, 'hex');
  const insn = decodeInstructions(code, true)[10];
  if (!insn) throw new Error('the rows make less than one slot');
  return insn;
}

test.each([
  ['goto +3', '05 00 0300 00000000', { target: 14, conditional: false }],
  ['gotol -0x10', '06 00 0000 f0ffffff', { target: -5, conditional: false }],
  ['may_goto +3', 'e5 00 0300 00000000', { target: 14, conditional: true }],
  ['if r1 == 0 goto -1', '15 01 ffff 00000000', { target: 10, conditional: true }],
  ['if w1 s<= w2 goto +1', 'de 21 0100 00000000', { target: 12, conditional: true }],
  ['gotox r1', '0d 01 0000 00000000', undefined],
  ['call 5', '85 00 0000 05000000', undefined],
  ['exit', '95 00 0000 00000000', undefined],
  ['r1 = 5', 'b7 01 0300 05000000', undefined],
])('branch of %s', (_text, hex, branch) => {
  expect(branchOf(inSlot10(hex))).toEqual(branch);
});

test.each([
  ['a helper', '85 00 0000 06000000', { kind: 'helper', id: 6, name: 'trace_printk' }],
  ['an unknown helper', '85 00 0000 e8030000', { kind: 'helper', id: 1000, name: '1000' }],
  ['a subprogram', '85 10 0000 04000000', { kind: 'subprogram', target: 15 }],
  ['a subprogram before relocation', '85 10 0000 ffffffff', { kind: 'subprogram', target: 10 }],
  ['a kernel function', '85 20 0000 d2040000', { kind: 'kfunc', btf: 1234, module: 0 }],
  ['a function of a module', '85 20 0100 d2040000', { kind: 'kfunc', btf: 1234, module: 1 }],
  ['a register', '8d 03 0000 00000000', { kind: 'register', register: 3 }],
  ['something newer', '85 70 0000 01000000', { kind: 'unknown', src: 7, imm: 1 }],
  // The bytes that libbpf writes: 0xbad2310, 2001000000 + 2, 2002000000 + 0.
  ['a failed CO-RE relocation', '85 00 0000 1023ad0b', { kind: 'poison', poison: { what: 'core-relocation' } }],
  ['a map that is not created', '85 00 0000 42d64477', { kind: 'poison', poison: { what: 'map', index: 2 } }],
  ['a missing kfunc', '85 00 0000 80185477', { kind: 'poison', poison: { what: 'kfunc', index: 0 } }],
  ['nothing', '95 00 0000 00000000', undefined],
])('call of %s', (_text, hex, call) => {
  expect(callOf(inSlot10(hex))).toEqual(call);
});

test.each([
  ['a number', '0', { kind: 'constant', value: 0x80000000_00000005n }],
  ['a map', '1', { kind: 'map-fd', fd: 5 }],
  ['the inside of a map', '2', { kind: 'map-value', fd: 5, offset: 0x80000000 }],
  ['a kernel symbol', '3', { kind: 'btf-id', btf: 5, moduleFd: 0x80000000 }],
  ['a callback', '4', { kind: 'function', target: 16 }],
  ['a map by index', '5', { kind: 'map-index', index: 5 }],
  ['the inside of a map by index', '6', { kind: 'map-index-value', index: 5, offset: 0x80000000 }],
  ['something newer', '7', { kind: 'unknown', src: 7, value: 0x80000000_00000005n }],
])('wide load of %s', (_text, src, constant) => {
  expect(wideConstantOf(inSlot10(`18 ${src}1 0000 05000000  00 00 0000 00000080`))).toEqual(constant);
});

test('half a wide load refers to nothing', () => {
  expect(wideConstantOf(inSlot10('18 11 0000 05000000'))).toBeUndefined();
});
