// The columns that text takes on a terminal. Stands in for the package `string-width`, by which yargs and ora reckon: its tables
// of emoji and of wide characters take longer to set up than the rest of a start, and the command line speaks plain English.
import { stripVTControlCharacters } from 'node:util';

/** Columns of text in which every character takes one. Colours take none. */
export default function textWidth(text: string): number {
  return stripVTControlCharacters(text).length;
}
