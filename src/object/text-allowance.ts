// Keeps the words about one object in proportion to it: a million records may name the same long string.
import type { DiagnosticLog } from '../elf/log.ts';

/** Characters of names and source text for each byte of the object; real ones take fewer than two. */
const PER_BYTE = 16;
const AT_LEAST = 1 << 24;
/** What is left of a text once the allowance is spent. */
const STUB = 40;

export class TextAllowance {
  readonly #log: DiagnosticLog;
  readonly #limit: number;
  #used = 0;

  constructor(size: number, log: DiagnosticLog) {
    this.#log = log;
    this.#limit = Math.max(AT_LEAST, size * PER_BYTE);
  }

  /** `text`, or only its beginning when too much has been said. */
  take(text: string): string {
    if (this.#used <= this.#limit) {
      this.#used += text.length;
      if (this.#used > this.#limit) {
        const message = `its records name more than ${this.#limit} characters: longer names are cut from here on`;
        this.#log.warn('text-allowance', 'object', message);
      }
      return text;
    }
    return text.length > STUB ? `${text.slice(0, STUB)}…` : text;
  }
}
