// The report of an inspection for people: one object on a screen, the parts that were asked for, or the list of several.
// Prints every string of an input escaped, and nothing by colour alone.
import type { InspectedObject, InspectReport } from '../scan/inspect.ts';
import { type Palette, palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { renderCode } from './inspect-code.ts';
import { renderCore } from './inspect-core.ts';
import { renderMaps } from './inspect-maps.ts';
import { renderIdentity, renderOverview } from './inspect-overview.ts';
import { renderRelocations, renderSections, renderSymbols } from './inspect-tables.ts';
import { renderTypes } from './inspect-types.ts';
import { objectColumns, renderObject } from './object.ts';
import { sortDiagnostics } from './order.ts';
import { renderProblems } from './problems.ts';
import { renderSourceHeader } from './source-header.ts';
import type { Style } from './style.ts';
import { formatBytes } from './units.ts';

/** The parts to show whole; without any, the overview. Code and types are shown when the report has them. */
export interface InspectViews {
  readonly sections: boolean;
  readonly symbols: boolean;
  readonly relocations: boolean;
  readonly maps: boolean;
  readonly core: boolean;
}

export function* renderInspect(report: InspectReport, views: InspectViews, style: Style): Generator<string> {
  const colors = palette(style.color);
  const [first, ...others] = report.objects;
  if (first === undefined) yield* renderNothing(report, style);
  else if (others.length === 0 && showsTypesAlone(first, views)) yield* renderTypes(first);
  else if (showsParts(first, views)) yield* renderParts(report, views, style, colors);
  else if (others.length === 0) yield* renderOverview(first, report, style, colors);
  else yield* renderList(report.objects, style, colors);
  if (style.quiet) return;
  // Without an object, why candidates were rejected is the answer.
  const problems = renderProblems(sortDiagnostics(report.diagnostics), {
    ...style,
    verbose: Math.max(style.verbose, first === undefined ? 1 : 0),
  });
  if (problems !== '') yield `${first === undefined ? '' : '\n'}${problems}`;
}

function* renderNothing({ diagnostics, summary, objects: _none }: InspectReport, style: Style): Generator<string> {
  if (diagnostics.some(({ severity }) => severity === 'error')) return;
  const where = { used: 0, indent: 2, gap: 1, width: style.width };
  yield `${flowWords(`No eBPF object found in ${formatBytes(summary.bytes)}.`, where)}\n`;
}

function showsParts(object: InspectedObject, views: InspectViews): boolean {
  return showsTables(views) || hasCode(object) || object.btf?.listing !== undefined;
}

/** A header for a compiler, or what bpftool prints: nothing else may stand around it. */
function showsTypesAlone(object: InspectedObject, views: InspectViews): boolean {
  return !showsTables(views) && !hasCode(object) && object.btf?.listing !== undefined;
}

function showsTables({ sections, symbols, relocations, maps, core }: InspectViews): boolean {
  return sections || symbols || relocations || maps || core;
}

function hasCode({ programs, subprograms }: InspectedObject): boolean {
  return [...programs, ...subprograms].some(({ code }) => code !== undefined);
}

function* renderParts(
  { objects, kernelBtf }: InspectReport,
  views: InspectViews,
  style: Style,
  colors: Palette,
): Generator<string> {
  for (const [at, object] of objects.entries()) {
    if (at > 0) yield '\n';
    yield renderIdentity(object, style, colors);
    if (views.sections) yield* renderSections(object, style, colors);
    if (views.symbols) yield* renderSymbols(object, style, colors);
    if (views.relocations) yield* renderRelocations(object, style, colors);
    if (views.maps) yield* renderMaps(object, style, colors);
    if (views.core) yield* renderCore(object, kernelBtf, style, colors);
    if (object.btf?.listing !== undefined) yield `\n${colors.bold('types')}\n`;
    yield* renderTypes(object);
    yield* renderCode(object, style, colors);
  }
}

/** As a scan shows them, and how to see more of one. */
function* renderList(inspected: readonly InspectedObject[], style: Style, colors: Palette): Generator<string> {
  // The list needs no types.
  const objects = inspected.map(({ btf: _btf, ...object }) => object);
  const numbers = new Map<string, number>();
  for (const { sha256 } of objects) if (!numbers.has(sha256)) numbers.set(sha256, numbers.size + 1);
  const columns = objectColumns(objects, numbers.size, style);
  const printed = new Set<string>();
  for (const object of objects) {
    if (printed.size === 0) yield renderSourceHeader([object], style, colors);
    const number = numbers.get(object.sha256) ?? 0;
    yield renderObject(object, { number, isRepeat: printed.has(object.sha256), columns, style, colors });
    printed.add(object.sha256);
  }
  if (style.quiet) return;
  const { offset = 0, address = `0x${offset.toString(16)}` } = objects[0] ?? {};
  const hint = `--at ${address} shows the first of these ${objects.length} in full.`;
  yield `\n${flowWords(hint, { used: 0, indent: 2, gap: 1, width: style.width }, colors.dim)}\n`;
}
