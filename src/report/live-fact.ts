// One fact of a program: a label, and what is to be said, item by item.
// Folds what is long; words come from elsewhere.
import type { Palette } from './colors.ts';
import { flow, flowWords } from './columns.ts';
import type { Style } from './style.ts';
import { formatCount } from './units.ts';

export interface Fact {
  /** Empty where it goes on from the fact before. */
  readonly label: string;
  /** Escaped. Without any, there is nothing to say. */
  readonly items: readonly string[];
  /** Short items, which share lines. */
  readonly list?: true;
  /** Items that are copied whole or not at all: they may be longer than a line. */
  readonly whole?: true;
}

export interface FactPlace {
  /** Columns of space before the label. */
  readonly indent: number;
  /** Whether every item is wanted. */
  readonly full: boolean;
  readonly style: Style;
  readonly colors: Palette;
}

const LABEL = 10;
/** Items that are shown, unless there are hardly more. */
const SHOWN = 3;
const SHOWN_IN_LIST = 12;

export function renderFact({ label, items, list, whole }: Fact, place: FactPlace): string {
  const { indent, full, style, colors } = place;
  if (items.length === 0) return '';
  const most = full ? Number.POSITIVE_INFINITY : list ? SHOWN_IN_LIST : SHOWN;
  const shown = items.length <= most + 1 ? items : items.slice(0, most);
  const rest = items.length - shown.length;
  const more = rest > 0 ? [`and ${formatCount(rest)} more; -v lists them`] : [];
  const start = indent + LABEL;
  const where = { used: start, indent: start, gap: 1, width: style.width };
  const head = `${' '.repeat(indent)}${colors.dim(label.padEnd(LABEL))}`;
  if (list) {
    const all = [...shown, ...more];
    const cells = all.map((text, at) => ({ text: at < all.length - 1 ? `${text},` : text }));
    return `${head} ${flow(cells, { ...where, used: start + 1, indent: start + 1 }).trimStart()}\n`;
  }
  const lines = [...shown, ...more].map((item) =>
    whole ? ` ${item}` : flowWords(item, { ...where, indent: start + 3 }),
  );
  return lines.map((line, at) => `${at === 0 ? head : ' '.repeat(start)}${line}\n`).join('');
}
