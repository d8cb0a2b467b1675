// What only the application decides: which of its maps libbpf shall not create. A reference to such a map is poisoned, and the
// tag becomes another (libbpf-tools switch off `heap` where ring buffers exist).

import { InstructionSlots } from '../insn/slots.ts';
import type { BpfMap } from '../object/maps.ts';
import type { LinkedCode } from './loader.ts';
import { poisonMap } from './relocate.ts';

/** So many sets of maps are tried for one program, the whole included. */
const MAX_VARIANTS = 64;

/**
 * Sets of maps that may be switched off, likelier first: one map, then two, and so on, the last ones defined first, for fallbacks
 * are added later. Data and kconfig maps are always created. The empty set is not among them.
 */
export function mapSubsets(linked: LinkedCode, maps: readonly BpfMap[]): number[][] {
  const used = new Set(linked.maps.map(({ map }) => map));
  const switchable = [...used].filter((map) => {
    const origin = maps[map]?.origin;
    return origin === 'defined' || origin === 'legacy';
  });
  switchable.sort((a, b) => b - a);
  const subsets: number[][] = [];
  for (let size = 1; size <= switchable.length && subsets.length < MAX_VARIANTS - 1; size++) {
    choose(switchable, size, MAX_VARIANTS - 1 - subsets.length, subsets);
  }
  return subsets;
}

/** The code with the references to these maps poisoned. */
export function withoutMaps({ code, little, maps }: LinkedCode, off: readonly number[]): Uint8Array {
  const slots = new InstructionSlots(code.slice(), little);
  for (const reference of maps) if (off.includes(reference.map)) poisonMap(slots, reference);
  return slots.bytes;
}

/** Appends at most `limit` combinations of `size` items, in the order of the items. */
function choose(items: readonly number[], size: number, limit: number, into: number[][]): void {
  const end = into.length + limit;
  const chosen: number[] = [];
  const extend = (from: number): void => {
    if (into.length >= end) return;
    if (chosen.length === size) {
      into.push([...chosen]);
      return;
    }
    for (let at = from; at <= items.length - (size - chosen.length) && into.length < end; at++) {
      chosen.push(items[at] ?? 0);
      extend(at + 1);
      chosen.pop();
    }
  };
  extend(0);
}
