// NUL-terminated strings out of string tables.
import { FormatError, hex } from '../diagnostics.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The string at `at`, up to its NUL or the end of the table. Invalid UTF-8 decodes to U+FFFD.
 * @throws FormatError `string-offset` when `at` lies outside the table.
 */
export function cstring(table: Uint8Array, at: number): string {
  if (!(at >= 0 && at < table.length)) {
    throw new FormatError(
      'string-offset',
      at,
      `string at ${hex(at)} lies outside its table of ${hex(table.length)} bytes`,
    );
  }
  const end = table.indexOf(0, at);
  return utf8.decode(table.subarray(at, end < 0 ? table.length : end));
}
