// Finds the instruction arrays whose hash is a tag of the running kernel: proof that these bytes are what was loaded.
// Asks nothing of the code but that control stays inside it; the hash decides.
import { createHash } from 'node:crypto';
import type { Reader } from '../bytes/reader.ts';
import { newRunBudget, type Run, type RunBudget, RunFinder } from '../carve/runs.ts';
import { Closure } from '../insn/closure.ts';
import { ENTRY, liveRegisters, mayEnter } from '../insn/dataflow.ts';
import { OPCODE, PSEUDO } from '../insn/opcodes.ts';
import { SLOT } from '../insn/slot-rules.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { normaliseCode, type TagAlgorithm } from '../link/tag.ts';

export interface ProvenArray {
  /** Bytes from the start of the source. */
  readonly offset: number;
  readonly slots: number;
  readonly tag: string;
  readonly algorithm: TagAlgorithm;
  /** What its map references hold, each once: file descriptors of the process that loaded it. */
  readonly mapFds: readonly number[];
  /** Too short to tell whose it is: the same bytes are the end of nearly every program. */
  readonly identical?: true;
  /** The first slots were overwritten, and are taken from what the kernel runs: see `freed.ts`. */
  readonly repaired?: true;
  /** What had to be assumed for it to be this program's: see `siblings.ts`. */
  readonly assumptions?: readonly string[];
  /** The bytes as they were loaded, file descriptors included. */
  readonly code: Uint8Array;
}

export interface TagSearch {
  readonly arrays: readonly ProvenArray[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
}

export interface TagSearchOptions {
  /** Byte order of the machine. Default: little. */
  readonly little?: boolean;
  /** Try every pair of a start and an end in runs where nothing else matched: for code that no verifier of today would take. */
  readonly exhaustive?: boolean;
  readonly budget?: TagBudget;
}

/** What the searches of one source may cost; shared and spent. */
export interface TagBudget extends RunBudget {
  /** Bytes that may still be hashed, each algorithm counted. */
  hashed: number;
}

/** Seconds of hashing. */
const HASHED = 1 << 29;
const IDENTICAL_SLOTS = 3;
const WALK_FACTOR = 32;
const EXHAUSTIVE_SLOTS = 2000;
const ALGORITHMS = ['sha256', 'sha1'] as const satisfies readonly TagAlgorithm[];
const TAG_DIGITS = 16;
/** What starting a hash costs, in bytes of hashing. */
const HASH_COST = 512;

export function newTagBudget(): TagBudget {
  return { ...newRunBudget(), hashed: HASHED };
}

/** The arrays around the EXIT slots at `anchors` (ascending) that have one of the `wanted` tags, 16 hexadecimal digits each. */
export function searchTags(
  reader: Reader,
  anchors: readonly number[],
  wanted: ReadonlySet<string>,
  options: TagSearchOptions = {},
): TagSearch {
  const budget = options.budget ?? newTagBudget();
  const runs = new RunFinder(reader, options.little ?? true, budget);
  const arrays: ProvenArray[] = [];
  for (const anchor of anchors) {
    const run = runs.runAt(anchor);
    if (run === undefined) continue;
    const hasher = new RunHasher(run, wanted, budget);
    const proven = hasher.closed();
    if (proven.length === 0 && options.exhaustive && run.kinds.length <= EXHAUSTIVE_SLOTS) {
      arrays.push(...hasher.exhaustive());
    } else arrays.push(...proven);
  }
  return { arrays: withoutRepeats(arrays), limited: budget.limited };
}

/** Two slots are the end of so many programs that the first place says it all. */
function withoutRepeats(arrays: readonly ProvenArray[]): ProvenArray[] {
  const seen = new Set<string>();
  return arrays.filter(({ tag, identical }) => {
    if (!identical) return true;
    const isNew = !seen.has(tag);
    seen.add(tag);
    return isNew;
  });
}

class RunHasher {
  readonly #run: Run;
  readonly #wanted: ReadonlySet<string>;
  readonly #budget: TagBudget;
  readonly #normal: Uint8Array;

  constructor(run: Run, wanted: ReadonlySet<string>, budget: TagBudget) {
    this.#run = run;
    this.#wanted = wanted;
    this.#budget = budget;
    // Slots are normalised one by one or in pairs that no start divides, so this serves all of them.
    this.#normal = normaliseCode(run.slots.bytes, run.slots.little);
  }

