// What a function does to the world around it, read off its instructions: calls, helpers, kernel functions, maps.
// One pass over the code; what the instructions compute is not followed.
import { decodeInstruction } from '../insn/decode.ts';
import { OPCODE } from '../insn/opcodes.ts';
import { callOf } from '../insn/references.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import type { FunctionIndex } from './function-index.ts';
import type { BpfMap } from './maps.ts';
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
  /** Of these maps, the program arrays that tail calls go through. */
  readonly tailCallMaps: readonly number[];
}

export interface UsesInput {
  readonly index: FunctionIndex;
  readonly maps: readonly BpfMap[];
  readonly little: boolean;
}

export function readUses(
  each: BpfFunction,
  relocations: readonly BpfRelocation[],
  { index, maps, little }: UsesInput,
): CodeUses {
  const referred = readReferences(relocations);
  const calls = [...referred.calls];
  const helpers = new Set<number>();
  const slots = new InstructionSlots(each.code, little);
  for (let at = 0; at < slots.count; at += slots.width(at)) {
    if (slots.opcode(at) !== OPCODE.CALL || referred.instructions.has(at)) continue;
    const call = callOf(decodeInstruction(slots, at));
    if (call?.kind === 'helper') helpers.add(call.id);
    if (call?.kind !== 'subprogram') continue;
    // The compiler resolves calls inside a section itself.
    const callee = index.containing(each.sectionIndex, each.offset + call.target * SLOT_SIZE);
    if (callee) calls.push({ instruction: at, function: callee.index, via: 'call' });
  }
  const isProgramArray = (map: number) => maps[map]?.type === 'prog_array';
  return {
    calls: calls.sort((a, b) => a.instruction - b.instruction),
    helpers: [...helpers],
    externs: [...referred.externs],
    maps: [...referred.maps],
    tailCallMaps: helpers.has(TAIL_CALL) ? [...referred.maps].filter(isProgramArray) : [],
  };
}

/** BPF_FUNC_tail_call */
const TAIL_CALL = 12;

function readReferences(relocations: readonly BpfRelocation[]) {
  const instructions = new Set<number>();
  const calls: CallSite[] = [];
  const externs = new Set<number>();
  const maps = new Set<number>();
  for (const { instruction, target } of relocations) {
    instructions.add(instruction);
    if (target.kind === 'call') calls.push({ instruction, function: target.function, via: 'call' });
    else if (target.kind === 'function') calls.push({ instruction, function: target.function, via: 'address' });
    else if (target.kind === 'extern') externs.add(target.extern);
    else if (target.kind === 'map' || target.kind === 'data') maps.add(target.map);
  }
  return { instructions, calls, externs, maps };
}
