// Types by name: hash chains over the bytes of the string table, two words a type and no strings.
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const UNDERSCORE = 0x5f;
/** Longer names are told apart by their first bytes alone, so that no input makes hashing slow. */
const MAX_HASHED = 128;
const encoder = new TextEncoder();

/** Types whose names differ only in a flavor suffix (`foo`, `foo___v2`) share a chain: see `hashStem`. */
export class NameIndex {
  readonly #heads: Uint32Array;
  readonly #next: Uint32Array;
  readonly #firstId: number;

  /** `hashOf` gives the `hashStem` of a type's name; types for which it is 0 are left out. */
  constructor(firstId: number, count: number, hashOf: (id: number) => number) {
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(16, count)));
    this.#heads = new Uint32Array(buckets);
    this.#next = new Uint32Array(count + 1);
    this.#firstId = firstId;
    // Backwards, so that every chain ascends.
    for (let index = count; index > 0; index--) {
      const hash = hashOf(firstId + index - 1);
      if (hash === 0) continue;
      const bucket = hash & (buckets - 1);
      this.#next[index] = this.#heads[bucket] ?? 0;
      this.#heads[bucket] = index;
    }
  }

  /** Ids, ascending, of all types whose name has the stem of `name`, and of a few that merely share its hash. */
  candidates(name: string): number[] {
    const bucket = hashStem(encoder.encode(name), 0) & (this.#heads.length - 1);
    const ids: number[] = [];
    for (let index = this.#heads[bucket] ?? 0; index !== 0; index = this.#next[index] ?? 0) {
      ids.push(this.#firstId + index - 1);
    }
    return ids;
  }
}

/**
 * FNV-1a over the stem of the name at `start`: what stands before the first `___` that follows another character,
 * and so before the flavor by any loader's definition. 0 for an empty name or one outside the table.
 */
export function hashStem(strings: Uint8Array, start: number): number {
  if (!strings[start]) return 0;
  let hash = FNV_OFFSET;
  let previous = UNDERSCORE;
  for (let at = start; at < start + MAX_HASHED; at++) {
    const byte = strings[at];
    if (!byte) break;
    if (byte === UNDERSCORE && previous !== UNDERSCORE) {
      if (strings[at + 1] === UNDERSCORE && strings[at + 2] === UNDERSCORE) break;
    }
    hash = Math.imul(hash ^ byte, FNV_PRIME);
    previous = byte;
  }
  return (hash ^ (hash >>> 15)) >>> 0 || 1;
}
