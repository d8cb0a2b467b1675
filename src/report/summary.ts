// The end of a report: what was rejected or could not be read, then what was found in how much.
// Works out nothing but the rate.
import type { CarvedObject, ScanSummary } from '../scan/events.ts';
import { type Paint, palette } from './colors.ts';
import { type Cell, flow } from './columns.ts';
import { escapeName } from './escape.ts';
import { countKinds } from './kind.ts';
import type { Style } from './style.ts';
import { formatBytes, formatCount, formatDuration, plural } from './units.ts';

/** `hosts`: how many sources had any of `objects` in them. */
export function renderSummary(
  summary: ScanSummary,
  objects: readonly CarvedObject[],
  hosts: number,
  { color, verbose, width }: Style,
): string {
  const { bold, dim, yellow } = palette(color);
  const where = { used: 0, indent: 2, gap: 1, width };
  const line = (...cells: readonly Cell[]) => `${flow(cells, where)}\n`;
  const rejected = countRejected(summary.rejected, verbose);
  let text = '';
  if (rejected.length > 0) text += line(...painted(rejected, dim));
  if (summary.unreadable > 0) {
    text += line({ text: `${plural(summary.unreadable, 'source')} could not be read in full`, paint: yellow });
  }
  if (summary.interrupted) text += line({ text: 'interrupted: the rest was not searched', paint: yellow });
  return text + line(...painted(found(summary, objects, hosts), bold), ...painted(searched(summary), dim));
}

function painted(phrases: readonly string[], paint: Paint): readonly Cell[] {
  return phrases.map((text) => ({ text, paint }));
}

function countRejected(rejected: ScanSummary['rejected'], verbose: number): readonly string[] {
  const reasons = Object.entries(rejected)
    .filter(([, count]) => count > 0)
    .sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
  if (reasons.length === 0) return [];
  const total = reasons.reduce((sum, [, count]) => sum + count, 0);
  const list = reasons.map(([reason, count]) => `${formatCount(count)} ${escapeName(reason)}`);
  const end = verbose > 0 ? '' : '; -v lists them';
  return [
    `${plural(total, 'candidate')} rejected:`,
    ...list.map((item, at) => item + (at < list.length - 1 ? ',' : end)),
  ];
}

function found({ distinct, sources }: ScanSummary, objects: readonly CarvedObject[], hosts: number): readonly string[] {
  const searched = plural(sources, 'source');
  const kinds = countKinds(objects);
  if (kinds.length === 0) return ['No eBPF object found', `in ${searched},`];
  const counts = kinds.map((count, at) => (at < kinds.length - 1 ? `${count},` : count));
  const contents = objects.length > 1 ? [`(${formatCount(distinct)} distinct)`] : [];
  return [...counts, ...contents, `in ${formatCount(hosts)} of ${searched},`];
}

function searched({ bytes, elapsedMs }: ScanSummary): readonly string[] {
  const rate = elapsedMs > 0 && bytes > 0 ? [`(${formatBytes(Math.round((bytes / elapsedMs) * 1000))}/s)`] : [];
  return [`${formatBytes(bytes)} searched`, `in ${formatDuration(elapsedMs)}`, ...rate];
}
