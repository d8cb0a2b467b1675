// The manifest: the report document with the command that made it and the files it describes. Text, not files.
import type { CarvedObject, ScanReport } from '../scan/events.ts';

/** One place where the bytes of a dumped file were found. */
export type Occurrence = Pick<CarvedObject, 'source' | 'offset' | 'address' | 'region' | 'within'>;

/** A live program whose instructions were kept as the kernel runs them. */
export interface LiveOccurrence {
  readonly program: { readonly id?: number; readonly name?: string; readonly tag: string };
}

/** One file of the dump. */
export interface DumpedFile {
  /** Relative to the evidence directory, with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** In the order of the report; the first one gave the file its name. Those of what it was made of, when it was found nowhere. */
  readonly occurrences: readonly (Occurrence | LiveOccurrence)[];
  /** `sha256` of carved bytes that are no ELF object; this file holds the same programs as one. */
  readonly derivedFrom?: readonly string[];
}

/** A report on whatever had objects in it. */
export type ObjectReport = Omit<ScanReport, 'summary'>;

export interface Manifest extends ObjectReport {
  readonly argv: readonly string[];
  readonly files: readonly DumpedFile[];
}

/**
 * The manifest as UTF-8 JSON in pieces of about 1 MiB, so that a dump of any size is never one string. Each member of a
 * list stands on a line of its own: grep, diff and less work on it.
 */
export function* manifestText(manifest: Manifest): Generator<Uint8Array> {
  let pending = '';
  for (const piece of manifestPieces(manifest)) {
    pending += piece;
    if (pending.length < PIECE_LENGTH) continue;
    yield Buffer.from(pending);
    pending = '';
  }
  yield Buffer.from(pending);
}

const PIECE_LENGTH = 1 << 20;

function* manifestPieces(manifest: Manifest): Generator<string> {
  let separator = '{';
  for (const [key, value] of Object.entries(manifest)) {
    yield `${separator}\n  ${JSON.stringify(key)}: `;
    yield* Array.isArray(value) ? listPieces(value) : [JSON.stringify(value)];
    separator = ',';
  }
  yield '\n}\n';
}

function* listPieces(list: readonly unknown[]): Generator<string> {
  let separator = '[';
  for (const member of list) {
    yield `${separator}\n    ${JSON.stringify(member)}`;
    separator = ',';
  }
  yield list.length === 0 ? '[]' : '\n  ]';
}
