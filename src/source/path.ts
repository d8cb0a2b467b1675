// Paths as the kernel has them: bytes. Text where the bytes are UTF-8, exact bytes where they are not.

/** A path to open: a string when its bytes are valid UTF-8, the bytes themselves otherwise. */
export type FilePath = string | Uint8Array;

/** How a report names a path. */
export interface PathName {
  readonly path: string;
  readonly pathBase64?: string;
}

const SLASH = 0x2f;
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The report form: bytes that are not UTF-8 stand as `\xNN`, and the exact bytes come beside it. */
export function nameOf(path: FilePath): PathName {
  if (typeof path === 'string') return { path };
  return { path: escapeInvalid(path), pathBase64: Buffer.from(path).toString('base64') };
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

function escapeInvalid(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const sequence = bytes.subarray(at, at + Math.max(1, length));
    text += length > 0 ? strict.decode(sequence) : `\\x${(bytes[at] as number).toString(16).padStart(2, '0')}`;
    at += sequence.length;
  }
  return text;
}

/** Bytes of the valid UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length < 2 || at + length > bytes.length) return length === 1 ? 1 : 0;
  return typeof simplify(bytes.subarray(at, at + length)) === 'string' ? length : 0;
}
