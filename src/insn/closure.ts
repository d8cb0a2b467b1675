// Which stretches of a run of valid slots could be whole programs: those that control enters at their first slot, never leaves,
// and reaches everywhere, as the kernel demands (check_cfg). All starts of a run are answered in one linear pass.
import { OPCODE } from './opcodes.ts';
import { SLOT } from './slot-rules.ts';
import type { InstructionSlots } from './slots.ts';

const NEVER = -1;
const EVERYWHERE = 0x7fff_ffff;

/**
 * The flow of control in a run. The start of a program fixes its length: it ends behind the first slot that does not fall
 * through and past which nothing in between jumps.
 */
export class Closure {
  readonly #kinds: Uint8Array;
  /** Where a jump, branch, subprogram call or function address leads; NEVER for everything else. */
  readonly targets: Int32Array;
  /** Last slot of what begins here, or NEVER. */
  readonly #last: Int32Array;
  /** The lowest slot that anything from here to `#last` leads to. */
  readonly #lowest: Int32Array;
  /** Over the slots up to `#last` that nothing falls into: the lowest of the nearest jumps, from before, that lead there. */
  readonly #entered: Int32Array;

  /** `kinds`: as `judgeSlot` gives them, all of them valid, halves of ld_imm64 in pairs. */
  constructor(slots: InstructionSlots, kinds: Uint8Array) {
    const count = kinds.length;
    this.#kinds = kinds;
    this.targets = findTargets(slots, kinds);
    this.#last = new Int32Array(count);
    this.#lowest = new Int32Array(count);
    this.#entered = new Int32Array(count);
    this.#close(nearestJumps(this.targets));
  }

  /**
   * Slots of the program that begins at `start`, or 0 when none does. Most answers take no time; where a slot is entered
   * only from behind, the walk takes steps, which are taken from `budget`: when it is used up the answer is 0.
   */
  lengthFrom(start: number, budget: { steps: number }): number {
    const last = this.#last[start] ?? NEVER;
    if (last === NEVER || this.#kinds[start] === SLOT.SECOND || (this.#lowest[start] as number) < start) return 0;
    const count = last + 1 - start;
    if ((this.#entered[start] as number) >= start) return count;
    if (budget.steps < count) {
      budget.steps = 0;
      return 0;
    }
    budget.steps -= count;
    return this.#reaches(start, count) ? count : 0;
  }

  /** Right to left: what begins at a slot is that slot and as many of the closed stretches behind it as it leads to. */
  #close(jumps: Int32Array): void {
    const kinds = this.#kinds;
    const count = kinds.length;
    for (let slot = count - 1; slot >= 0; slot--) {
      const kind = kinds[slot] as number;
      const target = this.targets[slot] as number;
      const isBroken = target !== NEVER && (target >= count || kinds[target] === SLOT.SECOND || target < 0);
      let wanted = fallsThrough(kind) ? slot + 1 : slot;
      if (target > wanted) wanted = target;
      let lowest = target === NEVER ? slot : Math.min(slot, target);
      let entered = EVERYWHERE;
      let last = isBroken ? NEVER : slot;
      while (last !== NEVER && last < wanted) {
        const next = last + 1;
        if (next >= count || this.#last[next] === NEVER) {
          last = NEVER;
          break;
        }
        if (!fallsThrough(kinds[last] as number)) entered = Math.min(entered, jumps[next] as number);
        entered = Math.min(entered, this.#entered[next] as number);
        lowest = Math.min(lowest, this.#lowest[next] as number);
        last = this.#last[next] as number;
      }
      this.#last[slot] = last;
      this.#lowest[slot] = lowest;
      this.#entered[slot] = entered;
    }
  }

  #reaches(start: number, count: number): boolean {
    const seen = new Uint8Array(count);
    const open = [start];
    let reached = 0;
    for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
      while (seen[slot - start] === 0) {
        seen[slot - start] = 1;
        reached++;
        const target = this.targets[slot] as number;
        if (target !== NEVER && seen[target - start] === 0) open.push(target);
        if (!fallsThrough(this.#kinds[slot] as number)) break;
        slot++;
      }
    }
    return reached === count;
  }
}

export function fallsThrough(kind: number): boolean {
  return kind !== SLOT.EXIT && kind !== SLOT.JUMP;
}

/** Targets before the run are -2, so that they are told from slots that lead nowhere. */
function findTargets(slots: InstructionSlots, kinds: Uint8Array): Int32Array {
  const targets = new Int32Array(kinds.length).fill(NEVER);
  for (let slot = 0; slot < kinds.length; slot++) {
    const kind = kinds[slot];
    if (kind === SLOT.JUMP || kind === SLOT.BRANCH) {
      const distance = slots.opcode(slot) === OPCODE.GOTOL ? slots.imm(slot) : slots.offset(slot);
      targets[slot] = inside(slot + 1 + distance);
    } else if (kind === SLOT.SUBPROGRAM || kind === SLOT.FUNCTION) {
      targets[slot] = inside(slot + 1 + slots.imm(slot));
    }
  }
  return targets;
}

function inside(target: number): number {
  return target < 0 ? -2 : Math.min(target, EVERYWHERE);
}

/** For every slot the nearest slot before it that jumps to it, or NEVER. */
function nearestJumps(targets: Int32Array): Int32Array {
  const jumps = new Int32Array(targets.length).fill(NEVER);
  for (let slot = 0; slot < targets.length; slot++) {
    const target = targets[slot] as number;
    if (target > slot && target < targets.length) jumps[target] = slot;
  }
  return jumps;
}
