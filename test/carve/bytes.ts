// Bytes to carve from: good objects, headers without an object, and both put together.
import { memoryReader, type Reader } from '../../src/bytes/reader.ts';
import { ElfBuilder, type Endianness, type HeaderFields } from '../support/elf-builder.ts';

export const BOTH_ORDERS: readonly Endianness[] = ['little', 'big'];

/** A small whole object; `text` makes it differ from others. */
export function object(
  endianness: Endianness = 'little',
  text = 'GPL',
  header: Partial<HeaderFields> = {},
): Uint8Array {
  return new ElfBuilder(endianness, header).license(text).build();
}

/** An object of some size, so that things can be put in its middle. */
export function objectAround(payload: Uint8Array, endianness: Endianness = 'little'): Uint8Array {
  return new ElfBuilder(endianness).section('.rodata', { content: payload }).license().build();
}

/** 64 bytes that head an object, whatever follows. Defaults: a table of two sections directly behind. */
export function header(fields: Partial<HeaderFields> = {}, endianness: Endianness = 'little'): Uint8Array {
  const content = new ElfBuilder(endianness, { e_shoff: 64n, e_shnum: 2, e_shstrndx: 1, ...fields }).build();
  return content.slice(0, 64);
}

/** A section table as raw rows: type, offset and size of each. */
export function sectionTable(
  rows: readonly { readonly type: number; readonly offset?: bigint; readonly size?: bigint; readonly link?: number }[],
  endianness: Endianness = 'little',
): Uint8Array {
  const view = new DataView(new ArrayBuffer(64 * rows.length));
  const little = endianness === 'little';
  for (const [index, { type, offset = 0n, size = 0n, link = 0 }] of rows.entries()) {
    view.setUint32(64 * index + 4, type, little);
    view.setBigUint64(64 * index + 24, offset, little);
    view.setBigUint64(64 * index + 32, size, little);
    view.setUint32(64 * index + 40, link, little);
  }
  return new Uint8Array(view.buffer);
}

export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const content = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    content.set(piece, at);
    at += piece.length;
  }
  return content;
}

/** `size` bytes of `filler` with `piece` at `offset`. */
export function at(offset: number, piece: Uint8Array, size = offset + piece.length, filler = 0): Uint8Array {
  const content = new Uint8Array(size).fill(filler);
  content.set(piece, offset);
  return content;
}

export function repeat(piece: Uint8Array, count: number): Uint8Array {
  const content = new Uint8Array(piece.length * count);
  for (let index = 0; index < count; index++) content.set(piece, index * piece.length);
  return content;
}

export function text(content: string): Uint8Array {
  return Buffer.from(content, 'latin1');
}

/** The same noise in every run: xorshift32. */
export function noise(size: number, seed: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: size }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

/** A reader of `bytes` that counts what is read of them. */
export class CountingReader implements Reader {
  read = 0;
  private readonly reader: Reader;

  constructor(bytes: Uint8Array) {
    this.reader = memoryReader(bytes);
  }

  readInto(target: Uint8Array, at: number): number {
    const count = this.reader.readInto(target, at);
    this.read += count;
    return count;
  }
}
