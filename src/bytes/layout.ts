// C structs declared once and read in either byte order.
// Knows widths and bounds; knows no format.
import { FormatError, hex } from '../diagnostics.ts';

export interface Field<T> {
  readonly size: number;
  read(view: DataView, at: number, little: boolean): T;
}
type Fields = Readonly<Record<string, Field<unknown>>>;
export type Row<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export interface Layout<F extends Fields> extends Field<Row<F>> {
  readonly fields: F;
  /** Byte offset of every member. */
  readonly offsets: { readonly [K in keyof F]: number };
}

export const u8: Field<number> = { size: 1, read: (view, at) => view.getUint8(at) };
export const u16: Field<number> = { size: 2, read: (view, at, little) => view.getUint16(at, little) };
export const u32: Field<number> = { size: 4, read: (view, at, little) => view.getUint32(at, little) };
export const s16: Field<number> = { size: 2, read: (view, at, little) => view.getInt16(at, little) };
export const s32: Field<number> = { size: 4, read: (view, at, little) => view.getInt32(at, little) };
/** A 64-bit value of which every bit counts: flags, addresses, constants. */
export const u64: Field<bigint> = { size: 8, read: (view, at, little) => view.getBigUint64(at, little) };

/**
 * A 64-bit file offset or size as a number. Values above 2^53 read as `Infinity`: they lie beyond
 * every source there is, and every bounds check then rejects them without rounding.
 */
export const off64: Field<number> = {
  size: 8,
  read: (view, at, little) => {
    const high = view.getUint32(little ? at + 4 : at, little);
    const low = view.getUint32(little ? at : at + 4, little);
    return high < 0x20_0000 ? high * 0x1_0000_0000 + low : Number.POSITIVE_INFINITY;
  },
};

/** A block of bytes, copied. */
export function bytes(size: number): Field<Uint8Array> {
  return { size, read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size).slice() };
}

/**
 * A packed struct. `read` checks the bounds of the whole row first.
 * @throws FormatError `out-of-bounds` when the row does not fit in the view.
 */
export function layout<F extends Fields>(fields: F): Layout<F> {
  const members = Object.entries(fields);
  const offsets: Record<string, number> = {};
  let size = 0;
  for (const [name, field] of members) {
    offsets[name] = size;
    size += field.size;
  }
  return {
    fields,
    size,
    offsets: offsets as Layout<F>['offsets'],
    read(view, at, little) {
      if (!(at >= 0 && at + size <= view.byteLength)) throw outOfBounds(at, size, view.byteLength);
      const row: Record<string, unknown> = {};
      let position = at;
      for (const [name, field] of members) {
        row[name] = field.read(view, position, little);
        position += field.size;
      }
      return row as Row<F>;
    },
  };
}

function outOfBounds(at: number, size: number, available: number): FormatError {
  return new FormatError('out-of-bounds', at, `${size} bytes at ${hex(at)} end past ${hex(available)}`);
}

/** The one way to make a DataView: honours the window that `content` has on its buffer. */
export function viewOf(content: Uint8Array): DataView {
  return new DataView(content.buffer, content.byteOffset, content.byteLength);
}
