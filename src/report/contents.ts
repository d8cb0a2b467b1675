// What a record holds: programs by type, maps, helpers, functions, the text of a filter; with -v, all of it and its facts.
// Repeats what the records say and works nothing out.
import type { CarvedBtf, CarvedInstructions, CarvedObject, CarvedProgram } from '../scan/events.ts';
import type { Palette } from './colors.ts';
import { flowList, flowWords } from './columns.ts';
import { type Entries, renderEntries } from './entries.ts';
import { escapeName } from './escape.ts';
import { renderFilter } from './filter.ts';
import { idWords, programTitle, programType } from './program.ts';
import type { Style } from './style.ts';
import { padEnd, shortenMiddle, widest } from './width.ts';

/** Lines that a list of names may take on a terminal before it is folded, and those of a filter. */
const LINES_OF_NAMES = 2;
const LINES_OF_FILTER = 4;

export function renderContents(record: CarvedObject, indent: number, style: Style, colors: Palette): string {
  switch (record.kind) {
    case 'object':
      return renderPrograms(record, indent, style, colors);
    case 'light-skeleton':
      return renderSkeleton(record, indent, style, colors);
    case 'instructions':
      return renderArray(record, indent, style, colors);
    case 'classic-filter':
      return renderFilter(record.filter, LINES_OF_FILTER, indent, style, colors);
    case 'btf':
      return renderBtf(record, indent, style, colors);
    default:
      throw new TypeError(`unknown kind ${JSON.stringify(record satisfies never)}`);
  }
}

function renderPrograms(held: Entries, indent: number, style: Style, colors: Palette): string {
  if (held.programs.length === 0 && held.maps.length === 0)
    return renderRemark('no programs or maps', indent, style, colors);
  if (style.verbose > 0) return renderEntries(held, indent, style, colors);
  const lists = namesByType(held.programs);
  if (held.maps.length > 0) lists.push(mapList(held.maps.map(({ name }) => name)));
  const loaded = held.programs.filter(({ live }) => live !== undefined);
  if (loaded.length > 0) {
    lists.push(['loaded now', loaded.map((program) => `${programTitle(program)} (${idWords(program.live ?? [])})`)]);
  }
  return renderLists(lists, indent, style, colors);
}

function renderSkeleton(
  skeleton: Extract<CarvedObject, { readonly kind: 'light-skeleton' }>,
  indent: number,
  style: Style,
  colors: Palette,
): string {
  const { loader, data } = skeleton;
  if (style.verbose > 0) return renderEntries({ ...skeleton, loader }, indent, style, colors);
  return data === undefined
    ? renderRemark('only the loader: its programs and maps lie elsewhere', indent, style, colors)
    : renderPrograms(skeleton, indent, style, colors);
}

/** How long it is stands in its row. */
function renderArray({ programs }: CarvedInstructions, indent: number, style: Style, colors: Palette): string {
  const helpers = [...new Set(programs.flatMap((program) => program.helpers))];
  const lists: NameList[] = [];
  if (helpers.length > 0) lists.push([helpers.length === 1 ? 'helper' : 'helpers', helpers.map(escapeName)]);
  const live = programs.flatMap((program) => program.live ?? []);
  if (live.length > 0 && style.verbose === 0) lists.push(['loaded now', live.map((id) => `id ${id}`)]);
  const entries = style.verbose > 0 ? renderEntries({ programs, maps: [] }, indent, style, colors) : '';
  return entries + renderLists(lists, indent, style, colors);
}

function renderBtf({ functions, variables }: CarvedBtf, indent: number, style: Style, colors: Palette): string {
  const lists: NameList[] = [];
  if (functions.length > 0) lists.push([functions.length === 1 ? 'function' : 'functions', functions.map(escapeName)]);
  const { '.maps': maps = [], ...data } = variables;
  if (maps.length > 0) lists.push(mapList(maps));
  for (const [section, names] of Object.entries(data)) {
    lists.push([`in ${escapeName(section)}`, names.map(escapeName)]);
  }
  if (lists.length === 0) return renderRemark('no functions or variables', indent, style, colors);
  return renderLists(lists, indent, style, colors);
}

type NameList = readonly [label: string, names: readonly string[]];

function namesByType(programs: readonly CarvedProgram[]): NameList[] {
  const names = new Map<string, string[]>();
  for (const program of programs) {
    const type = programType(program);
    const list = names.get(type);
    if (list === undefined) names.set(type, [programTitle(program)]);
    else list.push(programTitle(program));
  }
  return [...names];
}

function mapList(names: readonly string[]): NameList {
  return [names.length === 1 ? 'map' : 'maps', names.map(escapeName)];
}

/** A line for each list, behind how many it has of what. */
function renderLists(lists: readonly NameList[], indent: number, { width, verbose }: Style, { dim }: Palette): string {
  const longestLabel = Math.max(SHORT_LABEL, Math.floor(width / 3));
  const labels = lists.map(([label]) => shortenMiddle(label, longestLabel));
  const countWidth = widest(lists.map(([, names]) => String(names.length)));
  const labelWidth = widest(labels);
  const start = indent + countWidth + 1 + labelWidth + 2;
  const lines = verbose > 0 ? Number.POSITIVE_INFINITY : LINES_OF_NAMES;
  return lists
    .map(([, names], at) => {
      const head = `${String(names.length).padStart(countWidth)} ${padEnd(labels[at] ?? '', labelWidth)}`;
      return `${' '.repeat(indent)}${dim(head)} ${flowList(names, lines, { used: start - 1, indent: start, gap: 1, width })}\n`;
    })
    .join('');
}

/** What every program type fits in; sections may be called anything. */
const SHORT_LABEL = 23;

function renderRemark(text: string, indent: number, { width }: Style, { dim }: Palette): string {
  return `${' '.repeat(indent - 1)}${flowWords(text, { used: indent - 1, indent, gap: 1, width }, dim)}\n`;
}
