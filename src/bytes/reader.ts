// Bytes by position, wherever they lie: memory, a file, a process. The smallest interface that carving needs.

export interface Reader {
  /**
   * Copies what the source has from `at` on into `target` and returns how many bytes that was:
   * fewer than `target.length` only at the end of the source, 0 past it.
   */
  readInto(target: Uint8Array, at: number): number;
}

/** Up to `length` bytes from `at`, in memory of their own. The caller bounds `length`. */
export function readAt(reader: Reader, at: number, length: number): Uint8Array {
  const target = new Uint8Array(length);
  const count = reader.readInto(target, at);
  return count === length ? target : target.subarray(0, count);
}

export function memoryReader(content: Uint8Array): Reader {
  return {
    readInto(target, at) {
      const piece = content.subarray(at, at + target.length);
      target.set(piece);
      return piece.length;
    },
  };
}
