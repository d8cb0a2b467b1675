// One object on one screen: what it is, its programs, maps and externs, its types, and what is odd about it.
// Folds long tables on a terminal; everything is in the parts that can be asked for, and in JSON.
import type { SubprogramDetails } from '../object/describe.ts';
import type { InspectedObject, InspectReport } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { flowList, flowWords } from './columns.ts';
import { escapeName, escapePath, escapePhrase } from './escape.ts';
import { renderFilter } from './filter.ts';
import { coreVerdict } from './inspect-core.ts';
import { formFacts } from './inspect-form.ts';
import { mapTable } from './inspect-maps.ts';
import { kindWords } from './kind.ts';
import { renderObjectDiagnostics } from './problems.ts';
import { attachWords, programTitle } from './program.ts';
import { renderSourceHeader } from './source-header.ts';
import type { Style } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { predictionWords, tagWords } from './tags.ts';
import { formatBytes, formatCount, plural } from './units.ts';

type InspectedProgram = InspectedObject['programs'][number];

const INDENT = 2;
const LABEL = 9;
const SHORT_HASH = 12;
/** Rows of a table on a terminal, unless -v is given. */
const ROWS = 24;

export function* renderOverview(
  object: InspectedObject,
  report: InspectReport,
  style: Style,
  colors: Palette,
): Generator<string> {
  const fact = (label: string, text: string) => renderFact(label, text, style, colors);
  const { btf: _btf, ...carved } = object;
  yield renderSourceHeader([carved], style, colors);
  yield fact(titleOf(object), `${placeOf(object)}, ${extentOf(object)}`);
  yield renderDigest('sha256', object.sha256, colors);
  for (const { label, text, whole } of formFacts(object))
    yield whole ? renderDigest(label, text, colors) : fact(label, text);
  if (object.license !== undefined) yield fact('license', escapePhrase(object.license));
  yield* renderSources(object, style, colors);
  yield* renderHelpers(object, style, colors);
  if (object.btf) yield fact('btf', plural(countTypes(object), 'type'));
  if (object.coreRelocations.length > 0) {
    const kernel = report.kernelBtf === undefined ? undefined : escapePath({ path: report.kernelBtf });
    yield fact('co-re', coreVerdict(object.coreRelocations, kernel));
  }
  yield* section('program', programRows(object.programs), PROGRAM_COLUMNS, style, colors);
  if (style.verbose > 0) yield* renderUses(object, style, colors);
  yield* section('subprogram', subprogramRows(object.subprograms), SUBPROGRAM_COLUMNS, style, colors);
  const maps = mapTable(object.maps);
  yield* section('map', maps.rows, maps.columns, style, colors);
  const externs = object.externs.map(({ name, kind, weak }) => [escapeName(name), kind, weak ? 'weak' : '']);
  yield* section('extern', externs, [{ title: 'name' }, { title: 'kind' }, { title: '' }], style, colors);
  if (object.kind === 'classic-filter') {
    yield `\n${' '.repeat(INDENT)}${colors.bold(plural(object.instructions, 'instruction'))}\n`;
    yield renderFilter(object.filter, ROWS - 1, 2 * INDENT, style, colors);
  }
  if (object.kind === 'btf') {
    yield* section(
      'function',
      object.functions.map((name) => [escapeName(name)]),
      [{ title: 'name' }],
      style,
      colors,
    );
    yield* section(
      'variable',
      variableRows(object.variables),
      [{ title: 'name' }, { title: 'section' }],
      style,
      colors,
    );
  }
  if (object.diagnostics.length === 0) return;
  yield `\n${renderObjectDiagnostics(object.diagnostics, INDENT, style, colors)}`;
}

/** The head of an object of which only parts are shown. */
export function renderIdentity(object: InspectedObject, style: Style, colors: Palette): string {
  const { btf: _btf, ...carved } = object;
  const head = renderSourceHeader([carved], style, colors);
  const { size, sha256 } = object;
  const kind = kindWords(object);
  const words = [placeOf(object), formatBytes(size), `sha256 ${sha256.slice(0, SHORT_HASH)}`, ...(kind ? [kind] : [])];
  return `${head}${renderFact(titleOf(object), words.join(', '), style, colors)}`;
}

/** What its place and extent stand behind. */
function titleOf({ kind }: InspectedObject): string {
  return kind === 'object' ? 'object' : 'found';
}

function placeOf({ offset, address = '', size, within, source }: InspectedObject): string {
  if (offset === 0 && source.kind !== 'process' && size === source.size) return 'the whole file';
  const place = `at ${offset === undefined ? address : `0x${offset.toString(16)}`}`;
  return within?.section === undefined ? place : `${place} in ${escapeName(within.section)}`;
}

function extentOf({ size, completeness }: InspectedObject): string {
  const bytes = size < 1024 ? '' : ` (${formatBytes(size)})`;
  return `${plural(size, 'byte')}${bytes}, ${completeness}`;
}

