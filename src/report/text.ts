// The report for people: what was found by file and process, then what went wrong, then one summary.
// Prints every string of an input escaped, and nothing by colour alone.
import type { CarvedObject, ScanReport } from '../scan/events.ts';
import { collectReport } from './collect.ts';
import { palette } from './colors.ts';
import { objectColumns, renderObject } from './object.ts';
import { sourceKey } from './order.ts';
import { renderProblems } from './problems.ts';
import { type Group, joinAlike, Places, renderAlso, renderProcesses } from './processes.ts';
import { renderSourceHeader } from './source-header.ts';
import type { Renderer, Style } from './style.ts';
import { renderSummary } from './summary.ts';

export const renderText: Renderer = async function* (events, style) {
  const report = await collectReport(events);
  const groups = groupBySource(report.objects);
  yield* renderGroups(groups, report, style);
  if (style.quiet) return;
  const problems = renderProblems(report.diagnostics, style);
  if (problems !== '') yield `${problems}\n`;
  yield renderSummary(report.summary, report.objects, groups.length, style);
};

/** Runs of objects from one source; `objects` are in the order of a report. */
function groupBySource(objects: readonly CarvedObject[]): readonly Group[] {
  const groups: [CarvedObject, ...CarvedObject[]][] = [];
  let last: string | undefined;
  for (const object of objects) {
    const key = sourceKey(object.source);
    if (key === last) groups.at(-1)?.push(object);
    else groups.push([object]);
    last = key;
  }
  return groups;
}

function* renderGroups(groups: readonly Group[], report: ScanReport, style: Style): Generator<string> {
  const colors = palette(style.color);
  const numbers = numberContents(report.objects);
  const columns = objectColumns(report.objects, numbers.size, style);
  const places = new Places(report.objects);
  const printed = new Set<string>();
  for (const alike of joinAlike(groups)) {
    const [group, ...others] = alike;
    const isProcess = group[0].source.kind === 'process';
    yield isProcess ? renderProcesses(alike, style, colors) : renderSourceHeader(group, style, colors);
    for (const [index, object] of group.entries()) {
      const number = numbers.get(object.sha256) ?? 0;
      const isRepeat = printed.has(object.sha256);
      yield renderObject(object, { number, isRepeat, onDisk: places.onDisk(object), columns, style, colors });
      if (!isRepeat) yield places.renderHolders(object, columns.indent, style, colors);
      const same = others.map((other) => other[index]).filter((other) => other !== undefined);
      yield renderAlso(same, columns.indent, style, colors);
      printed.add(object.sha256);
    }
    yield '\n';
  }
}

/** A number for every distinct content, from 1, in the order of the report. */
function numberContents(objects: readonly CarvedObject[]): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const { sha256 } of objects) if (!numbers.has(sha256)) numbers.set(sha256, numbers.size + 1);
  return numbers;
}
