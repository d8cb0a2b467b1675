// Strings out of one table, each decoded once, and in all never much more than the table holds.
import { cstring } from '../bytes/cstring.ts';
import { hex } from '../diagnostics.ts';

/** Mangled names stay far below. */
const MAX_STRING = 4096;
/** Suffix sharing makes all names of an honest table together longer than the table, though never by much. */
const SHARING = 16;
const SMALLEST_BUDGET = 1 << 16;

/**
 * A string table that stays linear for any offsets: a table without NULs, and an offset to every byte of it,
 * would otherwise decode to the square of its size.
 */
export class StringTable {
  readonly #bytes: Uint8Array;
  readonly #known = new Map<number, string>();
  #budget: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#budget = Math.max(SMALLEST_BUDGET, bytes.length * SHARING);
  }

  /**
   * The string at `at`, cut after 4096 bytes; `undefined` outside the table, and when the strings share too many bytes.
   * Offset 0 is the empty string even in an empty table. Throws nothing: a million errors would take seconds.
   */
  at(at: number): string | undefined {
    if (at === 0 && this.#bytes.length === 0) return '';
    const known = this.#known.get(at);
    if (known !== undefined || this.#budget < 0 || at >= this.#bytes.length) return known;
    const text = cstring(this.#bytes.subarray(0, at + MAX_STRING), at);
    this.#known.set(at, text);
    this.#budget -= text.length;
    return text;
  }

  /** Why there is no string at `at`: a diagnostic code and a message. */
  problem(at: number): readonly [code: string, message: string] {
    const size = `table of ${hex(this.#bytes.length)} bytes`;
    if (at >= this.#bytes.length) return ['string-offset', `string at ${hex(at)} lies outside its ${size}`];
    return ['string-overlap', `string at ${hex(at)}: those of a ${size} overlap to more than ${SHARING} times that`];
  }
}