function countTypes({ btf }: InspectedObject): number {
  const types = btf?.types ?? 0;
  return typeof types === 'number' ? types : types.length;
}

function* renderSources({ programs, subprograms }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  const files = [...new Set([...programs, ...subprograms].flatMap(({ sourceFile }) => sourceFile ?? []))];
  if (files.length > 0) yield renderList('source', files.map(escapePhrase), style, colors);
}

function* renderHelpers({ programs }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  const helpers = [...new Set(programs.flatMap((program) => program.helpers))].sort();
  if (helpers.length > 0) yield renderList('helpers', helpers.map(escapeName), style, colors);
}

function renderFact(label: string, text: string, { width }: Style, { dim }: Palette): string {
  const used = INDENT + LABEL;
  return `${' '.repeat(INDENT)}${dim(label.padEnd(LABEL))}${flowWords(text, { used, indent: used + 1, gap: 1, width })}\n`;
}

/** A digest is copied whole or not at all: it may be longer than the line. */
function renderDigest(label: string, text: string, { dim }: Palette): string {
  return `${' '.repeat(INDENT)}${dim(label.padEnd(LABEL))} ${text}\n`;
}

function renderList(
  label: string,
  names: readonly string[],
  { width, verbose }: Style,
  { dim }: Palette,
  indent = INDENT,
): string {
  const used = indent + LABEL;
  const lines = verbose > 0 ? Number.POSITIVE_INFINITY : 3;
  const list = flowList(names, lines, { used, indent: used + 1, gap: 1, width });
  return `${' '.repeat(indent)}${dim(label.padEnd(LABEL))}${list}\n`;
}

const PROGRAM_COLUMNS: readonly Column[] = [
  { title: 'name' },
  { title: 'type' },
  { title: 'section' },
  { title: 'insns', align: 'right' },
  { title: 'tag' },
  { title: '' },
];

function programRows(programs: readonly InspectedProgram[]): string[][] {
  return programs.map((program) => [
    program.name === undefined ? '' : escapeName(program.name),
    program.type === undefined ? '' : escapeName(String(program.type)),
    program.section === undefined ? '' : escapeName(program.section),
    formatCount(program.instructions),
    tagWords(program)[0] ?? '',
    traits(program).join(', '),
  ]);
}

/** What the section name does not say plainly. */
function traits(program: InspectedProgram): string[] {
  const { sleepable, autoload, subprograms } = program;
  const said = attachWords(program);
  if (sleepable) said.push('sleepable');
  if (autoload === false) said.push('not loaded by default');
  if (subprograms.length > 0) said.push(`+ ${plural(subprograms.length, 'subprogram')}`);
  return said;
}

/** `-v`: what each program refers to, its subprograms included. */
function* renderUses({ programs }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  for (const program of programs) {
    const { helpers, maps, externs, subprograms, sourceFile, tags = [] } = program;
    yield `\n${' '.repeat(2 * INDENT)}${programTitle(program)}\n`;
    const lists = [
      ['tags', tags.map(predictionWords)],
      ['helpers', helpers.map(escapeName)],
      ['maps', maps.map(escapeName)],
      ['externs', externs.map(escapeName)],
      ['calls', subprograms.map(escapeName)],
      ['source', sourceFile === undefined ? [] : [escapePhrase(sourceFile)]],
    ] as const;
    for (const [label, names] of lists) {
      if (names.length > 0) yield renderList(label, names, style, colors, 3 * INDENT);
    }
  }
}

const SUBPROGRAM_COLUMNS: readonly Column[] = [
  { title: 'name' },
  { title: 'binding' },
  { title: 'section' },
  { title: 'insns', align: 'right' },
];

function subprogramRows(subprograms: readonly SubprogramDetails[]): string[][] {
  return subprograms.map(({ name, binding, section: home, instructions }) => [
    escapeName(name),
    String(binding),
    escapeName(home),
    formatCount(instructions),
  ]);
}

function variableRows(variables: Readonly<Record<string, readonly string[]>>): string[][] {
  return Object.entries(variables).flatMap(([home, names]) =>
    names.map((name) => [escapeName(name), escapeName(home)]),
  );
}

function* section(
  what: string,
  rows: readonly (readonly string[])[],
  columns: readonly Column[],
  style: Style,
  colors: Palette,
): Generator<string> {
  if (rows.length === 0) return;
  yield `\n${' '.repeat(INDENT)}${colors.bold(plural(rows.length, what))}\n`;
  const isFolded = style.width !== Number.POSITIVE_INFINITY && style.verbose === 0 && rows.length > ROWS;
  const shown = isFolded ? rows.slice(0, ROWS - 1) : rows;
  yield* renderTable(columns, shown, { indent: 2 * INDENT, width: style.width, colors });
  if (isFolded)
    yield `${' '.repeat(2 * INDENT)}${colors.dim(`and ${rows.length - shown.length} more; -v lists them`)}\n`;
}
