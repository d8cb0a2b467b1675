// Where BTF may begin in a source: the marks of the data of light skeletons that lies far from its loader.
// Every page is looked through once, however many loaders ask. What the BTF says is not asked here.
import { type Reader, readAt } from '../bytes/reader.ts';
import type { SkeletonWork } from './skeleton-work.ts';

const PAGE = 4096;
/** Magic and version. */
const MARK = 3;
/** What it costs to keep one, in steps: it bounds the memory that they take. */
const MARK_STEPS = 4;

/** Whether magic and version 1 stand at `at`, in that byte order. */
export function isBtf(bytes: Uint8Array, at: number, little: boolean): boolean {
  return bytes[at] === (little ? 0x9f : 0xeb) && bytes[at + 1] === (little ? 0xeb : 0x9f) && bytes[at + 2] === 1;
}

/** Offsets of BTF in one byte order, found page by page as they are asked for. */
export class BtfIndex {
  readonly #reader: Reader;
  readonly #little: boolean;
  readonly #work: SkeletonWork;
  readonly #pages = new Map<number, readonly number[]>();

  constructor(reader: Reader, little: boolean, work: SkeletonWork) {
    this.#reader = reader;
    this.#little = little;
    this.#work = work;
  }

  /** From `from` up to `to`, both included. */
  *up(from: number, to: number): Generator<number> {
    for (let page = Math.floor(from / PAGE); page * PAGE <= to && this.#mayGoOn(); page++) {
      for (const at of this.#page(page)) if (at >= from && at <= to) yield at;
    }
  }

  /** From `from` down to `to`, both included. */
  *down(from: number, to: number): Generator<number> {
    for (let page = Math.floor(from / PAGE); page >= 0 && (page + 1) * PAGE > to && this.#mayGoOn(); page--) {
      for (const at of this.#page(page).toReversed()) if (at <= from && at >= to) yield at;
    }
  }

  #mayGoOn(): boolean {
    const { steps, bytes } = this.#work;
    if (steps > 0 && bytes > 0) return true;
    this.#work.limited = true;
    return false;
  }

  #page(page: number): readonly number[] {
    const known = this.#pages.get(page);
    this.#work.steps--;
    if (known !== undefined) return known;
    const start = page * PAGE;
    const bytes = readAt(this.#reader, start, PAGE + MARK - 1);
    this.#work.bytes -= bytes.length;
    const places: number[] = [];
    // Not by indexOf, which takes ten times as long when all bytes are the first one.
    for (let at = 0; at < bytes.length && at < PAGE; at++) if (isBtf(bytes, at, this.#little)) places.push(start + at);
    this.#work.steps -= MARK_STEPS * places.length;
    this.#pages.set(page, places);
    return places;
  }
}
