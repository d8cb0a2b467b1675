// Finds instruction arrays that were freed: malloc writes its own pointers over the first bytes of a chunk and leaves the rest.
// The slots that are lost are taken from what the kernel runs; the tag still decides.
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
  mapFdsOf,
  matchTag,
  newTagBudget,
  type ProvenArray,
  spend,
  type TagBudget,
  type TagSearch,
  type TagSearchOptions,
} from './tag-search.ts';

/** What the kernel still shows of a program whose array was freed. */
export interface FreedProgram {
  readonly tag: string;
  /** Its translated instructions, all of them. */
  readonly xlated: Uint8Array;
}

/**
 * Slots that free() of glibc writes over: two pointers, the links of a list of chunks; in chunks from MIN_LARGE_SIZE (1 KiB, less
 * two words of its own) on two more, which lead to chunks of other sizes (malloc.c, `struct malloc_chunk`).
 */
const LOST = [
  { lost: 2, least: 0 },
  { lost: 4, least: 126 },
] as const;

/** With fewer slots left the array is the end of so many programs that its tag, with slots from the kernel, proves nothing. */
const LEFT = 4;

/**
 * The arrays around the EXIT slots at `anchors` (ascending) that have the tag of one of the `programs` once their first slots are
 * put back. The kernel has rewritten offsets of loads and numbers of helpers in what it shows, so these are tried through.
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
  const open = new Map(programs.map((program) => [program.tag, lostProgram(program, little)]));
  const arrays: ProvenArray[] = [];
  for (const anchor of anchors) {
    const run = open.size > 0 ? runs.runAt(anchor) : undefined;
    if (run === undefined || run.kinds.length > REPAIRED_SLOTS) continue;
    const present = new Set(arithmeticOf(run.slots));
    for (const program of open.values()) {
      if (!resembles(program, present, budget)) continue;
      const array = repairRun(reader, run, program, budget);
      if (array === undefined) continue;
      arrays.push(array);
      open.delete(program.tag);
    }
  }
  return { arrays, limited: budget.limited };
}

interface LostProgram {
  readonly tag: string;
  /** The first slots as the kernel shows them, normalised, for each number of them that may be lost. */
  readonly heads: readonly Uint8Array[];
  readonly arithmetic: readonly bigint[];
}

function lostProgram({ tag, xlated }: FreedProgram, little: boolean): LostProgram {
  const heads = LOST.map(({ lost }) => normaliseCode(xlated.subarray(0, lost * SLOT_SIZE), little));
  const behind = new InstructionSlots(xlated.subarray(LOST[0].lost * SLOT_SIZE), little);
  return { tag, heads, arithmetic: [...new Set(arithmeticOf(behind))].slice(0, COMPARED_SLOTS) };
}

/** As much tells one program from another. */
const COMPARED_SLOTS = 256;

/** The kernel leaves it as it is; loads, calls and jumps it may rewrite. */
function arithmeticOf(slots: InstructionSlots): bigint[] {
  const found: bigint[] = [];
  for (let slot = 0; slot < slots.count; slot += slots.width(slot)) {
    const instructionClass = slots.opcode(slot) & CLASS_MASK;
    if (instructionClass === CLASS.ALU || instructionClass === CLASS.ALU64) found.push(slots.raw(slot));
  }
  return found;
}

/** Whether half of what the kernel runs is there. The other half it may have put in, and what it dropped is not asked for. */
function resembles({ arithmetic }: LostProgram, present: ReadonlySet<bigint>, budget: TagBudget): boolean {
  if (!spend(budget, arithmetic.length)) return false;
  return 2 * arithmetic.filter((slot) => present.has(slot)).length >= arithmetic.length;
}

/** A longer run is no chunk of a single program. */
const REPAIRED_SLOTS = 1 << 16;

function repairRun(reader: Reader, run: Run, { tag, heads }: LostProgram, budget: TagBudget): ProvenArray | undefined {
  const { little } = run.slots;
  for (const [kind, { lost, least }] of LOST.entries()) {
    const head = heads[kind];
    if (head === undefined || head.length < lost * SLOT_SIZE) continue;
    for (const offset of possibleStarts(run, lost)) {
      const code = readAt(reader, offset, run.offset + run.slots.bytes.length - offset);
      const array = repair(code, head, Math.max(least, lost + LEFT), tag, little, offset, budget);
      if (array !== undefined) return array;
    }
  }
  return undefined;
}

/**
 * What was overwritten is mostly no code, and the run begins behind it. Of two slots one or both may be by chance, and where
 * the last one held the first half of a ld_imm64 the second half is no code either.
 */
