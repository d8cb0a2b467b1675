// Standard input: read once, in order, with as much of the recent past kept as carving needs.
import { readSync } from 'node:fs';
import type { Reader } from '../bytes/reader.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic, isErrno } from './errno.ts';

const CHUNK = 1024 * 1024;
const RETRY_MS = 2;

/** A reader that fetches forward on demand and forgets what is released. Bytes before the kept part read as none. */
export class StdinReader implements Reader {
  failure: Diagnostic | undefined;
  private readonly descriptor: number;
  private readonly chunks: Uint8Array[] = [];
  /** Offset of the first chunk kept. */
  private start = 0;
  private fetched = 0;
  private ended = false;

  constructor(descriptor = 0) {
    this.descriptor = descriptor;
  }

  /** Bytes that have come so far. */
  get length(): number {
    return this.fetched;
  }

  readInto(target: Uint8Array, at: number): number {
    this.fetch(at + target.length);
    if (at < this.start) return 0;
    let copied = 0;
    while (copied < target.length && at + copied < this.fetched) {
      const position = at + copied - this.start;
      const chunk = this.chunks[Math.floor(position / CHUNK)] as Uint8Array;
      const piece = chunk.subarray(position % CHUNK, Math.min(CHUNK, (position % CHUNK) + target.length - copied));
      const there = piece.subarray(0, Math.min(piece.length, this.fetched - at - copied));
      target.set(there, copied);
      copied += there.length;
    }
    return copied;
  }

  /** Waits until `end` bytes have come, or the last one. */
  fetch(end: number): void {
    while (!this.ended && this.fetched < end) {
      const filled = (this.fetched - this.start) % CHUNK;
      if (filled === 0) this.chunks.push(new Uint8Array(CHUNK));
      const count = this.readSome((this.chunks.at(-1) as Uint8Array).subarray(filled));
      if (count === 0) this.ended = true;
      this.fetched += count;
    }
  }

  /** Forgets the bytes before `offset`, in whole chunks. */
  release(offset: number): void {
    while (this.start + CHUNK <= Math.min(offset, this.fetched)) {
      this.chunks.shift();
      this.start += CHUNK;
    }
  }

  private readSome(target: Uint8Array): number {
    for (;;) {
      try {
        return readSync(this.descriptor, target, 0, target.length, null);
      } catch (error) {
        if (!isErrno(error)) throw error;
        if (error.code === 'EOF') return 0;
        if (error.code === 'EAGAIN') {
          // The other end made the pipe non-blocking: wait here, as a blocking read would.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
          continue;
        }
        this.failure = errnoDiagnostic(error, 'standard input', `cannot read at ${this.fetched}`);
        return 0;
      }
    }
  }
}
