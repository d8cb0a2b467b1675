// The live document for programs, whole or line by line.
// Knows nothing of what the records say.
import type { LiveReport } from '../scan/live-report.ts';
import { escapeJson } from './escape.ts';
import { documentPieces } from './json.ts';
import { sortDiagnostics } from './order.ts';

export function* renderLiveJson(report: LiveReport): Generator<string> {
  const { schemaVersion, tool, command, startedAt, finishedAt, host, ...rest } = report;
  const diagnostics = sortDiagnostics(report.diagnostics);
  yield* documentPieces({ schemaVersion, tool, command, startedAt, finishedAt, host, ...rest, diagnostics });
}

/** A line with `event` for what the kernel looks like, for every program, diagnostic, and at the end the summary. */
export function* renderLiveNdjson(report: LiveReport): Generator<string> {
  const { programs, diagnostics, summary, finishedAt, ...start } = report;
  yield line({ event: 'start', ...start });
  for (const program of programs) yield line({ event: 'program', ...program });
  for (const diagnostic of sortDiagnostics(diagnostics)) yield line({ event: 'diagnostic', ...diagnostic });
  yield line({ event: 'summary', finishedAt, ...summary });
}

function line(record: object): string {
  return `${escapeJson(record)}\n`;
}
