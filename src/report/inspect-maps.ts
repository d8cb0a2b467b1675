// The maps of an object: a row each, or each with its types, what is put into it, and the variables and strings of global data.
import type { MapDetails } from '../object/describe-maps.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapeName, escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { plural } from './units.ts';

const INDENT = 2;

export interface MapTable {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

export function mapTable(maps: readonly Omit<MapDetails, 'origin'>[]): MapTable {
  return {
    columns: [
      { title: 'name' },
      { title: 'type' },
      { title: 'key', align: 'right' },
      { title: 'value', align: 'right' },
      { title: 'max', align: 'right' },
      { title: 'flags', align: 'right' },
    ],
    rows: maps.map(({ name, type, keySize, valueSize, maxEntries, flags }) => [
      escapeName(name),
      type === undefined ? '' : escapeName(String(type)),
      number(keySize),
      number(valueSize),
      number(maxEntries),
      flags === undefined || flags === 0 ? '' : `0x${flags.toString(16)}`,
    ]),
  };
}

/** `--maps`: everything about each. */
export function* renderMaps({ maps }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  yield `\n${colors.bold(plural(maps.length, 'map'))}\n`;
  for (const map of maps) {
    const { columns, rows } = mapTable([map]);
    const [row = []] = rows;
    const facts = row.slice(1).map((cell, at) => (cell === '' ? '' : `${FACTS[at] ?? ''}${cell}`));
    const words = facts.filter((fact) => fact !== '').join(', ');
    yield line(INDENT, `${columns.length > 0 ? row[0] : ''}  ${words}`, style);
    for (const [label, text] of details(map)) yield fact(label, text, style, colors);
    yield* renderVariables(map, style, colors);
    yield* renderStrings(map, style, colors);
  }
}

/** In front of the columns after the name. */
const FACTS = ['', 'key ', 'value ', 'max ', 'flags '];

function* details(map: MapDetails): Generator<readonly [label: string, text: string]> {
  const { keyType, valueType, pinning, numaNode, mapExtra, inner, initialValues = [] } = map;
  if (keyType !== undefined) yield ['key', escapeText(keyType)];
  if (valueType !== undefined) yield ['value', escapeText(valueType)];
  if (pinning !== undefined) yield ['pinning', String(pinning)];
  if (numaNode !== undefined) yield ['node', String(numaNode)];
  if (mapExtra !== undefined) yield ['extra', String(mapExtra)];
  if (inner !== undefined) {
    const [row = []] = mapTable([{ name: '', ...inner }]).rows;
    yield [
      'inner',
      row
        .slice(1)
        .flatMap((cell, at) => (cell === '' ? [] : `${FACTS[at] ?? ''}${cell}`))
        .join(', '),
    ];
  }
  for (const { slot, offset, name } of initialValues) {
    yield [slot === undefined ? `+0x${offset.toString(16)}` : `[${slot}]`, escapeName(name)];
  }
}

function* renderVariables({ variables = [] }: MapDetails, { width }: Style, colors: Palette): Generator<string> {
  if (variables.length === 0) return;
  const rows = variables.map(({ name, offset, size, type }) => [
    `0x${offset.toString(16)}`,
    String(size),
    escapeName(name),
    type === undefined ? '' : escapeText(type),
  ]);
  const columns: readonly Column[] = [
    { title: 'at', align: 'right', paint: colors.dim },
    { title: 'bytes', align: 'right', paint: colors.dim },
    { title: 'variable' },
    { title: 'type', paint: colors.dim },
  ];
  yield* renderTable(columns, rows, { indent: 3 * INDENT, width, colors });
}

function* renderStrings({ strings = [] }: MapDetails, { width }: Style, colors: Palette): Generator<string> {
  if (strings.length === 0) return;
  const rows = strings.map(({ offset, text }) => [`0x${offset.toString(16)}`, `"${escapeText(text)}"`]);
  const columns: readonly Column[] = [{ title: 'at', align: 'right', paint: colors.dim }, { title: 'string' }];
  yield* renderTable(columns, rows, { indent: 3 * INDENT, width, colors });
}

function line(indent: number, text: string, { width }: Style): string {
  const where = { used: indent - 1, indent: indent + 4, gap: 1, width };
  return `${' '.repeat(indent - 1)}${flowWords(text, where)}\n`;
}

function fact(label: string, text: string, { width }: Style, { dim }: Palette): string {
  const used = 3 * INDENT + 9;
  const where = { used: used - 1, indent: used, gap: 1, width };
  return `${' '.repeat(3 * INDENT)}${dim(label.padEnd(8))}${flowWords(text, where)}\n`;
}

function number(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}
