// The report on live programs for people: what nothing explains first, then where the others come from, then how far it reached.
// Prints every string of the system escaped, and nothing by colour alone.
import type { Diagnostic } from '../diagnostics.ts';
import type { LiveReport, LiveSummary } from '../scan/live-report.ts';
import { type Palette, palette } from './colors.ts';
import { flow, flowWords } from './columns.ts';
import { escapeName, escapeText } from './escape.ts';
import { type BlockPlace, renderBlock } from './live-block.ts';
import { type Entry, foldCopies, groupsById, isExplained } from './live-entries.ts';
import { FactFinder } from './live-facts.ts';
import { renderRow, rowColumns } from './live-row.ts';
import { renderInconsistencies, renderViews } from './live-views.ts';
import { sortDiagnostics } from './order.ts';
import { renderProblems } from './problems.ts';
import type { Style } from './style.ts';
import { formatDuration, plural } from './units.ts';

/** `full`: explained programs too get a block each, and nothing is folded. */
export function* renderLive(report: LiveReport, style: Style, full = style.verbose > 0): Generator<string> {
  const colors = palette(style.color);
  const entries = foldCopies(report);
  const place: BlockPlace = {
    columns: rowColumns(entries, style),
    finder: new FactFinder(report, full),
    groups: groupsById(report.groups),
    full,
    style,
    colors,
  };
  yield* renderInconsistencies(report.inconsistencies, style, colors);
  const unexplained = entries.filter((entry) => !isExplained(entry));
  yield* renderUnexplained(unexplained, report.summary, place);
  const explained = entries.filter(isExplained);
  yield* renderExplained(explained, place);
  if (report.programs.length === 0) yield renderNothing(report, style);
  if (style.quiet) return;
  yield* renderReach(report, style, colors);
  if (report.programs.length > 0)
    yield renderPlace(report, style, colors) + renderSummary(report.summary, style, colors);
}

function* renderUnexplained(entries: readonly Entry[], summary: LiveSummary, place: BlockPlace): Generator<string> {
  if (entries.length === 0) return;
  const doubt = summary.sources === 0 ? ': nothing was searched for their code' : '';
  yield title(`${plural(countPrograms(entries), 'unexplained program')}${doubt}`, place);
  for (const entry of entries) {
    yield* renderBlock(entry, place);
    yield '\n';
  }
}

function* renderExplained(entries: readonly Entry[], place: BlockPlace): Generator<string> {
  if (entries.length === 0) return;
  yield title(plural(countPrograms(entries), 'explained program'), place);
  for (const entry of entries) {
    if (!place.full) yield renderRow(entry, place.columns, place.style, place.colors);
    else {
      yield* renderBlock(entry, place);
      yield '\n';
    }
  }
  if (!place.full) yield '\n';
}

function title(text: string, { style, colors }: BlockPlace): string {
  return `${flowWords(text, { used: 0, indent: 2, gap: 1, width: style.width }, colors.bold)}\n`;
}

function countPrograms(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.length, 0);
}

function renderNothing({ views, maps }: LiveReport, { width }: Style): string {
  const sentence = views.bpf.status === 'ok' ? 'No BPF program is loaded' : 'No BPF program was seen';
  const rest = maps.length === 0 ? '' : `, but ${plural(maps.length, 'map')}`;
  return `${flowWords(`${sentence}${rest}.`, { used: 0, indent: 2, gap: 1, width })}\n`;
}

/** What could not be looked at, and what went wrong. */
function* renderReach(report: LiveReport, style: Style, colors: Palette): Generator<string> {
  const pieces = [
    ...renderViews(report.views, report.scope, style, colors),
    renderProblems(sortDiagnostics(report.diagnostics.filter((each) => !isOfView(each))), style),
  ].filter((piece) => piece !== '');
  if (pieces.length === 0) return;
  const isEmpty = report.programs.length === 0;
  yield `${isEmpty ? '\n' : ''}${pieces.join('')}${isEmpty ? '' : '\n'}`;
}

/** Which machine, and when. A capture does not say whose it is. */
function renderPlace({ host, finishedAt, programs }: LiveReport, { width }: Style, { dim }: Palette): string {
  const { hostname, kernelRelease } = host;
  const isCapture = programs.some(({ knownFrom }) => knownFrom === 'capture');
  const place = `${escapeName(hostname)}, Linux ${escapeText(kernelRelease)}, ${escapeText(finishedAt)}`;
  const words = isCapture ? `captured programs; their code was looked for on ${place}` : place;
  return `${flowWords(words, { used: 0, indent: 2, gap: 1, width }, dim)}\n`;
}

/** Of a view that is not complete, which its own line says. */
function isOfView({ code }: Diagnostic): boolean {
  return code.startsWith('view-');
}

function renderSummary(summary: LiveSummary, { width }: Style, { bold, dim, yellow }: Palette): string {
  const { programs, explained, unexplained, sources, elapsedMs, interrupted } = summary;
  const where = { used: 0, indent: 2, gap: 1, width };
  const cells = [
    { text: `${plural(programs, 'program')}:`, paint: bold },
    { text: `${explained} explained,`, paint: bold },
    { text: `${unexplained} unexplained,`, paint: bold },
    { text: `${plural(sources, 'source')} searched,`, paint: dim },
    { text: formatDuration(elapsedMs), paint: dim },
  ];
  const stopped = interrupted ? `${yellow('interrupted: the rest was not searched')}\n` : '';
  return `${stopped}${flow(cells, where)}\n`;
}
