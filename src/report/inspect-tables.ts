// The ELF tables of an object: sections, symbols, relocations.
import type { RelocationMeaning, SectionRecord } from '../object/tables.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { escapeName } from './escape.ts';
import type { Style } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { plural } from './units.ts';

const INDENT = 2;

export function renderSections({ sections }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  const rows = sections.map((section) => [
    String(section.index),
    section.name === '' ? '' : escapeName(section.name),
    String(section.type),
    flagLetters(section),
    hex(section.offset),
    hex(section.size),
    section.link === 0 ? '' : String(section.link),
    section.info === 0 ? '' : String(section.info),
    String(section.alignment),
    section.entrySize === 0 ? '' : String(section.entrySize),
  ]);
  const columns: readonly Column[] = [
    { title: '#', align: 'right', paint: colors.dim },
    { title: 'name' },
    { title: 'type' },
    { title: 'flags' },
    { title: 'offset', align: 'right' },
    { title: 'size', align: 'right' },
    { title: 'link', align: 'right' },
    { title: 'info', align: 'right' },
    { title: 'align', align: 'right' },
    { title: 'entry', align: 'right' },
  ];
  return renderPart(plural(sections.length, 'section'), columns, rows, style, colors);
}

export function renderSymbols({ symbols }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  const rows = symbols.map((symbol) => [
    String(symbol.index),
    symbol.name === '' ? '' : escapeName(symbol.name),
    String(symbol.type),
    String(symbol.binding),
    String(symbol.visibility),
    symbol.sectionIndex === undefined ? String(symbol.section) : escapeName(String(symbol.section)),
    hex(symbol.value),
    symbol.size === 0 ? '' : String(symbol.size),
  ]);
  const columns: readonly Column[] = [
    { title: '#', align: 'right', paint: colors.dim },
    { title: 'name' },
    { title: 'type' },
    { title: 'binding' },
    { title: 'visibility' },
    { title: 'section' },
    { title: 'value', align: 'right' },
    { title: 'size', align: 'right' },
  ];
  return renderPart(plural(symbols.length, 'symbol'), columns, rows, style, colors);
}

export function renderRelocations({ relocations }: InspectedObject, style: Style, colors: Palette): Generator<string> {
  const rows = relocations.map((relocation) => [
    escapeName(relocation.section),
    hex(relocation.offset),
    typeof relocation.type === 'number' ? String(relocation.type) : `R_BPF_${relocation.type}`,
    relocation.symbol === '' ? `symbol ${relocation.symbolIndex}` : escapeName(relocation.symbol),
    relocation.function === undefined ? '' : `${escapeName(relocation.function)} ${relocation.instruction}`,
    relocation.target === undefined ? '' : meaningWords(relocation.target),
  ]);
  const columns: readonly Column[] = [
    { title: 'section' },
    { title: 'offset', align: 'right' },
    { title: 'type' },
    { title: 'symbol' },
    { title: 'function and instruction' },
    { title: 'means' },
  ];
  return renderPart(plural(relocations.length, 'relocation'), columns, rows, style, colors);
}

function* renderPart(
  title: string,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { width }: Style,
  colors: Palette,
): Generator<string> {
  yield `\n${colors.bold(title)}\n`;
  if (rows.length > 0) yield* renderTable(columns, rows, { indent: INDENT, width, colors });
}

function meaningWords(target: RelocationMeaning): string {
  switch (target.kind) {
    case 'map':
      return `map ${escapeName(target.name)}`;
    case 'data':
      return `data ${escapeName(target.name)}+${hex(target.offset)}`;
    case 'extern':
      return `extern ${escapeName(target.name)}`;
    case 'call':
      return `call of ${escapeName(target.name)}`;
    case 'function':
      return `address of ${escapeName(target.name)}`;
    case 'unknown':
      return 'nothing known';
    default:
      return target satisfies never;
  }
}

/** The letters of readelf, for the flags that BPF objects have. */
const FLAGS: readonly (readonly [letter: string, flag: bigint])[] = [
  ['W', 0x1n],
  ['A', 0x2n],
  ['X', 0x4n],
  ['M', 0x10n],
  ['S', 0x20n],
  ['I', 0x40n],
  ['L', 0x80n],
  ['G', 0x200n],
  ['E', 0x8000_0000n],
];

/** Flags without a letter follow as one number. */
function flagLetters({ flags }: SectionRecord): string {
  let rest = BigInt(flags);
  let letters = '';
  for (const [letter, flag] of FLAGS) {
    if ((rest & flag) === 0n) continue;
    letters += letter;
    rest &= ~flag;
  }
  return rest === 0n ? letters : `${letters}${letters === '' ? '' : '+'}0x${rest.toString(16)}`;
}

function hex(value: number | string): string {
  return typeof value === 'number' && value >= 0 ? `0x${value.toString(16)}` : String(value);
}
