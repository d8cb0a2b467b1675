// Paths as the kernel has them: bytes. Text where the bytes are UTF-8, exact bytes where they are not.
import type { Diagnostic } from '../diagnostics.ts';

/** A path to open: a string when its bytes are valid UTF-8, the bytes themselves otherwise. */
export type FilePath = string | Uint8Array;

/** How a report names a path. */
export interface PathName {
  readonly path: string;
  readonly pathBase64?: string;
}

/** How a diagnostic names a path. */
export type PathPlace = Pick<Diagnostic, 'where' | 'pathBase64'>;

const SLASH = 0x2f;
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The report form: bytes that are not UTF-8 stand as `\xNN`, and the exact bytes come beside it. */
export function nameOf(path: FilePath): PathName {
  if (typeof path === 'string') return { path };
  return { path: decodeLoosely(path, escapeByte), pathBase64: Buffer.from(path).toString('base64') };
}

/** A path, or its name in a report, as the place of a diagnostic. */
export function placeOf(path: FilePath | PathName): PathPlace {
  const { path: where, pathBase64 } = typeof path === 'string' || path instanceof Uint8Array ? nameOf(path) : path;
  return pathBase64 === undefined ? { where } : { where, pathBase64 };
}

export function join(directory: FilePath, name: FilePath): FilePath {
  if (typeof directory === 'string' && typeof name === 'string') {
    return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
  }
  const head = Buffer.from(directory);
  return simplify(Buffer.concat([head, Buffer.from(head.at(-1) === SLASH ? '' : '/'), Buffer.from(name)]));
}

/** Text if the bytes are UTF-8, else the bytes. */
export function simplify(path: Uint8Array): FilePath {
  try {
    return strict.decode(path);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return Uint8Array.from(path);
  }
}

export function byteLength(path: FilePath): number {
  return typeof path === 'string' ? Buffer.byteLength(path) : path.length;
}

/** The text of `bytes`; what is not UTF-8 in them stands as `spell` has it, byte by byte. */
export function decodeLoosely(bytes: Uint8Array, spell: (byte: number) => string): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const sequence = bytes.subarray(at, at + Math.max(1, length));
    text += length > 0 ? strict.decode(sequence) : spell(bytes[at] as number);
    at += sequence.length;
  }
  return text;
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Bytes of the valid UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length < 2 || at + length > bytes.length) return length === 1 ? 1 : 0;
  return typeof simplify(bytes.subarray(at, at + length)) === 'string' ? length : 0;
}
