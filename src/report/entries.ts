// `-v`: every program and map on a line with its facts.
// Repeats what the records say and works nothing out.
import type { MapSummary } from '../object/summarize.ts';
import type { CarvedLightSkeleton, CarvedObject, CarvedProgram } from '../scan/events.ts';
import type { Palette } from './colors.ts';
import { type Cell, flow } from './columns.ts';
import { escapeName } from './escape.ts';
import { attachWords, idWords, programTitle, programType } from './program.ts';
import type { Style } from './style.ts';
import { tagWords } from './tags.ts';
import { plural } from './units.ts';
import { padEnd, widest } from './width.ts';

export interface Entries extends Pick<CarvedObject, 'programs' | 'maps'> {
  /** That of a light skeleton: a program itself. */
  readonly loader?: CarvedLightSkeleton['loader'];
}

export function renderEntries(
  { loader, programs, maps }: Entries,
  indent: number,
  style: Style,
  colors: Palette,
): string {
  const rows = [...(loader ? [loaderRow(loader)] : []), ...programs.map(programRow), ...maps.map(mapRow)];
  const nameWidth = Math.min(LONGEST_NAME_COLUMN, widest(rows.map(({ name }) => name)));
  const kindWidth = widest(rows.map(({ kind }) => kind));
  const facts = indent + KIND_GAP + kindWidth;
  return rows
    .map(({ kind, name, details }) => {
      const cells: Cell[] = [
        { text: padEnd(name, nameWidth) },
        ...details.map((text) => ({ text, paint: colors.dim })),
      ];
      const where = { used: facts - KIND_GAP, indent: facts, gap: KIND_GAP, width: style.width };
      return `${' '.repeat(indent)}${colors.dim(padEnd(kind, kindWidth))}${flow(cells, where)}\n`;
    })
    .join('');
}

const KIND_GAP = 2;
/** Names are padded to one width up to this; a longer one pushes only its own line. */
const LONGEST_NAME_COLUMN = 40;

interface ContentRow {
  readonly kind: string;
  readonly name: string;
  readonly details: readonly string[];
}

function loaderRow({ instructions, tags }: CarvedLightSkeleton['loader']): ContentRow {
  const details = tagWords({ tags }).map((words) => `tag ${words}`);
  return { kind: 'loader', name: plural(instructions, 'instruction'), details };
}

function programRow(program: CarvedProgram): ContentRow {
  const details = tagWords(program).map((words) => (program.tags ? `tag ${words}` : `no tag: ${words}`));
  if (program.live) details.push(`loaded now: ${idWords(program.live)}`);
  if (program.section !== undefined) details.push(escapeName(program.section));
  if (program.name !== undefined) details.push(plural(program.instructions, 'instruction'));
  details.push(...attachWords(program));
  return { kind: programType(program), name: programTitle(program), details };
}

function mapRow(map: MapSummary): ContentRow {
  const details: string[] = [];
  if (map.type !== undefined) details.push(typeof map.type === 'number' ? `type ${map.type}` : escapeName(map.type));
  if (map.keySize !== undefined) details.push(`key ${map.keySize} B`);
  if (map.valueSize !== undefined) details.push(`value ${map.valueSize} B`);
  if (map.maxEntries !== undefined) details.push(`max ${map.maxEntries}`);
  if (map.flags !== undefined && map.flags !== 0) details.push(`flags ${formatFlags(map.flags)}`);
  return { kind: 'map', name: escapeName(map.name), details };
}

function formatFlags(flags: number | string): string {
  return typeof flags === 'number' ? `0x${flags.toString(16)}` : escapeName(flags);
}
