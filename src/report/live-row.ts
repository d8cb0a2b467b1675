// The line of a program, or of its copies: id, type, name, tag, and where the code comes from.
import type { Palette } from './colors.ts';
import { type Cell, flow } from './columns.ts';
import { escapeName, escapeText } from './escape.ts';
import { type Entry, idsOf, idWords } from './live-entries.ts';
import { originCells } from './live-origin.ts';
import type { Style } from './style.ts';
import { formatCount, plural } from './units.ts';
import { displayWidth, widest } from './width.ts';

/** Columns that the rows of a whole report share. */
export interface RowColumns {
  readonly label: number;
  readonly type: number;
  readonly name: number;
  /** Where everything below a row begins. */
  readonly indent: number;
}

const GAP = 2;
/** Longer names do not push the tags of all others to the right. */
const MOST = 40;

export function rowColumns(entries: readonly Entry[], { width }: Style): RowColumns {
  const most = Math.min(MOST, Math.floor(width / 4));
  const column = (texts: readonly string[]) => Math.min(most, widest(texts));
  const label = widest(entries.map(labelOf));
  return {
    label,
    type: column(entries.map(typeOf)),
    name: column(entries.map(nameOf)),
    indent: GAP + label + GAP,
  };
}

export function renderRow(entry: Entry, columns: RowColumns, style: Style, colors: Palette): string {
  const [first] = entry;
  const label = labelOf(entry);
  const cells = aligned([
    { text: typeOf(entry), fill: columns.type },
    { text: nameOf(entry), fill: columns.name },
    { text: escapeText(first.tag), paint: colors.cyan },
    ...traits(entry, colors),
    ...originCells(first, colors),
  ]);
  const where = { used: GAP + columns.label, indent: columns.indent, gap: GAP, width: style.width };
  return `${' '.repeat(GAP + columns.label - displayWidth(label))}${colors.bold(label)}${flow(cells, where)}\n`;
}

function labelOf(entry: Entry): string {
  if (entry.length > 1) return `${formatCount(entry.length)} x`;
  return entry[0].id === undefined ? '-' : String(entry[0].id);
}

function typeOf([{ type }]: Entry): string {
  return type === undefined ? '-' : escapeName(String(type));
}

function nameOf([{ name }]: Entry): string {
  return name === undefined || name === '' ? '' : escapeName(name);
}

function traits(entry: Entry, { yellow }: Palette): Cell[] {
  const cells: Cell[] = [];
  if (entry.some(({ unlisted }) => unlisted)) cells.push({ text: 'not listed', paint: yellow });
  if (entry.length === 1) return cells;
  const attachments = entry.reduce((sum, program) => sum + program.attachments.length, 0);
  return [{ text: idWords(idsOf(entry)) }, { text: plural(attachments, 'attachment') }, ...cells];
}

/** An empty cell leaves its columns to the one before it. */
function aligned(cells: readonly (Cell & { readonly text: string })[]): Cell[] {
  const kept: Cell[] = [];
  for (const cell of cells) {
    const before = kept.at(-1);
    if (cell.text !== '' || before === undefined) kept.push(cell);
    else if (cell.fill !== undefined && cell.fill > 0) {
      kept[kept.length - 1] = {
        ...before,
        fill: Math.max(before.fill ?? 0, displayWidth(before.text)) + GAP + cell.fill,
      };
    }
  }
  return kept;
}
