// Arrays that lost the only slots that told their program from another one: given where they must be of both, else not at all.
// Knows places and programs of one process; finds nothing itself.
import type { FreedPlace, FreedProgram } from './freed.ts';
import type { ProvenArray } from './tag-search.ts';

/**
 * The arrays at freed `places` of one process that are proof: those that can be of one program only, and those of programs that
 * are equal but for the lost slots, when there are as many such places as programs without an array. `programs`: all that the
 * process may have loaded, each one an entry, those that share a tag too; `intact`: arrays found as they were loaded.
 */
export function proofsAmong(
  places: readonly FreedPlace[],
  programs: readonly FreedProgram[],
  intact: readonly ProvenArray[],
): ProvenArray[] {
  const loaded = countByTag(programs);
  const kept = countByTag(intact);
  const lacking = (tag: string) => Math.max(0, (loaded.get(tag) ?? 1) - (kept.get(tag) ?? 0));
  return places.flatMap(({ arrays }) => {
    if (arrays.length < 2) return arrays;
    const tags = new Set(arrays.map(({ tag }) => tag));
    const alike = places.filter((other) => other.arrays.some(({ tag }) => tags.has(tag)));
    const without = [...tags].reduce((sum, tag) => sum + lacking(tag), 0);
    if (alike.length !== without) return [];
    const assumptions = [
      `each of the ${tags.size} programs that differ only in the overwritten instructions has an array of its own here`,
    ];
    return arrays.filter(({ tag }) => lacking(tag) > 0).map((array) => ({ ...array, assumptions }));
  });
}

function countByTag(entries: readonly { readonly tag: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { tag } of entries) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return counts;
}
