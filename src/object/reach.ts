// Which subprograms a program pulls in, and what all of that code uses together.
import type { CodeUses } from './code.ts';

export interface Reach {
  /** Places in `BpfObject.functions`, without the program itself, in the order libbpf appends them: at first call, depth first. */
  readonly subprograms: readonly number[];
  /** As in `CodeUses`, over the program and its subprograms, the program's first. */
  readonly helpers: readonly number[];
  readonly externs: readonly number[];
  readonly maps: readonly number[];
  readonly tailCallMaps: readonly number[];
}

/** Thousands of programs that share thousands of subprograms cost their product: this many visits are made for an object. */
export const REACH_BUDGET = 1 << 20;

export interface Budget {
  left: number;
}

/** What the program at `start` of `BpfObject.functions` needs; `undefined` when the budget is used up. */
export function reachOf(start: number, uses: readonly CodeUses[], budget: Budget): Reach | undefined {
  const placed = linkOrder(start, uses, budget);
  if (placed === undefined) return undefined;
  const all = [...placed].flatMap((index) => uses[index] ?? []);
  const union = (pick: (each: CodeUses) => readonly number[]) => [...new Set(all.flatMap(pick))];
  placed.delete(start);
  return {
    subprograms: [...placed],
    helpers: union(({ helpers }) => helpers),
    externs: union(({ externs }) => externs),
    maps: union(({ maps }) => maps),
    tailCallMaps: union(({ tailCallMaps }) => tailCallMaps),
  };
}

function linkOrder(start: number, uses: readonly CodeUses[], budget: Budget): Set<number> | undefined {
  const placed = new Set([start]);
  const stack: { readonly index: number; next: number }[] = [{ index: start, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const own = uses[top.index];
    if (top.next === 0)
      budget.left -= own === undefined ? 0 : own.helpers.length + own.externs.length + own.maps.length;
    if (--budget.left < 0) return undefined;
    const call = own?.calls[top.next++];
    if (call === undefined) {
      stack.pop();
    } else if (!placed.has(call.function)) {
      placed.add(call.function);
      stack.push({ index: call.function, next: 0 });
    }
  }
  return placed;
}
