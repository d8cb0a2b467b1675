// Where code was found, in words: what proves it, and what only resembles it.
// "Comes from" is said of proofs alone; code that many programs share is called identical.
import type { KnownCode, NearMiss } from '../correlate/correlate.ts';
import type { CodePlace, Origin } from '../correlate/origin.ts';
import type { ExplainedProgram } from '../scan/live-report.ts';
import type { Palette } from './colors.ts';
import type { Cell } from './columns.ts';
import { escapeName, escapeText } from './escape.ts';
import type { Fact } from './live-fact.ts';
import { plural } from './units.ts';

/** The origin behind a program's row: `<- /usr/sbin/opensnoop  0x384b8  tracepoint/…  libbpf`. */
export function originCells({ name, origin, otherOrigins = [] }: ExplainedProgram, { dim, yellow }: Palette): Cell[] {
  if (origin === undefined) return [];
  const { relation, object, section, program = '', loader, assumptions } = origin;
  const arrow = relation === 'identical' ? 'identical to' : '<-';
  const cells: Cell[] = [{ text: `${arrow} ${sourceWords(object)}` }, { text: positionWords(object) }];
  for (const text of formWords(object)) cells.push({ text });
  if (section !== undefined) cells.push({ text: escapeName(section) });
  if (program !== '' && program !== name) cells.push({ text: escapeName(program) });
  if (loader !== undefined) cells.push({ text: escapeName(loader), paint: dim });
  if (assumptions !== undefined && assumptions.length > 0) cells.push({ text: 'with assumptions', paint: yellow });
  if (otherOrigins.length > 0) cells.push({ text: `+ ${plural(otherOrigins.length, 'other place')}`, paint: dim });
  return cells.filter(({ text }) => text !== '');
}

/** Everything that is known of where the code comes from. */
export function originFacts({ origin, otherOrigins = [] }: ExplainedProgram): Fact[] {
  if (origin === undefined) return [];
  return [
    { label: 'origin', items: [codeWords(origin)] },
    { label: 'sha256', items: [escapeText(origin.object.sha256)], whole: true },
    { label: 'proof', items: [proofWords(origin)] },
    { label: 'but', items: doubts(origin) },
    { label: 'assuming', items: (origin.assumptions ?? []).map(escapeText) },
    { label: 'also in', items: otherOrigins.map(codeWords) },
  ];
}

/** What an unexplained program resembles. */
export function resemblances(program: ExplainedProgram): Fact[] {
  const { identicalTo = [], sameBytesAs = [], nearMisses = [], whyUnexplained } = program;
  return [
    { label: 'no origin', items: whyUnexplained === undefined ? [] : [escapeText(whyUnexplained)] },
    { label: 'same bytes', items: sameBytesAs.map(knownWords) },
    { label: 'identical', items: identicalTo.map((proof) => `to ${codeWords(proof)}`) },
    { label: 'but', items: identicalTo.length > 0 ? [TOO_SHORT] : [] },
    ...byReason(nearMisses).flatMap(([reason, misses]) => [
      { label: 'near miss', items: [escapeText(reason)] },
      { label: '', items: misses.map((miss) => `in ${codeWords(miss)}`) },
    ]),
  ];
}

/** Who makes such code, not who made this. */
function knownWords({ generator, what, instructions }: KnownCode): string {
  const maker = generator === 'any' ? 'many programs' : escapeText(generator);
  return `as ${maker} generate${generator === 'any' ? '' : 's'}: ${escapeText(what)}, ${instructions} instructions`;
}

const TOO_SHORT = 'three instructions or fewer, which many programs share';

function proofWords({ algorithm, loader, loaders = [], mapsAgree, object }: Origin): string {
  const makers = loaders.length > 0 ? loaders : [loader ?? []].flat();
  const by = makers.length === 0 ? stateWords(object) : `as loaded by ${makers.map(escapeText).join(', or ')}`;
  return `equal tag (${escapeText(algorithm)}) ${by}${mapsAgree ? '; it refers to the same maps' : ''}`;
}

function stateWords({ repaired }: CodePlace): string {
  return repaired ? 'with its first instructions taken from what the kernel shows' : 'as it stands there';
}

function doubts({ relation, mapsAgree, object }: Origin): string[] {
  const said: string[] = [];
  if (relation === 'identical') said.push(`${TOO_SHORT}; its name is the same`);
  if (mapsAgree === false) said.push('the instructions there refer to other maps: they may be of a copy');
  if (object.rebuilt) said.push('its ELF header was overwritten there, and put back to read it');
  if (object.repaired)
    said.push('the first instructions there were overwritten: the others alone say that it lay there');
  return said;
}

/** `/usr/sbin/opensnoop 0x384b8, section tracepoint/…, program enter`. */
function codeWords({ object, section, program = '' }: Origin | NearMiss): string {
  const words = [`${sourceWords(object)} ${positionWords(object)}`.trimEnd()];
  words.push(...formWords(object));
  if (object.size !== undefined) words.push(plural(object.size, 'byte'));
  if (section !== undefined) words.push(`section ${escapeName(section)}`);
  if (program !== '') words.push(`program ${escapeName(program)}`);
  return words.join(', ');
}

/** What was found there, where it is more or less than an object. */
function formWords({ kind, rebuilt }: CodePlace): string[] {
  if (kind === 'object') return rebuilt ? ['header rebuilt'] : [];
  return [kind === 'light-skeleton' ? 'light skeleton' : escapeName(kind)];
}

function sourceWords({ source }: CodePlace): string {
  switch (source.kind) {
    case 'file':
      return escapeName(source.path);
    case 'process':
      return `pid ${source.pid} ${escapeName(source.comm)}`;
    case 'stdin':
      return 'standard input';
    default:
      throw new TypeError(`unknown source ${JSON.stringify(source satisfies never)}`);
  }
}

/** In a process, which mapping it is says more than the address. */
function positionWords({ offset, address, region }: CodePlace): string {
  const position = offset === undefined ? escapeText(address ?? '') : `0x${offset.toString(16)}`;
  return region?.path === undefined ? position : `${position} in ${escapeName(region.path)}`;
}

function byReason(misses: readonly NearMiss[]): [reason: string, misses: NearMiss[]][] {
  const reasons = new Map<string, NearMiss[]>();
  for (const miss of misses) {
    const same = reasons.get(miss.reason);
    if (same === undefined) reasons.set(miss.reason, [miss]);
    else same.push(miss);
  }
  return [...reasons];
}
