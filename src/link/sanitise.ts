// Helpers that old kernels lack, replaced as libbpf, cilium/ebpf and aya all do (libbpf: bpf_object__sanitize_prog).
import { CALL, OPCODE } from '../insn/opcodes.ts';
import type { InstructionSlots } from '../insn/slots.ts';
import type { Kernel } from './kernel.ts';

/** probe_read_user and _kernel, with and without _str, came with 5.5; before, one helper read both. */
const FALLBACKS: ReadonlyMap<number, number> = new Map([
  [112, 4],
  [113, 4],
  [114, 45],
  [115, 45],
]);

export function sanitise(slots: InstructionSlots, kernel: Kernel): void {
  if (!kernel.isBefore(5, 5)) return;
  for (let slot = 0; slot < slots.count; slot++) {
    if (slots.opcode(slot) !== OPCODE.CALL || slots.src(slot) !== CALL.HELPER || slots.dst(slot) !== 0) continue;
    const fallback = FALLBACKS.get(slots.imm(slot));
    if (fallback !== undefined) slots.write(slot, { imm: fallback });
  }
}
