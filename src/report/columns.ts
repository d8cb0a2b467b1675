// Lays pieces of text out on lines: packed as far as they fit, continued at an indent.
// Measures and breaks; decides nothing about what is said.
import { type Paint, plain } from './colors.ts';
import { displayWidth, shortenMiddle } from './width.ts';

/** A piece that stays on one line: escaped text, and how to paint it once it is measured. */
export interface Cell {
  readonly text: string;
  readonly paint?: Paint;
  /** Columns to fill when another cell follows on the line, so that what follows lines up. */
  readonly fill?: number;
}

export interface Flow {
  /** Columns that the line has already. */
  readonly used: number;
  /** Columns of space before every further line. */
  readonly indent: number;
  /** Columns of space before a cell that does not begin a line. */
  readonly gap: number;
  /** Columns of a line. */
  readonly width: number;
}

/** Room for a cell however narrow the terminal: below this, lines are allowed to be too long. */
const NARROWEST = 16;

/** The cells on as many lines as they need, without a newline at the end. A cell longer than a line loses its middle. */
export function flow(cells: readonly Cell[], { used, indent, gap, width }: Flow): string {
  const longest = Math.max(NARROWEST, width - indent);
  let text = '';
  let column = used;
  let filled = used;
  for (const cell of cells) {
    const piece = shortenMiddle(cell.text, longest);
    const columns = displayWidth(piece);
    if (filled > 0 && filled + gap + columns > width && filled + gap > indent) {
      text += `\n${' '.repeat(indent)}`;
      column = indent;
    } else if (filled > 0) {
      text += ' '.repeat(filled - column + gap);
      column = filled + gap;
    }
    text += (cell.paint ?? plain)(piece);
    filled = column + Math.max(columns, cell.fill ?? 0);
    column += columns;
  }
  return text;
}

/** `names` with commas between them, on at most `lines` lines; those that do not fit are counted. */
export function flowList(names: readonly string[], lines: number, where: Flow): string {
  const all = flowAll(names, where);
  if (where.width === Number.POSITIVE_INFINITY || countLines(all) <= lines) return all;
  // A name takes a column, its comma and a gap at the least.
  const shown = names.slice(0, Math.ceil((where.width * lines) / 3));
  for (;;) {
    shown.pop();
    const folded = flowAll([...shown, `and ${names.length - shown.length} more`], where);
    if (shown.length <= 1 || countLines(folded) <= lines) return folded;
  }
}

/** `text` broken at its spaces. */
export function flowWords(text: string, where: Flow, paint: Paint = plain): string {
  return where.width === Number.POSITIVE_INFINITY
    ? ' '.repeat(where.used > 0 ? where.gap : 0) + paint(text)
    : flow(
        text.split(' ').map((word) => ({ text: word, paint })),
        where,
      );
}

function flowAll(names: readonly string[], where: Flow): string {
  return flow(
    names.map((name, at) => ({ text: at < names.length - 1 ? `${name},` : name })),
    where,
  );
}

function countLines(text: string): number {
  return text.split('\n').length;
}
