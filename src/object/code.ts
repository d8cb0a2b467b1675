// What a function does to the world around it, read off its instructions: calls, helpers, kernel functions, maps.
// One pass over the code; what the instructions compute is not followed.
import { decodeInstruction } from '../insn/decode.ts';
import { OPCODE } from '../insn/opcodes.ts';
import { callOf } from '../insn/references.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import type { FunctionIndex } from './function-index.ts';
import type { BpfFunction } from './programs.ts';
import type { BpfRelocation } from './relocations.ts';

export interface CallSite {
  /** Slot number in the calling function. */
  readonly instruction: number;
  /** Place of the callee in `BpfObject.functions`. */
  readonly function: number;
  /** Called here, or its address taken for a helper that calls back. */
  readonly via: 'call' | 'address';
}

export interface CodeUses {
  /** In order of instructions, one entry per site. */
  readonly calls: readonly CallSite[];
  /** Helper numbers, each once, in order of first use. */
  readonly helpers: readonly number[];
  /** Places in `BpfObject.externs` and `BpfObject.maps`, each once, in order of first use. */
  readonly externs: readonly number[];
  readonly maps: readonly number[];
}

export function readUses(
  each: BpfFunction,
  relocations: readonly BpfRelocation[],
  functions: FunctionIndex,
  little: boolean,
): CodeUses {
  const slots = new InstructionSlots(each.code, little);
  const calls: CallSite[] = [];
  const helpers = new Set<number>();
  const externs = new Set<number>();
  const maps = new Set<number>();
  const relocated = new Set<number>();
  for (const { instruction, target } of relocations) {
    relocated.add(instruction);
    if (target.kind === 'call') calls.push({ instruction, function: target.function, via: 'call' });
    else if (target.kind === 'function') calls.push({ instruction, function: target.function, via: 'address' });
    else if (target.kind === 'extern') externs.add(target.extern);
    else if (target.kind === 'map' || target.kind === 'data') maps.add(target.map);
  }
  for (let instruction = 0; instruction < slots.count; instruction += slots.width(instruction)) {
    if (slots.opcode(instruction) !== OPCODE.CALL || relocated.has(instruction)) continue;
    const call = callOf(decodeInstruction(slots, instruction));
    if (call?.kind === 'helper') helpers.add(call.id);
    if (call?.kind !== 'subprogram') continue;
    // The compiler resolves calls inside a section itself.
    const callee = functions.containing(each.sectionIndex, each.offset + call.target * SLOT_SIZE);
    if (callee) calls.push({ instruction, function: callee.index, via: 'call' });
  }
  calls.sort((a, b) => a.instruction - b.instruction);
  return { calls, helpers: [...helpers], externs: [...externs], maps: [...maps] };
}
