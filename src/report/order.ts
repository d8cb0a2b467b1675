// The order of a report, the same however the scan was spread over threads.
// Compares; collects nothing.
import type { Diagnostic } from '../diagnostics.ts';
import type { CarvedObject } from '../scan/events.ts';
import type { Source } from '../source/source.ts';
import { binaryString } from './escape.ts';

/** By source, files by the bytes of their paths, processes by pid, then standard input; in it by offset or address. */
export function sortObjects(objects: readonly CarvedObject[]): CarvedObject[] {
  return objects
    .map((object) => ({ object, key: sourceKey(object.source) }))
    .sort((a, b) => compare(a.key, b.key) || comparePlaces(a.object, b.object))
    .map(({ object }) => object);
}

function comparePlaces(a: CarvedObject, b: CarvedObject): number {
  return position(a) - position(b) || a.size - b.size || compare(a.kind, b.kind);
}

/** By place, offsets at its end by their value; then by what is said of it. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics
    .map((diagnostic) => ({ diagnostic, key: placeKey(diagnostic.where) }))
    .sort(
      (a, b) =>
        compare(a.key, b.key) ||
        compare(a.diagnostic.code, b.diagnostic.code) ||
        compare(a.diagnostic.severity, b.diagnostic.severity) ||
        compare(a.diagnostic.message, b.diagnostic.message),
    )
    .map(({ diagnostic }) => diagnostic);
}

/** PID_MAX_LIMIT of <linux/threads.h> is 2^22. */
const PID_DIGITS = 7;

/** One per source, in order: two objects come from the same source when their keys are equal. */
export function sourceKey(source: Source): string {
  switch (source.kind) {
    case 'file':
      return `file ${source.pathBase64 === undefined ? bytesOf(source.path) : binaryString(source.pathBase64)}`;
    case 'process':
      return `process ${String(source.pid).padStart(PID_DIGITS, '0')} ${source.startTime}`;
    case 'stdin':
      return 'stdin';
    default:
      throw new TypeError(`unknown source ${JSON.stringify(source satisfies never)}`);
  }
}

/** Addresses that are examined lie below 2^53. */
function position({ offset, address }: CarvedObject): number {
  return offset ?? Number(address);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Longer hexadecimal numbers are larger ones, so a number sorts by its length first. */
function placeKey(where: string): string {
  const at = where.lastIndexOf(' 0x');
  return at < 0
    ? bytesOf(where)
    : `${bytesOf(where.slice(0, at))} ${String(where.length - at).padStart(5, '0')}${where.slice(at)}`;
}

const ASCII = /^[ -~]*$/;
const utf8 = new TextEncoder();

/** The UTF-8 bytes of `text`, one per character. */
function bytesOf(text: string): string {
  return ASCII.test(text) ? text : Array.from(utf8.encode(text), (byte) => String.fromCharCode(byte)).join('');
}