  /** Starts from which control reaches exactly what lies behind; those that also read only what is set come first. */
  closed(): ProvenArray[] {
    const { slots, kinds } = this.#run;
    const closure = new Closure(slots, kinds);
    const live = liveRegisters(slots, kinds, closure.targets);
    const walk = { steps: WALK_FACTOR * kinds.length };
    const proven: ProvenArray[] = [];
    const covered = new Uint8Array(kinds.length);
    for (const wantPlausible of live === undefined ? [true] : [true, false]) {
      for (let start = 0; start < kinds.length; start++) {
        if (covered[start] === 1) continue;
        if (live !== undefined && mayEnter(live[start] as number, ENTRY.PROGRAM) !== wantPlausible) continue;
        const count = closure.lengthFrom(start, walk);
        const array = count > 0 ? this.#prove(start, count) : undefined;
        if (array === undefined) continue;
        proven.push(array);
        // Every suffix of a program begins another one; what lies in a proven array is explained.
        if (array.identical === undefined) covered.fill(1, start, start + count);
      }
    }
    return withoutNested(proven);
  }

  /** Every start with every end that control does not run past. */
  exhaustive(): ProvenArray[] {
    const { kinds } = this.#run;
    for (let start = 0; start < kinds.length; start++) {
      if (kinds[start] === SLOT.SECOND) continue;
      for (const algorithm of ALGORITHMS) {
        const hash = createHash(algorithm);
        let done = start;
        for (let end = start + 1; end <= kinds.length; end++) {
          const last = kinds[end - 1];
          if (last !== SLOT.EXIT && last !== SLOT.JUMP) continue;
          hash.update(this.#normal.subarray(done * SLOT_SIZE, end * SLOT_SIZE));
          if (!spend(this.#budget, (end - done) * SLOT_SIZE)) return [];
          done = end;
          const tag = hash.copy().digest('hex').slice(0, TAG_DIGITS);
          if (this.#wanted.has(tag)) return [this.#describe(start, end - start, tag, algorithm)];
        }
      }
    }
    return [];
  }

  #prove(start: number, count: number): ProvenArray | undefined {
    const code = this.#normal.subarray(start * SLOT_SIZE, (start + count) * SLOT_SIZE);
    const match = matchTag(code, this.#wanted, this.#budget);
    return match && this.#describe(start, count, match.tag, match.algorithm);
  }

  #describe(start: number, count: number, tag: string, algorithm: TagAlgorithm): ProvenArray {
    const { offset, slots } = this.#run;
    const code = slots.bytes.slice(start * SLOT_SIZE, (start + count) * SLOT_SIZE);
    return describeProven(code, slots.little, offset + start * SLOT_SIZE, tag, algorithm);
  }
}

/** Which of the wanted tags normalised code has; absent too when the budget is used up. */
export function matchTag(
  normal: Uint8Array,
  wanted: ReadonlySet<string>,
  budget: TagBudget,
): { readonly tag: string; readonly algorithm: TagAlgorithm } | undefined {
  for (const algorithm of ALGORITHMS) {
    if (!spend(budget, normal.length)) return undefined;
    const tag = createHash(algorithm).update(normal).digest('hex').slice(0, TAG_DIGITS);
    if (wanted.has(tag)) return { tag, algorithm };
  }
  return undefined;
}

/** Whether so many bytes may still be looked at. */
export function spend(budget: TagBudget, bytes: number): boolean {
  if (budget.hashed <= 0) {
    budget.limited = true;
    return false;
  }
  budget.hashed -= bytes + HASH_COST;
  return true;
}

export function describeProven(
  code: Uint8Array,
  little: boolean,
  offset: number,
  tag: string,
  algorithm: TagAlgorithm,
): ProvenArray {
  const slots = code.length / SLOT_SIZE;
  return {
    offset,
    slots,
    tag,
    algorithm,
    mapFds: mapFdsOf(new InstructionSlots(code, little)),
    ...(slots <= IDENTICAL_SLOTS && { identical: true }),
    code,
  };
}

/** Descriptors of maps that code refers to, each once. */
export function mapFdsOf(slots: InstructionSlots): number[] {
  const fds = new Set<number>();
  for (let slot = 0; slot < slots.count; slot += slots.width(slot)) {
    if (slots.opcode(slot) !== OPCODE.LD_IMM64) continue;
    const src = slots.src(slot);
    if (src === PSEUDO.MAP_FD || src === PSEUDO.MAP_VALUE) fds.add(slots.imm(slot));
  }
  return [...fds];
}

/** In order of offset. */
function withoutNested(arrays: ProvenArray[]): ProvenArray[] {
  let end = 0;
  return arrays
    .sort((a, b) => a.offset - b.offset || b.slots - a.slots)
    .filter((array) => {
      const isNested = array.offset + array.slots * SLOT_SIZE <= end;
      end = Math.max(end, array.offset + array.slots * SLOT_SIZE);
      return !isNested;
    });
}
