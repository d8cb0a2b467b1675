// What an object holds: its programs by type and its maps; with -v, each of them on a line with its facts.
// Repeats what the records say and works nothing out.
import type { MapSummary } from '../object/summarize.ts';
import type { CarvedObject, CarvedProgram } from '../scan/events.ts';
import type { Palette } from './colors.ts';
import { type Cell, flow, flowList } from './columns.ts';
import { escapeName } from './escape.ts';
import { attachWords, idWords, programTitle, programType } from './program.ts';
import type { Style } from './style.ts';
import { tagWords } from './tags.ts';
import { plural } from './units.ts';
import { padEnd, widest } from './width.ts';

export function renderContents(
  object: Pick<CarvedObject, 'license' | 'programs' | 'maps'>,
  indent: number,
  style: Style,
  colors: Palette,
): string {
  if (object.programs.length === 0 && object.maps.length === 0) {
    return `${' '.repeat(indent)}${colors.dim('no programs or maps')}\n`;
  }
  return style.verbose > 0 ? renderEach(object, indent, style, colors) : renderNames(object, indent, style, colors);
}

/** Lines that a list of names may take on a terminal before it is folded. */
const LINES_OF_NAMES = 2;

function renderNames(
  object: Pick<CarvedObject, 'license' | 'programs' | 'maps'>,
  indent: number,
  { width }: Style,
  { dim }: Palette,
): string {
  const lists = [...namesByType(object.programs)];
  if (object.maps.length > 0) {
    lists.push([object.maps.length === 1 ? 'map' : 'maps', object.maps.map((map) => escapeName(map.name))]);
  }
  const loaded = object.programs.filter(({ live }) => live !== undefined);
  if (loaded.length > 0)
    lists.push(['loaded now', loaded.map((program) => `${programTitle(program)} (${idWords(program.live ?? [])})`)]);
  const countWidth = widest(lists.map(([, names]) => String(names.length)));
  const labelWidth = widest(lists.map(([label]) => label));
  const names = indent + countWidth + 1 + labelWidth + 2;
  let text = '';
  for (const [label, list] of lists) {
    const head = `${String(list.length).padStart(countWidth)} ${padEnd(label, labelWidth)}`;
    const where = { used: names - 1, indent: names, gap: 1, width };
    text += `${' '.repeat(indent)}${dim(head)} ${flowList(list, LINES_OF_NAMES, where)}\n`;
  }
  return text;
}

function namesByType(programs: readonly CarvedProgram[]): ReadonlyMap<string, string[]> {
  const names = new Map<string, string[]>();
  for (const program of programs) {
    const type = programType(program);
    const list = names.get(type);
    if (list === undefined) names.set(type, [programTitle(program)]);
    else list.push(programTitle(program));
  }
  return names;
}

function renderEach(
  object: Pick<CarvedObject, 'license' | 'programs' | 'maps'>,
  indent: number,
  style: Style,
  colors: Palette,
): string {
  const rows = [...object.programs.map(programRow), ...object.maps.map(mapRow)];
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
