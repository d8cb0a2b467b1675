// The loader programs of light skeletons in a source: where they begin is known, where they end follows from their jumps.
// Reads forward only, for memory may begin right before a loader. What a loader does is not asked here.

import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { Closure } from '../insn/closure.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { growForward, type RunBudget, readRun } from './runs.ts';
import { isSkeletonPrologue, PROLOGUE_SLOTS, type SkeletonScript } from './skeleton-loader.ts';
import type { SkeletonWork } from './skeleton-work.ts';

export interface FoundLoader {
  /** Bytes from the start of the source. */
  readonly offset: number;
  /** Memory of its own. */
  readonly slots: InstructionSlots;
}

/** With what it does. */
export interface ScriptedLoader {
  readonly loader: FoundLoader;
  readonly script: SkeletonScript;
}

/** Bytes that are read of a loader first: real ones take some thousands, false ones end soon. */
const FIRST_READ = 512;
/** The kernel takes a million instructions; the largest loaders, of 32 programs and 64 maps, take some ten thousand. */
const MOST_BYTES = (1 << 17) * SLOT_SIZE;
/** What it costs to look at a prologue at all. */
const LOOK_SLOTS = 16;

/** Gives every loader once. */
export class LoaderFinder {
  readonly #reader: Reader;
  readonly #budget: RunBudget;
  readonly #work: SkeletonWork;
  /** By byte order and alignment: up to where all loaders have been given. */
  readonly #ends = { little: new Array<number>(SLOT_SIZE).fill(0), big: new Array<number>(SLOT_SIZE).fill(0) };

  constructor(reader: Reader, budget: RunBudget, work: SkeletonWork) {
    this.#reader = reader;
    this.#budget = budget;
    this.#work = work;
  }

  /**
   * The loaders in the valid instructions that begin at `prologue`, when the first of them is one and was not given already.
   * Prologues ascend.
   */
  loadersFrom(prologue: number): FoundLoader[] {
    const budget = this.#budget;
    if (budget.slots <= 0) {
      budget.limited = true;
      return [];
    }
    budget.slots -= LOOK_SLOTS;
    const little = this.#orderAt(prologue);
    if (little === undefined) return [];
    const ends = this.#ends[little ? 'little' : 'big'];
    const phase = prologue % SLOT_SIZE;
    if (prologue < (ends[phase] as number)) return [];
    const code = this.#readCode(prologue, little);
    budget.slots -= code.length / SLOT_SIZE;
    ends[phase] = prologue + code.length;
    return this.#loadersIn(code, prologue, little);
  }

  /** Whether the prologue at `offset` is little-endian, when a whole one stands there. */
  #orderAt(offset: number): boolean | undefined {
    const bytes = readAt(this.#reader, offset, PROLOGUE_SLOTS * SLOT_SIZE);
    return [true, false].find((little) => isSkeletonPrologue(new InstructionSlots(bytes, little), 0));
  }

  /** From `offset` on, as far as all is valid. */
  #readCode(offset: number, little: boolean): Uint8Array {
    for (let size = FIRST_READ; ; size *= 8) {
      const bytes = readAt(this.#reader, offset, size);
      const length = growForward(viewOf(bytes), 0, little);
      const isOpen = bytes.length === size && length > size - 2 * SLOT_SIZE;
      if (isOpen && size < MOST_BYTES) continue;
      this.#budget.limited ||= isOpen;
      return bytes.slice(0, length);
    }
  }

  #loadersIn(code: Uint8Array, offset: number, little: boolean): FoundLoader[] {
    const { slots, kinds } = readRun(code, little);
    const closure = new Closure(slots, kinds);
    const loaders: FoundLoader[] = [];
    for (let slot = 0; slot < slots.count; slot++) {
      if (!isSkeletonPrologue(slots, slot)) continue;
      const count = closure.lengthFrom(slot, this.#work);
      if (count === 0) continue;
      if (this.#work.loaders-- <= 0) {
        this.#work.limited = true;
        break;
      }
      const bytes = code.slice(slot * SLOT_SIZE, (slot + count) * SLOT_SIZE);
      loaders.push({ offset: offset + slot * SLOT_SIZE, slots: new InstructionSlots(bytes, little) });
      slot += count - 1;
    }
    return loaders;
  }
}
