// Rows under titles, their columns aligned. Where the lines are too short for all columns, the rows go on at an indent.
// Takes escaped text; says nothing of its own.
import { type Paint, type Palette, plain } from './colors.ts';
import { displayWidth, shortenMiddle, widest } from './width.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'right';
  readonly paint?: Paint;
}

export interface TablePlace {
  /** Columns of space before every row. */
  readonly indent: number;
  /** Columns of a line; `Infinity` for no limit. */
  readonly width: number;
  readonly colors: Palette;
}

const GAP = 2;
/** What goes on another line begins this much further right than the row. */
const HANGING = 4;
const NARROWEST = 16;

/** Lines for `rows`, each of as many cells as there are columns, below a line of titles. Columns without any text are left out. */
export function* renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  place: TablePlace,
): Generator<string> {
  const used = columns.map((_, at) => rows.some((row) => row[at] !== ''));
  const kept = <T>(cells: readonly T[]) => cells.filter((_, at) => used[at]);
  const shown = kept(columns);
  const body = rows.map(kept);
  const widths = shown.map(({ title }, at) => Math.max(title.length, widest(body.map((row) => row[at] ?? ''))));
  const slots = layOut(widths, place);
  const titles = shown.map(({ title }) => title);
  yield renderRow(
    titles,
    slots,
    shown.map((column) => ({ ...column, paint: place.colors.dim })),
    place,
  );
  for (const row of body) yield renderRow(row, slots, shown, place);
}

/** Where a column begins, and on which line of its row. */
interface Slot {
  readonly line: number;
  readonly start: number;
  readonly width: number;
}

/** Texts longer than two thirds of a line push what follows them to another line, rather than widen the column for all rows. */
function layOut(widths: readonly number[], { indent, width }: TablePlace): Slot[] {
  const most = width === Number.POSITIVE_INFINITY ? width : Math.max(NARROWEST, Math.floor((width * 2) / 3));
  let line = 0;
  let start = indent;
  return widths.map((wanted) => {
    const own = Math.min(wanted, most);
    if (start + own > width && start > indent + HANGING) {
      line++;
      start = indent + HANGING;
    }
    const slot = { line, start, width: own };
    start += own + GAP;
    return slot;
  });
}

function renderRow(
  cells: readonly string[],
  slots: readonly Slot[],
  columns: readonly Column[],
  { width }: TablePlace,
): string {
  let text = '';
  let line = 0;
  let cursor = 0;
  cells.forEach((cell, at) => {
    const slot = slots[at];
    if (cell === '' || slot === undefined) return;
    const piece = shortenMiddle(cell, Math.max(NARROWEST, width - slot.start));
    const columnsTaken = displayWidth(piece);
    const start = columns[at]?.align === 'right' ? slot.start + Math.max(0, slot.width - columnsTaken) : slot.start;
    if (slot.line > line || (cursor > 0 && cursor + 1 > start)) {
      text += '\n';
      cursor = 0;
      line = slot.line;
    }
    text += ' '.repeat(start - cursor) + (columns[at]?.paint ?? plain)(piece);
    cursor = start + columnsTaken;
  });
  return `${text}\n`;
}
