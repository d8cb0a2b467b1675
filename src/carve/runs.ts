// Maximal runs of valid BPF slots around the EXIT slots of a source, in one byte order.
// Knows single slots only; what of a run is a program is asked of `insn/closure.ts`.
import { viewOf } from '../bytes/layout.ts';
import type { Reader } from '../bytes/reader.ts';
import { isFirstHalf, judgeSlot, SLOT } from '../insn/slot-rules.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';

export interface Run {
  /** Byte offset of its first slot in the source. */
  readonly offset: number;
  /** Memory of its own. */
  readonly slots: InstructionSlots;
  /** `SLOT` of every slot; halves of ld_imm64 come in pairs. */
  readonly kinds: Uint8Array;
}

/** What the runs of one source may cost. Shared among the searches of a source, and spent by them. */
export interface RunBudget {
  /** Slots that may still be judged. */
  slots: number;
  /** Something was left out because of this limit or that on the length of a run. */
  limited: boolean;
}

/** Enough for 128 MiB of code or a quarter of a million EXIT slots, which takes a second or two. */
const BUDGET_SLOTS = 1 << 24;
/** A large source may have more code: a slot more for so many bytes of it. */
const BYTES_PER_SLOT = 16;
/** Slots on either side of an EXIT: the kernel accepts a million, real programs stay below 64 Ki. */
const REACH_SLOTS = 1 << 17;
/** What it costs to look at an EXIT slot at all. */
const LOOK_SLOTS = 64;
/** Bytes on either side that are read first: most EXIT slots in a source are none, and stand alone. */
const FIRST_REACH = 256;

/** For a source of `bytes`: what grows with it keeps the work linear. */
export function newRunBudget(bytes = 0): RunBudget {
  return { slots: BUDGET_SLOTS + Math.floor(bytes / BYTES_PER_SLOT), limited: false };
}

/** Gives every run once, whichever of its EXIT slots is asked for. */
export class RunFinder {
  readonly #reader: Reader;
  readonly #little: boolean;
  readonly #budget: RunBudget;
  /** Where the last run of each alignment ended. */
  readonly #ends: number[] = new Array(SLOT_SIZE).fill(0);

  constructor(reader: Reader, little: boolean, budget: RunBudget) {
    this.#reader = reader;
    this.#little = little;
    this.#budget = budget;
  }

  /** The run around the EXIT slot at `anchor`, absent when it was given already. Anchors ascend. */
  runAt(anchor: number): Run | undefined {
    const phase = anchor % SLOT_SIZE;
    const floor = this.#ends[phase] as number;
    if (anchor < floor) return undefined;
    if (this.#budget.slots <= 0) {
      this.#budget.limited = true;
      return undefined;
    }
    for (let reach = FIRST_REACH; ; reach *= 8) {
      const low = Math.max(anchor - reach, floor, phase);
      const bytes = new Uint8Array(anchor - low + reach);
      const window = bytes.subarray(0, this.#reader.readInto(bytes, low));
      const at = anchor - low;
      if (window.length < at + SLOT_SIZE) return undefined;
      const view = viewOf(window);
      const from = growBackward(view, at, this.#little);
      const to = growForward(view, at + SLOT_SIZE, this.#little);
      const isOpen = (from < 2 * SLOT_SIZE && low > floor && low > phase) || to > bytes.length - 2 * SLOT_SIZE;
      if (isOpen && reach < REACH_SLOTS * SLOT_SIZE) continue;
      this.#budget.limited ||= isOpen;
      this.#budget.slots -= LOOK_SLOTS + (to - from) / SLOT_SIZE;
      this.#ends[phase] = low + to;
      return { offset: low + from, ...readRun(window.slice(from, to), this.#little) };
    }
  }
}

/** `code` as a run that begins at 0: all its slots must be valid. */
export function readRun(code: Uint8Array, little: boolean): Omit<Run, 'offset'> {
  const slots = new InstructionSlots(code, little);
  const view = viewOf(code);
  const kinds = new Uint8Array(slots.count);
  for (let slot = 0; slot < kinds.length; slot++) kinds[slot] = judgeSlot(view, slot * SLOT_SIZE, little);
  return { slots, kinds };
}

/** The lowest byte from which all is valid up to `at`, where a whole instruction begins. */
function growBackward(view: DataView, at: number, little: boolean): number {
  let from = at;
  while (from >= SLOT_SIZE) {
    const kind = judgeSlot(view, from - SLOT_SIZE, little);
    if (kind === SLOT.SECOND) {
      if (from < 2 * SLOT_SIZE || !isFirstHalf(judgeSlot(view, from - 2 * SLOT_SIZE, little))) break;
      from -= 2 * SLOT_SIZE;
    } else if (kind === SLOT.INVALID || isFirstHalf(kind)) break;
    else from -= SLOT_SIZE;
  }
  return from;
}

/** The end of what is valid from `at` on, where a whole instruction begins. */
export function growForward(view: DataView, at: number, little: boolean): number {
  let to = at;
  while (to + SLOT_SIZE <= view.byteLength) {
    const kind = judgeSlot(view, to, little);
    if (isFirstHalf(kind)) {
      if (to + 2 * SLOT_SIZE > view.byteLength || judgeSlot(view, to + SLOT_SIZE, little) !== SLOT.SECOND) break;
      to += 2 * SLOT_SIZE;
    } else if (kind === SLOT.INVALID || kind === SLOT.SECOND) break;
    else to += SLOT_SIZE;
  }
  return to;
}
