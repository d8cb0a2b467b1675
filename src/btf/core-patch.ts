// One BPF instruction after its CO-RE relocation, from raw bytes to raw bytes (libbpf: bpf_core_patch_insn).
import { viewOf } from '../bytes/layout.ts';
import { refusal } from './core-refusal.ts';
import type { CoreResult } from './core-relocate.ts';
import type { CoreRules } from './core-rules.ts';

type Patchable = Exclude<CoreResult, { outcome: 'refused' }>;

const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, ALU64: 7 } as const;
const LD_IMM64 = 0x18;
const CALL = 0x85;
const SOURCE_REGISTER = 0x08;
/** BPF_SIZE: W, H, B, DW. */
const SIZE_MASK = 0x18;
const SIZE_BITS: ReadonlyMap<number, number> = new Map([
  [4, 0x00],
  [2, 0x08],
  [1, 0x10],
  [8, 0x18],
]);
/** A helper that does not exist; the verifier names it, "invalid func unknown#195896080". */
const BAD_RELO = 0xbad2310;

/**
 * The instruction as the loader leaves it: 8 bytes, or 16 for a ld_imm64, of which `insn` must have both slots.
 * @throws FormatError `core-refused` when the loader gives up on the object.
 */
export function patchInstruction(insn: Uint8Array, little: boolean, result: Patchable, rules: CoreRules): Uint8Array {
  const code = insn[0] ?? 0;
  const length = code === LD_IMM64 ? 16 : 8;
  if (insn.length < length) throw refusal(`instruction of ${insn.length} bytes, ${length} needed`);
  const patched = new Uint8Array(insn.subarray(0, length));
  if (result.outcome === 'poison') return poison(patched, little);
  const view = viewOf(patched);
  switch (code & 7) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      if (code & SOURCE_REGISTER) throw refusal(`instruction 0x${code.toString(16)} has no immediate`);
      const held = BigInt.asUintN(rules.wideValues ? 64 : 32, BigInt(view.getInt32(4, little)));
      checkHeld(result, held);
      view.setInt32(4, Number(BigInt.asIntN(32, result.targetValue)), little);
      return patched;
    }
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX: {
      checkHeld(result, BigInt.asUintN(64, BigInt(view.getInt16(2, little))));
      if (result.targetValue > 0x7fffn) throw refusal(`offset ${result.targetValue} does not fit an instruction`);
      if (result.unsafe && rules.unsafeResize === 'poison') return poison(patched, little);
      if (result.unsafe) throw refusal(`field of ${result.localSize} bytes has ${result.targetSize} in the target`);
      view.setInt16(2, Number(result.targetValue), little);
      if (result.localSize !== result.targetSize) patched[0] = resized(code, result.localSize, result.targetSize);
      return patched;
    }
    case CLASS.LD: {
      if (code !== LD_IMM64 || !isPlainConstant(view, little)) throw refusal('a load that is no plain 64-bit constant');
      const high = BigInt.asUintN(32, BigInt(view.getInt32(12, little)));
      checkHeld(result, (high << 32n) | BigInt(view.getUint32(4, little)));
      view.setUint32(4, Number(result.targetValue & 0xffff_ffffn), little);
      view.setUint32(12, rules.wideValues ? Number(result.targetValue >> 32n) : 0, little);
      return patched;
    }
    default:
      throw refusal(`instruction 0x${code.toString(16)} cannot be relocated`);
  }
}

/** libbpf takes both slots of a constant, lest the verifier stumble over the second one alone. */
function poison(patched: Uint8Array, little: boolean): Uint8Array {
  const view = viewOf(patched);
  patched.fill(0);
  for (let at = 0; at < patched.length; at += 8) {
    patched[at] = CALL;
    view.setInt32(at + 4, BAD_RELO, little);
  }
  return patched;
}

function checkHeld(result: Patchable, held: bigint): void {
  if (result.outcome !== 'value' || !result.checked || held === result.localValue) return;
  throw refusal(`instruction holds ${held}, its BTF says ${result.localValue}`);
}

function resized(code: number, from: number, to: number): number {
  const bits = SIZE_BITS.get(to);
  if ((code & SIZE_MASK) !== SIZE_BITS.get(from)) throw refusal(`instruction does not access ${from} bytes`);
  if (bits === undefined) throw refusal(`no instruction accesses ${to} bytes`);
  return (code & ~SIZE_MASK) | bits;
}

/** Source register, offset and all of the second slot but its immediate are zero. */
function isPlainConstant(view: DataView, little: boolean): boolean {
  const registers = view.getUint8(1);
  const source = little ? registers >> 4 : registers & 0xf;
  return source === 0 && view.getInt16(2, little) === 0 && view.getUint32(8, little) === 0;
}
