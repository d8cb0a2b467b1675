// Main program and subprograms in one stream, as libbpf and aya lay them out: each callee is appended at its first call,
// depth first, once for each main program (bpf_object__reloc_code). What calls what is for the loader to say.
import { CALL, OPCODE, PSEUDO } from '../insn/opcodes.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import type { BpfFunction } from '../object/programs.ts';
import { refuse } from './loader.ts';

/** A function and the slot of the stream where it begins. */
export interface Placed {
  readonly function: BpfFunction;
  readonly start: number;
}

export interface Stream {
  readonly slots: InstructionSlots;
  readonly placed: readonly Placed[];
}

export interface Reference {
  readonly callee: BpfFunction;
  readonly via: 'call' | 'address';
}

export interface LayoutRules {
  readonly little: boolean;
  /** The code of a function before it is linked. */
  readonly codeOf: (each: BpfFunction) => Uint8Array;
  /** The function that a call or 64-bit constant of `home` refers to; `undefined` when none. */
  readonly referenceAt: (home: BpfFunction, slots: InstructionSlots, slot: number) => Reference | undefined;
}

/** BPF_MAX_SUBPROGS: more functions than this in one program the kernel refuses before it computes a tag. */
const MAX_FUNCTIONS = 256;
/** BPF_COMPLEXITY_LIMIT_INSNS: longer programs are refused as well. */
const MAX_SLOTS = 1_000_000;

interface Fixup extends Reference {
  readonly slot: number;
}

/** `also` are subprograms that are appended although nothing refers to them. */
export function layOut(main: BpfFunction, rules: LayoutRules, also: readonly BpfFunction[] = []): Stream {
  const { little } = rules;
  const placed: Placed[] = [];
  const starts = new Map<BpfFunction, number>();
  const fixups: Fixup[] = [];
  let end = 0;

  const append = (each: BpfFunction): void => {
    const code = rules.codeOf(each);
    const start = end;
    placed.push({ function: each, start });
    end += code.length / SLOT_SIZE;
    checkLimits(placed.length, end);
    const slots = new InstructionSlots(code, little);
    for (let slot = 0; slot < slots.count; slot++) {
      const opcode = slots.opcode(slot);
      if (opcode !== OPCODE.CALL && opcode !== OPCODE.LD_IMM64) continue;
      const reference = rules.referenceAt(each, slots, slot);
      if (reference === undefined) continue;
      fixups.push({ ...reference, slot: start + slot });
      place(reference.callee);
    }
  };
  const place = (callee: BpfFunction): void => {
    if (starts.has(callee)) return;
    starts.set(callee, end);
    append(callee);
  };
  append(main);
  for (const each of also) place(each);

  const stream = assemble(placed, end, rules);
  for (const { slot, callee, via } of fixups) {
    const imm = (starts.get(callee) ?? 0) - slot - 1;
    stream.write(slot, via === 'address' ? { imm, src: PSEUDO.FUNC } : { imm });
  }
  return { slots: stream, placed };
}

export function assemble(placed: readonly Placed[], count: number, rules: Pick<LayoutRules, 'codeOf' | 'little'>) {
  const bytes = new Uint8Array(count * SLOT_SIZE);
  for (const each of placed) bytes.set(rules.codeOf(each.function), each.start * SLOT_SIZE);
  return new InstructionSlots(bytes, rules.little);
}

export function checkLimits(functions: number, slots: number): void {
  if (functions > MAX_FUNCTIONS) throw refuse(`more than ${MAX_FUNCTIONS} functions, which no kernel loads`);
  if (slots > MAX_SLOTS) throw refuse(`more than ${MAX_SLOTS} instructions, which no kernel loads`);
}

/** A call of a subprogram as the compiler writes it (insn_is_subprog_call). */
export function isSubprogramCall(slots: InstructionSlots, slot: number): boolean {
  return (
    slots.opcode(slot) === OPCODE.CALL &&
    slots.src(slot) === CALL.SUBPROGRAM &&
    slots.dst(slot) === 0 &&
    slots.offset(slot) === 0
  );
}

/** @throws Unlinkable when no constant of two slots stands there */
export function checkWide(slots: InstructionSlots, slot: number): void {
  if (slots.opcode(slot) !== OPCODE.LD_IMM64) throw refuse(`slot ${slot} is no 64-bit constant`);
  if (slot + 1 >= slots.count) throw refuse(`the 64-bit constant in slot ${slot} is cut in half`);
}
