// What went wrong, as values: bad input is reported beside the results and never ends the work.
// Only bugs travel as other exceptions.

export type Severity = 'error' | 'warning' | 'info';

/** One thing a reader should know: `code` is an errno name or a format code, `where` names the place, `message` both numbers. */
export interface Diagnostic {
  readonly severity: Severity;
  readonly code: string;
  readonly where: string;
  /** The exact bytes of the path, only when `where` is a path and could not hold them. */
  readonly pathBase64?: string;
  readonly message: string;
}

/** Thrown by parsers, and only by them, when the bytes do not say what the format requires. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: string;
  /** Byte offset in the bytes being parsed. */
  readonly at: number;

  constructor(code: string, at: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.at = at;
  }
}

/** Runs one independent part of a parse; malformed input becomes a diagnostic and `undefined`, anything else is a bug and passes. */
export function attempt<T>(diagnostics: Diagnostic[], where: string, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    diagnostics.push({ severity: 'warning', code: error.code, where, message: error.message });
    return undefined;
  }
}

/** `0x1f40`: how every offset and address appears in messages. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
