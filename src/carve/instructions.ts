// Arrays of BPF instructions outside any object, found by nothing but their own sense: valid slots, closed control flow, registers
// that are set before they are read. Says how far each is to be trusted; whether the kernel knows it is `correlate`'s question.
import { viewOf } from '../bytes/layout.ts';
import type { Reader } from '../bytes/reader.ts';
import { Closure } from '../insn/closure.ts';
import { ENTRY, liveRegisters, mayEnter } from '../insn/dataflow.ts';
import { CLASS, CLASS_MASK } from '../insn/opcodes.ts';
import { SLOT } from '../insn/slot-rules.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { newRunBudget, type Run, type RunBudget, RunFinder } from './runs.ts';

/** How likely it is a program. What a tag proves is more than any of these. */
export type Trust = 'possible' | 'probable' | 'almost-certain';

export interface InstructionArray {
  /** Bytes from the start of the source. */
  readonly offset: number;
  /** Slots of 8 bytes, at least 4. */
  readonly slots: number;
  readonly endianness: 'little' | 'big';
  readonly trust: Trust;
  /** Calls of helpers and kfuncs, those a loader poisoned included. */
  readonly calls: number;
  /** ld_imm64 that refer to maps. */
  readonly mapLoads: number;
}

export interface InstructionCarving {
  /** In order of offset, without overlaps. */
  readonly arrays: readonly InstructionArray[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
}

export interface InstructionOptions {
  /** Preferred where both byte orders make sense. Default: little. */
  readonly preferLittle?: boolean;
  /** What must be set on entry: functions without their object may read five arguments. Default: `program`. */
  readonly entry?: 'program' | 'function';
  /** Only this byte order, where it is known. */
  readonly order?: 'little' | 'big';
  /** The bytes belong to somebody who has BPF programs or maps: then even four instructions that refer to nothing may be one. */
  readonly isOwner?: boolean;
  readonly budget?: RunBudget;
}

/** Three instructions or fewer are found in any file of messages. */
export const MIN_SLOTS = 4;
/** No source that was not made to have them has more; a run may add some. */
const MOST_ARRAYS = 1 << 16;
const PROBABLE_SLOTS = 8;
const PROBABLE_OPCODES = 3;
/** Steps for programs that are entered from behind, for each slot of their run. */
const WALK_FACTOR = 32;

/** The arrays around the EXIT slots at `anchors` (ascending). */
export function carveInstructions(
  reader: Reader,
  anchors: readonly number[],
  options: InstructionOptions = {},
): InstructionCarving {
  const budget = options.budget ?? newRunBudget();
  const entry = options.entry === 'function' ? ENTRY.FUNCTION : ENTRY.PROGRAM;
  const orders = [true, false].filter((little) => options.order !== (little ? 'big' : 'little'));
  const finders = orders.map((little) => new RunFinder(reader, little, budget));
  const found: InstructionArray[] = [];
  for (const anchor of anchors) {
    if (found.length >= MOST_ARRAYS) {
      budget.limited = true;
      break;
    }
    for (const runs of finders) {
      const run = runs.runAt(anchor);
      if (run !== undefined && run.kinds.length >= MIN_SLOTS)
        found.push(...arraysIn(run, entry, options.isOwner ?? false, budget));
    }
  }
  return { arrays: withoutOverlaps(found, options.preferLittle ?? true), limited: budget.limited };
}

/** The first start that makes sense wins, and what it covers is passed over. */
function arraysIn(run: Run, entry: number, isOwner: boolean, budget: RunBudget): InstructionArray[] {
  const closure = new Closure(run.slots, run.kinds);
  const live = liveRegisters(run.slots, run.kinds, closure.targets);
  if (live === undefined) {
    budget.limited = true;
    return [];
  }
  const walk = { steps: WALK_FACTOR * run.kinds.length };
  const arrays: InstructionArray[] = [];
  let slot = 0;
  while (slot < run.kinds.length) {
    const count = mayEnter(live[slot] as number, entry) ? closure.lengthFrom(slot, walk) : 0;
    const array = count >= MIN_SLOTS ? describeArray(run, slot, count, isOwner) : undefined;
    if (array !== undefined) arrays.push(array);
    slot += array === undefined ? 1 : count;
  }
  return arrays;
}

function describeArray(run: Run, start: number, count: number, isOwner: boolean): InstructionArray | undefined {
  const { slots, kinds } = run;
  const view = viewOf(slots.bytes);
  const opcodes = new Set<number>();
  let operands = 0;
  let calls = 0;
  let mapLoads = 0;
  let loads = 0;
  for (let slot = start; slot < start + count; slot++) {
    const at = slot * SLOT_SIZE;
    opcodes.add(slots.opcode(slot));
    if (view.getUint32(at + 4) !== 0 || (view.getUint32(at) & 0xff_ffff) !== 0) operands++;
    const kind = kinds[slot];
    if (kind === SLOT.CALL || kind === SLOT.POISON) calls++;
    if (kind === SLOT.WIDE && slots.src(slot) !== 0) mapLoads++;
    if (isLoad(slots.opcode(slot)) && kind === SLOT.PLAIN) loads++;
  }
  // Tables of opcodes in assemblers read as code without operands.
  if (operands * 4 < count) return undefined;
  const trust = trustIn(count, opcodes.size, calls + mapLoads, loads > 0 || isOwner);
  if (trust === undefined) return undefined;
  return {
    offset: run.offset + start * SLOT_SIZE,
    slots: count,
    endianness: slots.little ? 'little' : 'big',
    trust,
    calls,
    mapLoads,
  };
}

function trustIn(count: number, opcodes: number, references: number, isLikely: boolean): Trust | undefined {
  if (count >= PROBABLE_SLOTS && references > 0) return 'almost-certain';
  if (count >= PROBABLE_SLOTS && opcodes >= PROBABLE_OPCODES) return 'probable';
  return references > 0 || isLikely ? 'possible' : undefined;
}

function isLoad(opcode: number): boolean {
  const opcodeClass = opcode & CLASS_MASK;
  return opcodeClass === CLASS.LDX || opcodeClass === CLASS.LD;
}

/** Of two readings of the same bytes the longer one, of equal ones that in the preferred order. */
function withoutOverlaps(found: InstructionArray[], preferLittle: boolean): InstructionArray[] {
  const preferred = preferLittle ? 'little' : 'big';
  const rank = (array: InstructionArray) => array.slots * 2 + Number(array.endianness === preferred);
  found.sort((a, b) => a.offset - b.offset || rank(b) - rank(a));
  const kept: InstructionArray[] = [];
  for (const array of found) {
    const before = kept.at(-1);
    if (before === undefined || before.offset + before.slots * SLOT_SIZE <= array.offset) kept.push(array);
    else if (rank(array) > rank(before)) kept[kept.length - 1] = array;
  }
  return kept;
}
