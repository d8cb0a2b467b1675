// A stream of bytes, read once and in order, with as much of the recent past kept as carving needs.
import { setTimeout } from 'node:timers/promises';
import type { Reader } from '../bytes/reader.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic } from './errno.ts';

const BLOCK = 1024 * 1024;

/** Gives by position what was fetched and not yet released; the first block is never released. */
export class StreamReader implements Reader {
  /** Why the stream ended before its end, if it did. */
  failure: Diagnostic | undefined;
  private readonly name: string;
  private readonly chunks: AsyncIterator<Uint8Array>;
  private first: Uint8Array | undefined;
  private readonly blocks: Uint8Array[] = [];
  /** Offset of the first of `blocks`. */
  private start = 0;
  private fetched = 0;
  private ended = false;
  /** A read that is under way. */
  private pending: Promise<void> | undefined;

  /** `name` is what diagnostics call it. */
  constructor(stream: AsyncIterable<Uint8Array>, name: string) {
    this.chunks = stream[Symbol.asyncIterator]();
    this.name = name;
  }

  /** Bytes that have come so far. */
  get length(): number {
    return this.fetched;
  }

  readInto(target: Uint8Array, at: number): number {
    let copied = 0;
    while (copied < target.length && at + copied < this.fetched) {
      const position = at + copied;
      const block = this.blockAt(position);
      if (block === undefined) break;
      const from = position % BLOCK;
      const to = Math.min(BLOCK, from + target.length - copied, from + this.fetched - position);
      target.set(block.subarray(from, to), copied);
      copied += to - from;
    }
    return copied;
  }

  /** Waits until `end` bytes have come, or the last one. */
  async fetch(end: number): Promise<void> {
    while (!this.ended && this.fetched < end) await this.next();
  }

  /** The same, but with more than `enough` bytes at hand only as long as they come without a pause, in milliseconds. */
  async fetchUntilPause(end: number, enough: number, pause: number): Promise<void> {
    await this.fetch(Math.min(end, enough + 1));
    let paused = false;
    while (!paused && !this.ended && this.fetched < end) {
      const timer = new AbortController();
      const wait = setTimeout(pause, true, { signal: timer.signal }).catch(() => false);
      paused = await Promise.race([this.next().then(() => false), wait]);
      timer.abort();
    }
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  private next(): Promise<void> {
    this.pending ??= this.readNext().finally(() => {
      this.pending = undefined;
    });
    return this.pending;
  }

  private async readNext(): Promise<void> {
    try {
      const next = await this.chunks.next();
      if (next.done) this.ended = true;
      else this.append(next.value);
    } catch (error) {
      this.ended = true;
      this.failure = errnoDiagnostic(error, this.name, `cannot read at ${this.fetched}`);
    }
  }

  /** Forgets the bytes before `offset`, in whole blocks. */
  release(offset: number): void {
    while (this.start + BLOCK <= Math.min(offset, this.fetched)) {
      this.blocks.shift();
      this.start += BLOCK;
    }
  }

  private blockAt(position: number): Uint8Array | undefined {
    if (position < BLOCK) return this.first;
    return position < this.start ? undefined : this.blocks[Math.floor((position - this.start) / BLOCK)];
  }

  private append(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.length; ) {
      const at = this.fetched % BLOCK;
      if (at === 0) this.blocks.push(new Uint8Array(BLOCK));
      const block = this.blocks.at(-1) as Uint8Array;
      this.first ??= block;
      const piece = chunk.subarray(done, done + BLOCK - at);
      block.set(piece, at);
      done += piece.length;
      this.fetched += piece.length;
    }
  }
}
