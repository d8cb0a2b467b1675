// Keeps the words about one object in proportion to it: a million records may name the same long string.
import type { DiagnosticLog } from '../elf/log.ts';

/** Characters of names and source text for each byte of the object; real ones take fewer than two. */
const PER_BYTE = 4;
const AT_LEAST = 1 << 23;
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

  get isSpent(): boolean {
    return this.#used > this.#limit;
  }

  /** `text`, or only its beginning when too much has been said. */
  take(text: string): string {
    if (!this.isSpent) {
      this.spend(text.length);
      return text;
    }
    // Joined from characters, since a slice would keep the whole string in memory.
    return text.length > STUB ? `${text.slice(0, STUB).split('').join('')}…` : text;
  }

  spend(characters: number): void {
    if (this.isSpent) return;
    this.#used += characters;
    if (!this.isSpent) return;
    const message = `its records name more than ${this.#limit} characters: the rest is cut short`;
    this.#log.warn('text-allowance', 'object', message);
  }
}
