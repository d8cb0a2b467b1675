// The text of a classic filter, its instructions numbered as its jumps count them.
import type { Palette } from './colors.ts';
import { escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { formatCount } from './units.ts';
import { shortenMiddle } from './width.ts';

/** `lines` of it on a terminal, unless there are hardly more; whole with -v and where nothing is cut. */
export function renderFilter(
  filter: readonly string[],
  lines: number,
  indent: number,
  { width, verbose }: Style,
  { dim }: Palette,
): string {
  const isFolded = verbose === 0 && width !== Number.POSITIVE_INFINITY && filter.length > lines + 1;
  const shown = isFolded ? filter.slice(0, lines) : filter;
  const margin = ' '.repeat(indent);
  const numbers = String(filter.length - 1).length;
  const room = Math.max(NARROWEST, width - indent - numbers - GAP.length);
  const text = shown.map(
    (line, at) => `${margin}${dim(String(at).padStart(numbers))}${GAP}${shortenMiddle(escapeText(line), room)}\n`,
  );
  if (isFolded) {
    const rest = `and ${formatCount(filter.length - lines)} more; -v shows them`;
    text.push(`${margin}${' '.repeat(numbers)}${GAP}${dim(rest)}\n`);
  }
  return text.join('');
}

const GAP = '  ';
const NARROWEST = 16;
