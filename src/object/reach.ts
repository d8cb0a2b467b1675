// Which subprograms a program pulls in, and what all of that code uses together.
import type { CodeUses } from './code.ts';

export interface Reach {
  /** Places in `BpfObject.functions`, without the program itself, in the order libbpf appends them: at first call, depth first. */
  readonly subprograms: readonly number[];
  /** As in `CodeUses`, over the program and its subprograms, the program's first. */
  readonly helpers: readonly number[];
  readonly externs: readonly number[];
  readonly maps: readonly number[];
}

/** Thousands of programs that share thousands of subprograms cost their product: this many visits are made for an object. */
export const REACH_BUDGET = 1 << 20;

export interface Budget {
  left: number;
}

/** `undefined` when the budget is used up. */
export function reachOf(start: number, uses: readonly CodeUses[], budget: Budget): Reach | undefined {
  const helpers = new Set<number>();
  const externs = new Set<number>();
  const maps = new Set<number>();
  const placed = new Set([start]);
  const stack: { readonly uses: CodeUses; next: number }[] = [];
  const enter = (index: number) => {
    const own = uses[index];
    if (own === undefined) return;
    for (const helper of own.helpers) helpers.add(helper);
    for (const extern of own.externs) externs.add(extern);
    for (const map of own.maps) maps.add(map);
    budget.left -= 1 + own.helpers.length + own.externs.length + own.maps.length;
    stack.push({ uses: own, next: 0 });
  };
  enter(start);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (--budget.left < 0) return undefined;
    const call = top.uses.calls[top.next++];
    if (call === undefined) {
      stack.pop();
    } else if (!placed.has(call.function)) {
      placed.add(call.function);
      enter(call.function);
    }
  }
  placed.delete(start);
  return { subprograms: [...placed], helpers: [...helpers], externs: [...externs], maps: [...maps] };
}
