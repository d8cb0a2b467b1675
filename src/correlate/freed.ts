// Finds instruction arrays that were freed: malloc writes its own pointers over the first bytes of a chunk and leaves the rest.
// The slots that are lost are taken from what the kernel runs; the tag still decides.
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { type Run, RunFinder, readRun } from '../carve/runs.ts';
import { Closure } from '../insn/closure.ts';
import { HELPERS } from '../insn/helpers.ts';
import { CALL, CLASS, CLASS_MASK, MODE, OPCODE, SIZE } from '../insn/opcodes.ts';
import { isValidCode, judgeSlot, SLOT } from '../insn/slot-rules.ts';
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
  type TagSearchOptions,
} from './tag-search.ts';

/** What the kernel still shows of a program whose array was freed. */
export interface FreedProgram {
  readonly tag: string;
  /** Its translated instructions, all of them. */
  readonly xlated: Uint8Array;
}

/** Where an array lies whose first slots are lost. */
export interface FreedPlace {
  /** What it may have been, an array for each tag: where the lost slots are all that tells programs apart, it is several. */
  readonly arrays: readonly ProvenArray[];
}

export interface FreedSearch {
  readonly places: readonly FreedPlace[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
}

export interface FreedSearchOptions extends TagSearchOptions {
  /** Other programs that the array of a place may have been as well; with none of `programs` they are not looked for. */
  readonly rivals?: readonly FreedProgram[];
}

/**
 * How many slots there may be from the first one to the last that is no instruction. free() of glibc writes one pointer in chunks of fast bins, two in all others,
 * and in chunks from MIN_LARGE_SIZE (1 KiB) on two more (malloc.c, `struct malloc_chunk`). Where the last one held the first half
 * of a ld_imm64 the second half is none either.
 */
const BROKEN = [2, 1, 3, 4, 5] as const;
/** Slots that are hardly ever kept. */
const LINKS = 2;

/** With fewer slots left the array is the end of so many programs that its tag, with slots from the kernel, proves nothing. */
const LEFT = 4;

/**
 * The arrays around the EXIT slots at `anchors` (ascending) that have the tag of one of the `programs` once their first slots are
 * put back. Only what is no instruction is replaced: an array that is valid from its first slot on is what it is. The kernel has
 * rewritten offsets of loads and numbers of helpers in what it shows, so these are tried through.
 */
export function searchFreed(
  reader: Reader,
  anchors: readonly number[],
  programs: readonly FreedProgram[],
  options: FreedSearchOptions = {},
): FreedSearch {
  const budget = options.budget ?? newTagBudget();
  const little = options.little ?? true;
  const runs = new RunFinder(reader, little, budget);
  const wanted = new Set(programs.map(({ tag }) => tag));
  const sought = lostPrograms(programs, little);
  const rivals = lostPrograms(
    (options.rivals ?? []).filter(({ tag }) => !wanted.has(tag)),
    little,
  );
  const places: FreedPlace[] = [];
  for (const anchor of anchors) {
    const run = runs.runAt(anchor);
    if (run === undefined || run.kinds.length > REPAIRED_SLOTS) continue;
    const present = new Set(arithmeticOf(run.slots));
    const repairsOf = (candidates: readonly LostProgram[]) =>
      candidates
        .filter((program) => resembles(program, present, budget))
        .flatMap((program) => repairRun(reader, run, program, budget) ?? []);
    const arrays = repairsOf(sought);
    if (arrays.length > 0) arrays.push(...repairsOf(rivals));
    // Without time for all programs it is not known whether one alone fits.
    if (budget.limited) break;
    if (arrays.length > 0) places.push({ arrays });
  }
  return { places, limited: budget.limited };
}

interface LostProgram {
  readonly tag: string;
  /** As the kernel shows them. */
  readonly xlated: Uint8Array;
  readonly arithmetic: readonly bigint[];
}

/** Each tag once. */
function lostPrograms(programs: readonly FreedProgram[], little: boolean): LostProgram[] {
  const byTag = new Map(programs.map((program) => [program.tag, program]));
  return [...byTag.values()].map(({ tag, xlated }) => {
    const behind = new InstructionSlots(xlated.subarray(LINKS * SLOT_SIZE), little);
    return { tag, xlated, arithmetic: [...new Set(arithmeticOf(behind))].slice(0, COMPARED_SLOTS) };
  });
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

function repairRun(reader: Reader, run: Run, { tag, xlated }: LostProgram, budget: TagBudget): ProvenArray | undefined {
  const { little } = run.slots;
  const headOf = (slots: number) => normaliseCode(xlated.subarray(0, slots * SLOT_SIZE), little);
  for (const broken of BROKEN) {
    const size = broken * SLOT_SIZE;
    const offset = run.offset - size;
    if (offset < 0 || xlated.length < Math.max(broken, LINKS) * SLOT_SIZE) continue;
    const code = readAt(reader, offset, size + run.slots.bytes.length);
    if (code.length < size || !isOverwritten(code.subarray(0, size), little)) continue;
    if (!spend(budget, code.length)) return undefined;
    // The second link, a random number, may look like an instruction, but hardly like one that fits in.
    const isKept = broken >= LINKS || fits(withHead(code, headOf(broken)), little);
    const array = repair(code, headOf(isKept ? broken : LINKS), tag, little, offset, budget);
    if (array !== undefined) return array;
  }
  return undefined;
}

function fits(whole: Uint8Array, little: boolean): boolean {
  const count = closedLength(whole, little);
  whole.fill(0);
  return count > 0;
}

function withHead(code: Uint8Array, head: Uint8Array): Uint8Array {
  const whole = code.slice();
  whole.set(head);
  return whole;
}

/** Links of free chunks are hardly ever instructions; what nobody wrote over always is. */
function isOverwritten(lost: Uint8Array, little: boolean): boolean {
  const view = viewOf(lost);
  for (let at = 0; at < lost.length; at += SLOT_SIZE) {
    if (judgeSlot(view, at, little) === SLOT.INVALID) return true;
  }
  return false;
}

/** `head`: the first slots as the kernel shows them, normalised. */
function repair(
  broken: Uint8Array,
  head: Uint8Array,
  tag: string,
  little: boolean,
  offset: number,
  budget: TagBudget,
): ProvenArray | undefined {
  const least = head.length / SLOT_SIZE + LEFT;
  if (broken.length < least * SLOT_SIZE || !spend(budget, broken.length)) return undefined;
  const code = withHead(broken, head);
  const count = closedLength(code, little);
  if (count < least) return undefined;
  const normal = normaliseCode(code.subarray(0, count * SLOT_SIZE), little);
  try {
    // Numbers of maps were zeroed together with the rest; heads come normalised.
    for (const possible of possibleHeads(head, little)) {
      normal.set(possible);
      const match = matchTag(normal, new Set([tag]), budget);
      if (match === undefined) continue;
      const whole = withHead(code.subarray(0, count * SLOT_SIZE), possible);
      const mapFds = mapFdsOf(new InstructionSlots(whole.subarray(head.length), little));
      return { ...describeProven(whole, little, offset, tag, match.algorithm), mapFds, repaired: true };
    }
    return undefined;
  } finally {
    // Whoever searches our memory at the same time would take it for the array.
    normal.fill(0);
    code.fill(0);
  }
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
