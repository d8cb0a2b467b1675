// How many columns text takes on a terminal, and how it is shortened or filled to fit.
// Expects escaped, unpainted text: everything in it is visible.

/** Columns that `text` takes: two for East Asian wide characters and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** Columns that the widest of `texts` takes. There may be more of them than a call takes arguments. */
export function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, displayWidth(text)), 0);
}

/** `text` in at most `width` columns; what does not fit is left out of the middle, so that both ends of a path stay. */
export function shortenMiddle(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const characters = [...text];
  const tail = Math.floor((width - 1) / 2);
  return `${takeColumns(characters, width - 1 - tail)}…${takeColumns(characters.reverse(), tail, true)}`;
}

/** `text` with spaces behind it up to `width` columns. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

const NARROW = /^[ -~]*$/;
const MARK = /^[\p{Mn}\p{Me}]$/u;
/** Of these only the regional indicators are not East Asian wide, and terminals show pairs of them in two or four columns. */
const EMOJI = /^\p{Emoji_Presentation}$/u;

/**
 * Unicode 16 EastAsianWidth.txt, W and F, without emoji; gaps of unassigned code points are closed, since those are
 * escaped and never measured.
 */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2630, 0x2637],
  [0x268a, 0x268f],
  [0x2e80, 0x303e],
  [0x3041, 0x3247],
  [0x3250, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x1b2ff],
  [0x1d300, 0x1d37f],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];

/** Vowels and finals of Hangul, which combine with the initial before them. */
const HANGUL_COMBINING: readonly (readonly [first: number, last: number])[] = [
  [0x1160, 0x11ff],
  [0xd7b0, 0xd7ff],
];

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (MARK.test(character) || isIn(HANGUL_COMBINING, code)) return 0;
  return isIn(WIDE, code) || EMOJI.test(character) ? 2 : 1;
}

function isIn(ranges: readonly (readonly [number, number])[], code: number): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last);
}

function takeColumns(characters: readonly string[], columns: number, reversed = false): string {
  let used = 0;
  let taken = '';
  for (const character of characters) {
    used += characterWidth(character);
    if (used > columns) break;
    taken = reversed ? character + taken : taken + character;
  }
  return taken;
}
