// Finds instruction arrays that were freed: malloc writes its own pointers over the first 16 bytes of a chunk and leaves the rest.
// The two slots that are lost are taken from what the kernel runs; the tag still decides.
import { type Reader, readAt } from '../bytes/reader.ts';
import { type Run, RunFinder, readRun } from '../carve/runs.ts';
import { Closure } from '../insn/closure.ts';
import { HELPERS } from '../insn/helpers.ts';
import { CALL, CLASS, CLASS_MASK, MODE, OPCODE, SIZE } from '../insn/opcodes.ts';
import { isValidCode } from '../insn/slot-rules.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { normaliseCode } from '../link/tag.ts';
import {
  describeProven,
  matchTag,
  newTagBudget,
  type ProvenArray,
  type TagBudget,
  type TagSearch,
  type TagSearchOptions,
} from './tag-search.ts';

/** What the kernel still shows of a program whose array was freed. */
export interface FreedProgram {
  readonly tag: string;
  /** Its translated instructions: the first two slots are enough. */
  readonly xlated: Uint8Array;
}

/**
 * The arrays around the EXIT slots at `anchors` (ascending) that have the tag of one of the `programs` once their first two slots
 * are put back. The kernel has rewritten offsets of loads and numbers of helpers in what it shows, so these are tried through.
 */
export function searchFreed(
  reader: Reader,
  anchors: readonly number[],
  programs: readonly FreedProgram[],
  options: TagSearchOptions = {},
): TagSearch {
  const budget = options.budget ?? newTagBudget();
  const little = options.little ?? true;
  const runs = new RunFinder(reader, little, budget);
  const open = new Map(programs.map(({ tag, xlated }) => [tag, possibleHeads(xlated, little)]));
  const arrays: ProvenArray[] = [];
  for (const anchor of anchors) {
    const run = open.size > 0 ? runs.runAt(anchor) : undefined;
    if (run === undefined || run.kinds.length > REPAIRED_SLOTS) continue;
    for (const offset of possibleStarts(run)) {
      const code = readAt(reader, offset, run.offset + run.slots.bytes.length - offset);
      for (const [tag, heads] of open) {
        const array = repair(code, heads, tag, little, offset, budget);
        if (array === undefined) continue;
        arrays.push(array);
        open.delete(tag);
      }
    }
  }
  return { arrays, limited: budget.limited };
}

const HEAD_SLOTS = 2;
/** A longer run is no chunk of a single program. */
const REPAIRED_SLOTS = 1 << 16;

/**
 * What was overwritten is mostly no code, and the run begins behind it. By chance it may be, and where it held the first
 * half of a ld_imm64 the second half is no code either.
 */
function possibleStarts(run: Run): number[] {
  return [-2, -3, -1, 0].map((slots) => run.offset + slots * SLOT_SIZE).filter((offset) => offset >= 0);
}

function repair(
  code: Uint8Array,
  heads: readonly Uint8Array[],
  tag: string,
  little: boolean,
  offset: number,
  budget: TagBudget,
): ProvenArray | undefined {
  const [likeliest] = heads;
  if (likeliest === undefined || code.length <= likeliest.length) return undefined;
  code.set(likeliest);
  const count = closedLength(code, little);
  if (count <= HEAD_SLOTS + 1) return undefined;
  const normal = normaliseCode(code.subarray(0, count * SLOT_SIZE), little);
  // Numbers of maps were zeroed together with the rest; heads come normalised.
  for (const head of heads) {
    normal.set(head);
    const match = matchTag(normal, new Set([tag]), budget);
    if (match === undefined) continue;
    const whole = code.slice(0, count * SLOT_SIZE);
    whole.set(head);
    return { ...describeProven(whole, little, offset, tag, match.algorithm), repaired: true };
  }
  return undefined;
}

function closedLength(code: Uint8Array, little: boolean): number {
  if (!isValidCode(code, little)) return 0;
  const { slots, kinds } = readRun(code, little);
  return new Closure(slots, kinds).lengthFrom(0, { steps: kinds.length });
}

/** Both slots together may vary as often as this; beyond it only one of them does. */
const MAX_HEADS = 1 << 14;

/** What the first two slots may have been before the kernel translated them, the likeliest first, normalised. */
function possibleHeads(xlated: Uint8Array, little: boolean): Uint8Array[] {
  const shown = normaliseCode(xlated.subarray(0, HEAD_SLOTS * SLOT_SIZE), little);
  if (shown.length < HEAD_SLOTS * SLOT_SIZE) return [];
  const first = possibleSlots(shown.subarray(0, SLOT_SIZE), little);
  const second =
    shown[0] === OPCODE.LD_IMM64 ? [shown.subarray(SLOT_SIZE)] : possibleSlots(shown.subarray(SLOT_SIZE), little);
  const join = (left: Uint8Array, right: Uint8Array) => new Uint8Array([...left, ...right]);
  if (first.length * second.length <= MAX_HEADS) {
    return first.flatMap((left) => second.map((right) => join(left, right)));
  }
  const [left, right] = [shown.subarray(0, SLOT_SIZE), shown.subarray(SLOT_SIZE)];
  return [...first.map((each) => join(each, right)), ...second.map((each) => join(left, each))];
}

/** Offsets into the context, as programs see it, that are tried. */
const CONTEXT_BYTES = 256;
const SIZES = [SIZE.W, SIZE.DW, SIZE.H, SIZE.B];
/** BPF_TAIL_CALL, what the kernel makes of helper 12. */
const TAIL_CALL = 0xf5;

function possibleSlots(slot: Uint8Array, little: boolean): Uint8Array[] {
  const opcode = slot[0] ?? 0;
  const variants = [slot];
  const add = (change: (slots: InstructionSlots) => void) => {
    const copy = new Uint8Array(slot);
    change(new InstructionSlots(copy, little));
    variants.push(copy);
  };
  if ((opcode & CLASS_MASK) === CLASS.LDX) {
    for (const size of SIZES) {
      for (let offset = 0; offset < CONTEXT_BYTES; offset++) {
        add((slots) => slots.write(0, { opcode: CLASS.LDX | MODE.MEM | size, offset, imm: 0 }));
      }
    }
  } else if (opcode === OPCODE.CALL || opcode === TAIL_CALL) {
    for (let helper = 1; helper < HELPERS.length; helper++) {
      add((slots) => slots.write(0, { opcode: OPCODE.CALL, dst: 0, src: CALL.HELPER, offset: 0, imm: helper }));
    }
  }
  return variants;
}
