// The fields of instructions where they lie, read and written one at a time: for loops that touch every instruction.
import { layout, s16, s32, u8, viewOf } from '../bytes/layout.ts';
import { OPCODE, REGISTERS } from './opcodes.ts';

/**
 * struct bpf_insn. `regs` holds two bit fields, so byte order decides which is which:
 *
 *     little endian   src 7..4   dst 3..0
 *     big endian      dst 7..4   src 3..0
 */
const bpfInsn = layout({ code: u8, regs: u8, off: s16, imm: s32 });

/** Bytes of one slot; ld_imm64 takes two slots. */
export const SLOT_SIZE = bpfInsn.size;
const OFF = bpfInsn.offsets.off;
const IMM = bpfInsn.offsets.imm;

/** The single fields of one slot, before anything is made of them. */
export interface SlotFields {
  readonly opcode: number;
  /** 0..15; 0..11 are registers. */
  readonly dst: number;
  readonly src: number;
  /** -32768..32767 */
  readonly offset: number;
  /** Signed 32 bits. */
  readonly imm: number;
}

/**
 * Code as an array of slots. It is a window, not a copy: what is written here is written in `bytes`.
 * A slot number outside `0..count - 1` throws RangeError. Bytes after the last whole slot are not part of it.
 */
export class InstructionSlots {
  readonly bytes: Uint8Array;
  readonly little: boolean;
  readonly count: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, little: boolean) {
    this.bytes = bytes;
    this.little = little;
    this.count = Math.floor(bytes.length / SLOT_SIZE);
    this.#view = viewOf(bytes);
  }

  opcode(slot: number): number {
    return this.#view.getUint8(slot * SLOT_SIZE);
  }

  dst(slot: number): number {
    const registers = this.#view.getUint8(slot * SLOT_SIZE + 1);
    return this.little ? registers & 0x0f : registers >> 4;
  }

  src(slot: number): number {
    const registers = this.#view.getUint8(slot * SLOT_SIZE + 1);
    return this.little ? registers >> 4 : registers & 0x0f;
  }

  offset(slot: number): number {
    return this.#view.getInt16(slot * SLOT_SIZE + OFF, this.little);
  }

  imm(slot: number): number {
    return this.#view.getInt32(slot * SLOT_SIZE + IMM, this.little);
  }

  /** The eight bytes as one number of the code's byte order. */
  raw(slot: number): bigint {
    return this.#view.getBigUint64(slot * SLOT_SIZE, this.little);
  }

  /**
   * Slots that the instruction here takes: 2 for a whole ld_imm64, else 1. As in LLVM, an ld_imm64 that is cut in half, has an
   * offset or no valid destination is a slot of data, and nothing is required of the second slot but its immediate.
   */
  width(slot: number): 1 | 2 {
    if (this.opcode(slot) !== OPCODE.LD_IMM64) return 1;
    return slot + 1 < this.count && this.offset(slot) === 0 && this.dst(slot) < REGISTERS ? 2 : 1;
  }

  /** Writes the fields that are given; the others stay. Values are cut to the width of their field. */
  write(slot: number, fields: Partial<SlotFields>): void {
    const at = slot * SLOT_SIZE;
    if (fields.opcode !== undefined) this.#view.setUint8(at, fields.opcode);
    if (fields.dst !== undefined || fields.src !== undefined) {
      const dst = (fields.dst ?? this.dst(slot)) & 0x0f;
      const src = (fields.src ?? this.src(slot)) & 0x0f;
      this.#view.setUint8(at + 1, this.little ? (src << 4) | dst : (dst << 4) | src);
    }
    if (fields.offset !== undefined) this.#view.setInt16(at + OFF, fields.offset, this.little);
    if (fields.imm !== undefined) this.#view.setInt32(at + IMM, fields.imm, this.little);
  }
}
