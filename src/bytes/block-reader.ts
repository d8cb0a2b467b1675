// Small reads near one another, served from blocks that are kept: for headers and tables, not for contents.
import { viewOf } from './layout.ts';
import type { Reader } from './reader.ts';

/** Small, because a hostile source can make every single read miss. */
const BLOCK = 16 * 1024;
/** A header here, a table there, and some to spare: direct-mapped by block number. */
const BLOCKS = 16;

interface Block {
  number: number;
  length: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Keeps up to 256 KiB of `reader`. What it gives is as old as the first read nearby. */
export class BlockReader implements Reader {
  private readonly reader: Reader;
  private readonly blocks: (Block | undefined)[] = new Array(BLOCKS).fill(undefined);

  constructor(reader: Reader) {
    this.reader = reader;
  }

  readInto(target: Uint8Array, at: number): number {
    if (target.length >= BLOCK) return this.reader.readInto(target, at);
    let done = 0;
    while (done < target.length) {
      const block = this.blockAt(at + done);
      const start = (at + done) % BLOCK;
      const piece = block.bytes.subarray(start, Math.min(block.length, start + target.length - done));
      if (piece.length === 0) break;
      target.set(piece, done);
      done += piece.length;
    }
    return done;
  }

  /** The value at `at`, or -1 where it is not there in one block. */
  u8(at: number): number {
    const { view, length } = this.blockAt(at);
    return at % BLOCK < length ? view.getUint8(at % BLOCK) : -1;
  }

  u16(at: number, little: boolean): number {
    const { view, length } = this.blockAt(at);
    return (at % BLOCK) + 2 <= length ? view.getUint16(at % BLOCK, little) : -1;
  }

  u32(at: number, little: boolean): number {
    const { view, length } = this.blockAt(at);
    return (at % BLOCK) + 4 <= length ? view.getUint32(at % BLOCK, little) : -1;
  }

  private blockAt(at: number): Block {
    const number = Math.floor(at / BLOCK);
    let block = this.blocks[number % BLOCKS];
    if (block?.number === number) return block;
    block ??= newBlock();
    block.number = number;
    block.length = this.reader.readInto(block.bytes, number * BLOCK);
    this.blocks[number % BLOCKS] = block;
    return block;
  }
}

function newBlock(): Block {
  const bytes = new Uint8Array(BLOCK);
  return { number: -1, length: 0, bytes, view: viewOf(bytes) };
}
