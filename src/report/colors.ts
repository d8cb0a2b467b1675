// The few ways in which text is set apart on a terminal that has colours.
// Painted text has the width of the text it was made of; measure before painting.

export type Paint = (text: string) => string;

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

export const plain: Paint = (text) => text;

export function palette(color: boolean): Palette {
  return color ? COLORS : PLAIN;
}

const PLAIN: Palette = { bold: plain, dim: plain, red: plain, yellow: plain, cyan: plain };

/** ECMA-48 SGR: each rendition with the code that takes it back, so that no other one is disturbed. */
const COLORS: Palette = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  yellow: sgr(33, 39),
  cyan: sgr(36, 39),
};

function sgr(on: number, off: number): Paint {
  return (text) => (text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`);
}