function possibleStarts(run: Run, lost: number): number[] {
  const before = lost === 2 ? [2, 3, 1, 0] : [lost, lost + 1];
  return before.map((slots) => run.offset - slots * SLOT_SIZE).filter((offset) => offset >= 0);
}

/** `head`: the first slots as the kernel shows them; `least`: slots that there must be at least, those among them. */
function repair(
  code: Uint8Array,
  head: Uint8Array,
  least: number,
  tag: string,
  little: boolean,
  offset: number,
  budget: TagBudget,
): ProvenArray | undefined {
  if (code.length < least * SLOT_SIZE || !spend(budget, code.length)) return undefined;
  code.set(head);
  const count = closedLength(code, little);
  if (count < least) return undefined;
  const normal = normaliseCode(code.subarray(0, count * SLOT_SIZE), little);
  // Numbers of maps were zeroed together with the rest; heads come normalised.
  for (const possible of possibleHeads(head, little)) {
    normal.set(possible);
    const match = matchTag(normal, new Set([tag]), budget);
    if (match === undefined) continue;
    const whole = code.slice(0, count * SLOT_SIZE);
    whole.set(possible);
    const mapFds = mapFdsOf(new InstructionSlots(whole.subarray(head.length), little));
    return { ...describeProven(whole, little, offset, tag, match.algorithm), mapFds, repaired: true };
  }
  return undefined;
}

function closedLength(code: Uint8Array, little: boolean): number {
  if (!isValidCode(code, little)) return 0;
  const { slots, kinds } = readRun(code, little);
  return new Closure(slots, kinds).lengthFrom(0, { steps: kinds.length });
}

/** All slots together may vary as often as this; beyond it only one of them does. */
const MAX_HEADS = 1 << 14;

/** What the first slots may have been before the kernel translated them, the likeliest first, normalised. */
function possibleHeads(shown: Uint8Array, little: boolean): Uint8Array[] {
  const instructions = splitInstructions(shown);
  const variants = instructions.map((each) => possibleInstructions(each, ANY_LOAD, little));
  if (countOf(variants) <= MAX_HEADS) return combinations(variants);
  // Programs for packets begin with two loads, of data and data_end: both were translated.
  const words = instructions.map((each) => possibleInstructions(each, WORD_LOAD, little));
  const alone = variants.flatMap((each, place) =>
    combinations(instructions.map((instruction, other) => (other === place ? each : [instruction]))),
  );
  return countOf(words) <= MAX_HEADS ? [...combinations(words), ...alone] : alone;
}

function countOf(choices: readonly (readonly Uint8Array[])[]): number {
  return choices.reduce((product, { length }) => product * length, 1);
}

/** A ld_imm64 is whole where both of its slots are there. */
function splitInstructions(code: Uint8Array): Uint8Array[] {
  const instructions: Uint8Array[] = [];
  for (let from = 0; from < code.length; ) {
    const size = code[from] === OPCODE.LD_IMM64 ? 2 * SLOT_SIZE : SLOT_SIZE;
    instructions.push(code.subarray(from, from + size));
    from += size;
  }
  return instructions;
}

/** One of each, one after the other. */
function combinations(choices: readonly (readonly Uint8Array[])[]): Uint8Array[] {
  return choices.reduce<Uint8Array[]>(
    (heads, each) => heads.flatMap((head) => each.map((slot) => new Uint8Array([...head, ...slot]))),
    [new Uint8Array(0)],
  );
}

/** Offsets into the context, as programs see it, that are tried. */
const CONTEXT_BYTES = 256;
const ANY_LOAD = { sizes: [SIZE.W, SIZE.DW, SIZE.H, SIZE.B], step: 1 } as const;
/** Most fields of the contexts are aligned and of 32 bits. */
const WORD_LOAD = { sizes: [SIZE.W], step: 4 } as const;
type Loads = typeof ANY_LOAD | typeof WORD_LOAD;
/** BPF_TAIL_CALL, what the kernel makes of helper 12. */
const TAIL_CALL = 0xf5;

function possibleInstructions(slot: Uint8Array, { sizes, step }: Loads, little: boolean): Uint8Array[] {
  const opcode = slot[0] ?? 0;
  const variants = [slot];
  const add = (change: (slots: InstructionSlots) => void) => {
    const copy = new Uint8Array(slot);
    change(new InstructionSlots(copy, little));
    variants.push(copy);
  };
  if ((opcode & CLASS_MASK) === CLASS.LDX) {
    for (const size of sizes) {
      for (let offset = 0; offset < CONTEXT_BYTES; offset += step) {
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
