// Strings out of one table, each decoded once, and in all never much more than the table holds.
import { cstring } from '../bytes/cstring.ts';
import { FormatError, hex } from '../diagnostics.ts';

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
   * The string at `at`, cut after 4096 bytes. Offset 0 is the empty string even in an empty table.
   * @throws FormatError `string-offset` outside the table, `string-overlap` when the strings share too many bytes.
   */
  at(at: number): string {
    if (at === 0 && this.#bytes.length === 0) return '';
    const known = this.#known.get(at);
    if (known !== undefined) return known;
    if (this.#budget < 0) {
      const message = `strings of a table of ${hex(this.#bytes.length)} bytes overlap to more than ${SHARING} times that`;
      throw new FormatError('string-overlap', at, message);
    }
    const window = at < this.#bytes.length ? this.#bytes.subarray(0, at + MAX_STRING) : this.#bytes;
    const text = cstring(window, at);
    this.#known.set(at, text);
    this.#budget -= text.length;
    return text;
  }
}
