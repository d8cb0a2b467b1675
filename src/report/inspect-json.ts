// The report of an inspection for programs, in pieces: the code of one object may be longer than a string can be.
// Knows nothing of what the records say.
import type { InspectReport } from '../scan/inspect.ts';
import { escapeJson } from './escape.ts';
import { sortDiagnostics } from './order.ts';

export function* renderInspectJson(report: InspectReport): Generator<string> {
  yield* nested({ ...report, diagnostics: sortDiagnostics(report.diagnostics) }, '\n', 0);
  yield '\n';
}

/** One object a line, with `event` as in a scan. */
export function* renderInspectNdjson(report: InspectReport): Generator<string> {
  const { objects, diagnostics, summary, finishedAt, ...start } = report;
  yield `${escapeJson({ event: 'start', ...start })}\n`;
  for (const object of objects) {
    yield* nested({ event: 'object', ...object }, '', 0);
    yield '\n';
  }
  for (const diagnostic of diagnostics) yield `${escapeJson({ event: 'diagnostic', ...diagnostic })}\n`;
  yield `${escapeJson({ event: 'summary', finishedAt, ...summary })}\n`;
}

/** Levels of the document that stand open: the report, its objects and their tables. */
const OPEN = 4;
/** An array this long opens the record that holds it. */
const LONG = 100;

/** `newline` before every member and element; empty for a single line. */
function* nested(value: object, newline: string, depth: number): Generator<string> {
  const isArray = Array.isArray(value);
  const [open, close] = isArray ? '[]' : '{}';
  const inner = newline === '' ? '' : `${newline}  `;
  let separator = `${open}${inner}`;
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    yield isArray ? separator : `${separator}${JSON.stringify(key)}: `;
    if (isOpen(member, depth + 1)) yield* nested(member, inner, depth + 1);
    else yield escapeJson(member);
    separator = `,${inner}`;
  }
  yield separator.startsWith(',') ? `${newline}${close}` : `${open}${close}`;
}

function isOpen(value: unknown, depth: number): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.length > 0 && (depth < OPEN || value.length > LONG);
  return depth < OPEN - 1 ? hasRecords(value) : Object.values(value).some(isLong);
}

function hasRecords(value: object): boolean {
  return Object.values(value).some((member) => Array.isArray(member) && member.length > 0);
}

function isLong(value: unknown): boolean {
  return Array.isArray(value) && value.length > LONG;
}
