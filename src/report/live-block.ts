// Programs in full: a row, and below it everything that is known. Of copies, what they have in common stands once.
import type { ProgramGroup } from '../host/records.ts';
import type { ExplainedProgram } from '../scan/live-report.ts';
import type { Palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapeText } from './escape.ts';
import { type Entry, idWords } from './live-entries.ts';
import { type Fact, type FactPlace, renderFact } from './live-fact.ts';
import type { FactFinder } from './live-facts.ts';
import { type RowColumns, renderRow } from './live-row.ts';
import type { Style } from './style.ts';
import { plural } from './units.ts';
import { widest } from './width.ts';

export interface BlockPlace {
  readonly columns: RowColumns;
  readonly finder: FactFinder;
  readonly groups: ReadonlyMap<number, ProgramGroup>;
  /** Whether every item of every fact is wanted. */
  readonly full: boolean;
  readonly style: Style;
  readonly colors: Palette;
}

export function* renderBlock(entry: Entry, place: BlockPlace): Generator<string> {
  const { columns, finder, full, style, colors } = place;
  yield renderRow(entry, columns, style, colors);
  const where: FactPlace = { indent: columns.indent, full, style, colors };
  const facts = entry.map((program) => finder.of(program));
  const common = (facts[0] ?? []).filter((fact) =>
    facts.every((others) => others.some((other) => isSame(fact, other))),
  );
  const own = facts.map((each) => each.filter((fact) => !common.some((shared) => isSame(shared, fact))));
  for (const fact of common) yield renderFact(fact, where);
  if (entry.length === 1) yield renderFact(siblings(entry[0], place.groups), where);
  else if (full) yield* renderCopies(entry, own, where);
  else for (const fact of summarise(entry, own)) yield renderFact(fact, where);
}

function isSame(a: Fact, b: Fact): boolean {
  return a.label === b.label && a.items.length === b.items.length && a.items.every((item, at) => item === b.items[at]);
}

/** One line a copy: what tells it from the others. */
function* renderCopies(
  entry: Entry,
  own: readonly (readonly Fact[])[],
  { indent, style, colors }: FactPlace,
): Generator<string> {
  const labels = entry.map(({ id }) => String(id ?? '-'));
  const used = indent + widest(labels) + 1;
  const where = { used, indent: used + 3, gap: 1, width: style.width };
  for (const [at, label] of labels.entries()) {
    const words = (own[at] ?? []).map((fact) => `${fact.label} ${fact.items.join(', ')}`.trim()).join('; ');
    const head = ' '.repeat(used - 1 - label.length) + colors.bold(label);
    yield words === '' ? `${head}\n` : `${head} ${flowWords(words, where)}\n`;
  }
}

/** What copies differ in, each thing once; the time of loading as a span. */
function summarise(entry: Entry, own: readonly (readonly Fact[])[]): Fact[] {
  const times = entry.flatMap(({ loadedAt }) => loadedAt ?? []).sort();
  const merged = new Map<string, { fact: Fact; items: Set<string> }>();
  for (const fact of own.flat()) {
    const known = merged.get(fact.label);
    if (known === undefined) merged.set(fact.label, { fact, items: new Set(fact.items) });
    else for (const item of fact.items) known.items.add(item);
  }
  return [...merged.values()].map(({ fact, items }) =>
    fact.label === 'loaded' ? { label: fact.label, items: [spanWords(times, entry)] } : { ...fact, items: [...items] },
  );
}

function spanWords(times: readonly string[], entry: Entry): string {
  const uids = [...new Set(entry.flatMap(({ uid }) => uid ?? []))].sort((a, b) => a - b);
  const span = times.length === 0 ? '' : `${escapeText(times[0] ?? '')} to ${escapeText(times.at(-1) ?? '')}`;
  const by = uids.length === 0 ? '' : `by uid ${uids.join(', ')}`;
  return `${span} ${by}`.trim();
}

/** A program that was picked from among its copies. */
function siblings({ id }: ExplainedProgram, groups: BlockPlace['groups']): Fact {
  const group = id === undefined ? undefined : groups.get(id);
  const items = group === undefined ? [] : [`one of ${plural(group.count, 'copy', 'copies')}, ${idWords(group.ids)}`];
  return { label: 'copies', items };
}
