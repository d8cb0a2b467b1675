// Bytes by position, wherever they lie: memory, a file, a process. The smallest interface that carving needs.

export interface Reader {
  /** Number of bytes that can be read; `Infinity` when only reading tells. */
  readonly size: number;
  /**
   * Up to `length` bytes from `at`; fewer at the end of the source, none past it.
   * The result is valid until the next `read` of the same reader: copy what must last.
   */
  read(at: number, length: number): Uint8Array;
}

export function memoryReader(content: Uint8Array): Reader {
  return { size: content.length, read: (at, length) => content.subarray(at, at + length) };
}
