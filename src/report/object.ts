// One object: a row with its place, size and hash, and below it what it holds and what is wrong with it.
// Never cuts an offset, a size or a hash.
import type { CarvedObject } from '../scan/events.ts';
import { type Palette, plain } from './colors.ts';
import { type Cell, flow } from './columns.ts';
import { renderContents } from './contents.ts';
import { escapeName, escapePath, escapeText } from './escape.ts';
import { endiannessOf, kindWords } from './kind.ts';
import { renderObjectDiagnostics } from './problems.ts';
import type { Style } from './style.ts';
import { formatBytes } from './units.ts';

/** Columns that the rows of a whole report share. */
export interface ObjectColumns {
  readonly number: number;
  readonly offset: number;
  readonly size: number;
  /** Where everything below a row begins. */
  readonly indent: number;
}

const GAP = '  ';
const SHORT_HASH = 12;

export function objectColumns(objects: readonly CarvedObject[], distinct: number, style: Style): ObjectColumns {
  const columns = { number: `#${distinct}`.length, offset: 0, size: 0 };
  for (const object of objects) {
    columns.offset = Math.max(columns.offset, formatOffset(object).length);
    columns.size = Math.max(columns.size, formatSize(object, style).length);
  }
  return { ...columns, indent: 2 * GAP.length + columns.number };
}

export interface ObjectPlace {
  /** The number of this content in the report. */
  readonly number: number;
  /** Whether the same bytes stand in the report already, with all that is to be said of them. */
  readonly isRepeat: boolean;
  /** Where a file has the same bytes, for an object in memory. */
  readonly onDisk?: string | undefined;
  readonly columns: ObjectColumns;
  readonly style: Style;
  readonly colors: Palette;
}

export function renderObject(object: CarvedObject, place: ObjectPlace): string {
  const { columns, isRepeat, style, colors } = place;
  const text = renderRow(object, place);
  if (isRepeat) return text;
  const indent = columns.indent;
  const hash = style.verbose > 0 ? `${' '.repeat(indent)}${colors.dim('sha256')}  ${object.sha256}\n` : '';
  return (
    text +
    hash +
    renderContents(object, indent, style, colors) +
    renderObjectDiagnostics(object.diagnostics, indent, style, colors)
  );
}

function renderRow(object: CarvedObject, place: ObjectPlace): string {
  const { number, isRepeat, onDisk, columns, style, colors } = place;
  const label = isRepeat ? ' '.repeat(columns.number) : colors.dim(`#${number}`.padStart(columns.number));
  const offset = formatOffset(object).padStart(columns.offset);
  const size = formatSize(object, style).padStart(columns.size);
  const hash = object.sha256.slice(0, SHORT_HASH);
  const row = [label, offset, size, colors.cyan(hash)];
  const used = columns.indent + columns.offset + columns.size + hash.length + 2 * GAP.length;
  const facts = listFacts(object, isRepeat ? number : undefined, colors);
  if (onDisk !== undefined) facts.push({ text: onDisk, paint: colors.dim });
  return `${GAP}${row.join(GAP)}${flow(facts, { used, indent: columns.indent, gap: GAP.length, width: style.width })}\n`;
}

/** What is not as usual first, in words. */
function listFacts(object: CarvedObject, sameAs: number | undefined, { dim, yellow }: Palette): Cell[] {
  const facts: Cell[] = [];
  if (object.completeness !== 'whole' && object.kind !== 'btf')
    facts.push({ text: object.completeness, paint: yellow });
  const kind = kindWords(object);
  if (kind !== undefined) facts.push({ text: kind, paint: isDoubtful(object) ? yellow : plain });
  if (object.kind === 'object' && object.elf.type !== 'REL')
    facts.push({ text: `ELF type ${escapeText(String(object.elf.type))}`, paint: yellow });
  if (endiannessOf(object) === 'big') facts.push({ text: 'big-endian' });
  const place = placeWithin(object);
  if (place !== undefined) facts.push({ text: place, paint: dim });
  if (sameAs !== undefined) facts.push({ text: `same as #${sameAs}` });
  else if (object.license !== undefined) facts.push({ text: describeLicense(object.license) });
  return facts;
}

function isDoubtful(object: CarvedObject): boolean {
  return object.kind === 'object' || (object.kind === 'instructions' && object.trust === 'possible');
}

function placeWithin({ within, offset, address, region, size, source }: CarvedObject): string | undefined {
  if (region !== undefined) {
    const { path = 'anonymous memory', pathBase64, permissions } = region;
    const at = offset === undefined ? '' : `at ${address} `;
    return `${at}in ${escapePath({ path, ...(pathBase64 !== undefined && { pathBase64 }) })} ${permissions}`;
  }
  if (within?.section !== undefined) return `in ${escapeName(within.section)}`;
  return offset === 0 && source.kind !== 'process' && size === source.size ? 'the whole file' : undefined;
}

/** The kernel's license_is_gpl_compatible(), include/linux/license.h: nobody mistakes these for anything else. */
const KNOWN_LICENSES: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

function describeLicense(license: string): string {
  return KNOWN_LICENSES.has(license) ? license : `license ${escapeName(license)}`;
}

function formatOffset({ offset, address }: CarvedObject): string {
  return offset === undefined ? (address ?? '') : `0x${offset.toString(16)}`;
}

function formatSize({ size }: CarvedObject, { verbose }: Style): string {
  return verbose > 0 ? `${size} B` : formatBytes(size);
}
