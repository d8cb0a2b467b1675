// What a source of bytes is called: the records that name it in every report.
// Opens and reads nothing.

export interface FileSource {
  readonly kind: 'file';
  /** As reached from the command line; bytes that are not UTF-8 stand as `\xNN`. */
  readonly path: string;
  /** The exact bytes of the path, only when `path` could not hold them. */
  readonly pathBase64?: string;
  /** Bytes, when the object was read. */
  readonly size: number;
}

export interface StdinSource {
  readonly kind: 'stdin';
  /** Bytes, where the end was known when the object was read. */
  readonly size?: number;
}

export type Source = FileSource | StdinSource;
