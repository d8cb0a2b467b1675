// The annotated code of an object: source lines, labels, instructions, and beside these what they refer to.
import type { SubprogramDetails } from '../object/describe.ts';
import type { CodeLine } from '../object/listing.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { type Cell, flow, flowWords } from './columns.ts';
import { escapeName, escapePhrase, escapeText } from './escape.ts';
import { programTitle } from './program.ts';
import type { Style } from './style.ts';
import { plural } from './units.ts';
import { displayWidth } from './width.ts';

/** Columns of instruction numbers: a program has at most a million. */
const INDEX = 6;
const GAP = 2;
/** Comments begin this far from the instruction where it leaves room, nearer on narrow lines. */
const TEXT = 36;
const NARROW_TEXT = 20;
/** Digits of a ld_imm64. */
const BYTES = 32;

export function* renderCode(
  { programs, subprograms }: InspectedObject,
  style: Style,
  colors: Palette,
): Generator<string> {
  for (const each of [...programs, ...subprograms]) {
    if (each.code === undefined) continue;
    yield `\n${renderHead(each, style, colors)}`;
    let shown: Place = { ...(each.sourceFile !== undefined && { file: each.sourceFile }) };
    for (const line of each.code) {
      if (line.label !== undefined) yield `${colors.bold(`${line.label}:`)}\n`;
      if (line.file !== undefined && !isSame(line, shown)) {
        yield renderSource(line, shown, style, colors);
        shown = line;
      }
      yield renderLine(line, style, colors);
    }
  }
}

type Place = Pick<CodeLine, 'file' | 'line'>;

function isSame(a: Place, b: Place): boolean {
  return a.file === b.file && a.line === b.line;
}

function renderHead(
  each: InspectedObject['programs'][number] | SubprogramDetails,
  { width }: Style,
  { bold, dim }: Palette,
): string {
  const cells: Cell[] = [{ text: programTitle(each), paint: bold }];
  if (each.section !== undefined) cells.push({ text: escapeName(each.section) });
  if (each.name !== undefined) cells.push({ text: plural(each.instructions, 'instruction'), paint: dim });
  if (each.sourceFile !== undefined) cells.push({ text: escapePhrase(each.sourceFile), paint: dim });
  return `${flow(cells, { used: 0, indent: 2, gap: GAP, width })}\n`;
}

/** `; 42: return 0;`, with the file where it is not that of the line before. */
function renderSource(
  { file = '', line = 0, source }: CodeLine,
  before: Place,
  { width }: Style,
  { cyan }: Palette,
): string {
  const place = file === before.file ? String(line) : `${escapePhrase(file)}:${line}`;
  const text = source === undefined ? place : `${place}: ${escapeText(tabsAsSpaces(source).trim())}`;
  return `${flowWords(`; ${text}`, { used: 0, indent: 4, gap: 1, width }, cyan)}\n`;
}

function tabsAsSpaces(source: string): string {
  return source.replaceAll('\t', ' ');
}

function renderLine(line: CodeLine, { width, verbose }: Style, { dim }: Palette): string {
  const number = String(line.index).padStart(INDEX);
  const bytes = verbose > 0 ? `${line.bytes.padEnd(BYTES)}${' '.repeat(GAP)}` : '';
  const branch = line.branchTo === undefined ? '' : ` <${line.branchTo}>`;
  const start = INDEX + GAP + bytes.length;
  const beside = start + Math.min(TEXT, Math.max(NARROW_TEXT, Math.floor(width / 2) - start));
  let used = start + line.text.length + branch.length;
  let text = `${dim(number)}${' '.repeat(GAP)}${dim(bytes)}${line.text}${branch}`;
  for (const annotation of line.annotations) {
    const comment = `; ${escapeText(annotation)}`;
    const column = Math.max(used + GAP, beside);
    if (used > 0 && column + displayWidth(comment) <= width) {
      text += ' '.repeat(column - used) + dim(comment);
    } else {
      const indent = start + GAP;
      const where = { used: indent - 1, indent: indent + GAP, gap: 1, width };
      text += `\n${' '.repeat(indent - 1)}${flowWords(comment, where, dim)}`;
    }
    // Every further comment has a line of its own.
    used = 0;
  }
  return `${text}\n`;
}
