// Which subprograms a program pulls in, and what all of that code uses together.
import type { DiagnosticLog } from '../elf/log.ts';
import type { CodeUses } from './code.ts';
import type { BpfProgram } from './programs.ts';

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

interface Budget {
  left: number;
}

/** What each program needs, by its place in `BpfObject.functions`. Those that the budget does not cover are absent. */
export function readReach(
  programs: readonly BpfProgram[],
  uses: readonly CodeUses[],
  log: DiagnosticLog,
): Map<number, Reach> {
  const budget = { left: REACH_BUDGET };
  const reach = new Map<number, Reach>();
  for (const { index } of programs) {
    const reached = reachOf(index, uses, budget);
    if (reached) reach.set(index, reached);
  }
  if (reach.size < programs.length) {
    const message = `calls of ${reach.size} of ${programs.length} programs followed: more than ${REACH_BUDGET} steps`;
    log.warn('reach-budget', 'programs', message);
  }
  return reach;
}

function reachOf(start: number, uses: readonly CodeUses[], budget: Budget): Reach | undefined {
  const own = uses[start];
  if (own?.calls.length === 0) return alone(own);
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

function alone({ helpers, externs, maps, tailCallMaps }: CodeUses): Reach {
  return { subprograms: [], helpers, externs, maps, tailCallMaps };
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
