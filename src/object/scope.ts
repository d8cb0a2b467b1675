// Which part of an object is asked for: all of it, or one function with everything it reaches.
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';

export interface Scope {
  hasFunction(index: number): boolean;
  hasMap(index: number): boolean;
  hasExtern(index: number): boolean;
}

export const EVERYTHING: Scope = { hasFunction: () => true, hasMap: () => true, hasExtern: () => true };

/** The programs and subprograms of this name, what they call, and the maps and externs that all of those refer to. */
export function scopeOf({ functions, uses }: BpfObject, name: string): Scope {
  const reached = new Set<number>();
  const waiting = functionsNamed(functions, name).map(({ index }) => index);
  for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
    if (reached.has(index)) continue;
    reached.add(index);
    for (const call of uses[index]?.calls ?? []) waiting.push(call.function);
  }
  const maps = new Set([...reached].flatMap((index) => uses[index]?.maps ?? []));
  const externs = new Set([...reached].flatMap((index) => uses[index]?.externs ?? []));
  return {
    hasFunction: (index) => reached.has(index),
    hasMap: (index) => maps.has(index),
    hasExtern: (index) => externs.has(index),
  };
}

function functionsNamed(functions: readonly BpfFunction[], name: string): BpfFunction[] {
  return functions.filter((each) => each.name === name);
}
