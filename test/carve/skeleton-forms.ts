// Other forms of the skeletons that the installed bpftool makes: signed, and in the other byte order; and loaders made by hand.
import { createHash } from 'node:crypto';
import { readSkeletonScript } from '../../src/carve/skeleton-loader.ts';
import { InstructionSlots } from '../../src/insn/slots.ts';

export interface Form {
  readonly data: Uint8Array;
  readonly loader: Uint8Array;
}

/** One slot: opcode, registers, offset, immediate. */
export type Slot = readonly [opcode: number, dst: number, src: number, offset: number, imm: number];

export function assemble(slots: readonly Slot[], little = true): Uint8Array {
  const code = new Uint8Array(8 * slots.length);
  const writer = new InstructionSlots(code, little);
  for (const [slot, [opcode, dst, src, offset, imm]] of slots.entries()) {
    writer.write(slot, { opcode, dst, src, offset, imm });
  }
  return code;
}

/** `rX = blob + at` */
export function blobAddress(register: number, at: number): Slot[] {
  return [
    [0x18, register, 6, 0, 0],
    [0, 0, 0, 0, at],
  ];
}

/** What every loader begins with, for one program and no map: the stack is cleared, the clean-up jumped over. */
export const PROLOGUE: readonly Slot[] = [
  [0xbf, 6, 1, 0, 0],
  [0xbf, 1, 10, 0, 0],
  [0x07, 1, 0, 0, -136],
  [0xb7, 2, 0, 0, 136],
  [0xb7, 3, 0, 0, 0],
  [0x85, 0, 0, 0, 113],
  [0x05, 0, 0, 2, 0],
  [0xbf, 0, 7, 0, 0],
  [0x95, 0, 0, 0, 0],
  // Every loader has a way to its clean-up.
  [0xb7, 7, 0, 0, 0],
  [0xc5, 7, 0, -4, 0],
];
export const EPILOGUE: readonly Slot[] = [
  [0xb7, 0, 0, 0, 0],
  [0x95, 0, 0, 0, 0],
];

/** `*(u64 *)(blob + field) = blob + target` */
export function pointer(field: number, target: number): Slot[] {
  return [...blobAddress(0, target), ...blobAddress(1, field), [0x7b, 1, 0, 0, 0]];
}

/** `r7 = bpf(command, blob + attributes, size)` */
export function command(number: number, attributes: number, size: number): Slot[] {
  return [
    [0xb7, 1, 0, 0, number],
    ...blobAddress(2, attributes),
    [0xb7, 3, 0, 0, size],
    [0x85, 0, 0, 0, 166],
    [0xbf, 7, 0, 0, 0],
  ];
}

/**
 * Signed as libbpf 1.7 and later do it (emit_signature_match): behind the clean-up the loader looks whether its map is its own
 * (the word behind the hash is 1), and compares the four words of the map's hash with constants.
 */
export function signed({ data, loader }: Form): Form {
  const old = new InstructionSlots(loader, true);
  const at = 7 + old.offset(6);
  const digest = new DataView(new Uint8Array(createHash('sha256').update(data).digest()).buffer);
  const check: Slot[] = [
    [0x18, 1, 5, 0, 0],
    [0, 0, 0, 0, 0],
    [0x61, 2, 1, 32, 0],
    [0xb7, 7, 0, 0, -22],
    [0x55, 2, 0, 0, 1],
  ];
  for (const word of [0, 8, 16, 24]) {
    check.push([0x18, 1, 5, 0, 0], [0, 0, 0, 0, 0], [0x79, 2, 1, word, 0]);
    check.push([0x18, 3, 0, 0, digest.getInt32(word, true)], [0, 0, 0, 0, digest.getInt32(word + 4, true)]);
    check.push([0xb7, 7, 0, 0, -22], [0x5d, 2, 3, 0, 0]);
  }
  const toCleanUp = check.map(([opcode, dst, src, offset, imm], slot): Slot => {
    const isJump = opcode === 0x55 || opcode === 0x5d;
    return [opcode, dst, src, isJump ? 7 - (at + slot + 1) : offset, imm];
  });
  const rest = loader.slice(8 * at);
  const slots = new InstructionSlots(rest, true);
  for (let slot = 0; slot < slots.count; slot += slots.width(slot)) {
    const isJump = [0x05, 0x06].includes(slots.opcode(slot) & 0x07) && ![0x85, 0x95].includes(slots.opcode(slot));
    if (isJump && slot + 1 + slots.offset(slot) < 0) slots.write(slot, { offset: slots.offset(slot) - check.length });
  }
  return { data, loader: Buffer.concat([loader.slice(0, 8 * at), assemble(toCleanUp), rest]) };
}

/** As libbpf 1.6 and later write it for a machine of the other byte order. */
export function bigEndian({ data, loader }: Form): Form {
  const blob = data.slice();
  const script = readSkeletonScript(new InstructionSlots(loader, true));
  const view = new DataView(blob.buffer);
  for (const { command, attributes, size } of script.commands) {
    const at = (field: number) => script.pointers.get(attributes + field) ?? 0;
    const number = (field: number) => view.getUint32(attributes + field, true);
    if (command === 5) {
      swapSlots(blob.subarray(at(8), at(8) + 8 * number(4)));
      swapWords(blob.subarray(at(80), at(80) + number(76) * number(88)));
      swapWords(blob.subarray(at(96), at(96) + number(92) * number(104)));
      if (size > 136) swapWords(blob.subarray(at(128), at(128) + number(116) * number(136)));
      swapWords(blob.subarray(attributes, attributes + 48));
      swapWords(blob.subarray(attributes + 64, attributes + size));
    } else if (command === 18) {
      swapBtf(blob.subarray(at(0), at(0) + number(16)));
      swapWords(blob.subarray(attributes, attributes + size));
    } else if (command === 0) {
      swapWords(blob.subarray(attributes, attributes + 28));
      swapWords(blob.subarray(attributes + 44, attributes + size));
    }
  }
  const code = loader.slice();
  swapSlots(code);
  return { data: blob, loader: code };
}

function swapSlots(code: Uint8Array): void {
  const from = new InstructionSlots(code.slice(), true);
  const to = new InstructionSlots(code, false);
  for (let slot = 0; slot < from.count; slot++) {
    to.write(slot, { dst: from.dst(slot), src: from.src(slot), offset: from.offset(slot), imm: from.imm(slot) });
  }
}

function swapWords(bytes: Uint8Array): void {
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
}

/** Everything between the header and the strings is words. */
function swapBtf(btf: Uint8Array): void {
  const view = new DataView(btf.buffer, btf.byteOffset);
  const types = view.getUint32(4, true) + view.getUint32(12, true);
  btf.subarray(0, 2).reverse();
  swapWords(btf.subarray(4, types));
}
