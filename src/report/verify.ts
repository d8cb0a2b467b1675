// What checking an evidence directory against its manifest has shown.
// Checks nothing itself.
import type { Difference } from '../evidence/differences.ts';
import type { VerifyReport } from '../evidence/verify.ts';
import { type Paint, type Palette, palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapePhrase, escapeText } from './escape.ts';
import { documentPieces } from './json.ts';
import type { Style } from './style.ts';
import { formatBytes, plural } from './units.ts';

const KIND_WIDTH = 'unreadable'.length;

/** Every difference on a line, then the verdict. With `quiet` only the differences. */
export function renderVerify(report: VerifyReport, style: Style): string {
  const colors = palette(style.color);
  const lines = report.differences.map((difference) => renderDifference(difference, style, colors));
  if (report.omitted !== undefined) lines.push(`and ${plural(report.omitted, 'more difference')}\n`);
  if (!style.quiet) lines.push(renderVerdict(report, style, colors));
  return lines.join('');
}

export function* renderVerifyJson(report: VerifyReport): Generator<string> {
  yield* documentPieces({ schemaVersion: 1, command: 'verify', ...report });
}

function renderDifference({ kind, path, message }: Difference, { width }: Style, colors: Palette): string {
  const used = KIND_WIDTH + 1;
  const words = flowWords(`${escapePhrase(path)}: ${escapeText(message)}`, { used, indent: used + 1, gap: 1, width });
  return `${paintFor(kind, colors)(kind.padEnd(KIND_WIDTH))} ${words}\n`;
}

function renderVerdict(report: VerifyReport, style: Style, colors: Palette): string {
  const { directory, files, bytes, differences, omitted = 0 } = report;
  const count = differences.length + omitted;
  const checked = `${plural(files, 'file')}, ${formatBytes(bytes)}`;
  const verdict = count === 0 ? `${checked}, all as the manifest says` : `${plural(count, 'difference')} in ${checked}`;
  const where = { used: 0, indent: 2, gap: 1, width: style.width };
  return `${flowWords(`${escapePhrase(directory)}: ${verdict}`, where, colors.bold)}\n`;
}

function paintFor(kind: Difference['kind'], { red, yellow }: Palette): Paint {
  return kind === 'extra' || kind === 'unreadable' ? yellow : red;
}
