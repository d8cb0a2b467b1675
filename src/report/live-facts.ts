// Everything that is known of one live program, fact by fact: what an investigator asks, in the order of asking.
// Says nothing of what is not known.
import type { Holder, LiveMap } from '../host/records.ts';
import type { ExplainedProgram, LiveReport } from '../scan/live-report.ts';
import { escapeName, escapePhrase, escapeText } from './escape.ts';
import { attachmentWords } from './live-attachment.ts';
import type { Fact } from './live-fact.ts';
import { originFacts, resemblances } from './live-origin.ts';
import { formatCount, formatDuration, plural } from './units.ts';

/** Turns the programs of one report into facts. */
export class FactFinder {
  readonly #report: LiveReport;
  readonly #maps: ReadonlyMap<number, LiveMap>;
  readonly #full: boolean;

  /** `full`: also what only a few readers need. */
  constructor(report: LiveReport, full: boolean) {
    this.#report = report;
    this.#maps = new Map(report.maps.map((map) => [map.id, map]));
    this.#full = full;
  }

  of(program: ExplainedProgram): Fact[] {
    const maps = program.mapIds.map((id) => this.#maps.get(id) ?? id);
    const facts: Fact[] = [
      ...originFacts(program),
      { label: 'loaded', items: loadedWords(program) },
      { label: 'code', items: codeWords(program, this.#full) },
      { label: 'functions', items: functionWords(program, this.#full), list: true },
      { label: 'source', items: sourceWords(program) },
      { label: 'made for', items: targetWords(program) },
      { label: 'attached', items: this.#attached(program) },
      { label: 'held by', items: this.#holders(program) },
      { label: 'pinned', items: program.pins.map(escapeName) },
      { label: 'maps', items: maps.map((map) => mapWords(map, this.#full)), list: true },
      { label: 'map pins', items: maps.flatMap(mapPins) },
      { label: 'map users', items: otherUsers(program, maps) },
      ...resemblances(program),
      ...(this.#full ? rarelyNeeded(program) : []),
    ];
    return facts.filter(({ items }) => items.length > 0);
  }

  #attached({ attachments }: ExplainedProgram): string[] {
    const { views, scope } = this.#report;
    const seesAll = [views.bpf, views.cgroup, views.net].every(({ status }) => status === 'ok');
    if (attachments.length === 0) return seesAll ? ['nowhere that was seen'] : [];
    return attachments.map((attachment) => attachmentWords(attachment, scope));
  }

  #holders({ holders }: ExplainedProgram): string[] {
    if (holders.length === 0) return this.#report.views.fdinfo.status === 'ok' ? ['no process that was seen'] : [];
    return holders.map(
      (holder) => `${holderWords(holder)}${holder.via.length > 0 ? ` (${holder.via.join(', ')})` : ''}`,
    );
  }
}

function holderWords({ pid, comm, exe }: Holder): string {
  return `pid ${pid} ${escapeName(comm)}${exe === undefined ? '' : ` ${escapeName(exe)}`}`;
}

function loadedWords({ loadedAt, uid }: ExplainedProgram): string[] {
  const words = [loadedAt === undefined ? '' : escapeText(loadedAt), uid === undefined ? '' : `by uid ${uid}`];
  const known = words.filter((word) => word !== '');
  return known.length > 0 ? [known.join(' ')] : [];
}

function codeWords(program: ExplainedProgram, full: boolean): string[] {
  const { xlatedLength, jitedLength, gplCompatible, verifiedInstructions, memlock } = program;
  const words: string[] = [];
  if (xlatedLength !== undefined) words.push(`${formatCount(xlatedLength)} B translated`);
  if (jitedLength !== undefined) words.push(jitedLength === 0 ? 'not JITed' : `${formatCount(jitedLength)} B JITed`);
  if (gplCompatible !== undefined) words.push(gplCompatible ? 'GPL-compatible' : 'not GPL-compatible');
  if (full && verifiedInstructions !== undefined) words.push(`${plural(verifiedInstructions, 'instruction')} verified`);
  if (full && memlock !== undefined) words.push(`${formatCount(memlock)} B charged`);
  return words.length > 0 ? [words.join(', ')] : [];
}

function functionWords({ functions = [], subprogramTags }: ExplainedProgram, full: boolean): string[] {
  if (functions.length === 0) return subprogramTags.map(escapeName);
  return functions.map(({ name, tag, offset, address }) => {
    const words = [name, tag].filter((word) => word !== undefined).map(escapeName);
    if (full && offset !== undefined) words.push(`at ${offset}`);
    if (full && address !== undefined) words.push(escapeText(address));
    return words.join(' ');
  });
}

function sourceWords({ sourceFile, sourceLine }: ExplainedProgram): string[] {
  if (sourceFile === undefined) return [];
  return [`${escapePhrase(sourceFile)}${sourceLine === undefined ? '' : `:${sourceLine}`}`];
}

function targetWords({ attachTo, ifindex }: ExplainedProgram): string[] {
  const words = ifindex === undefined ? [] : [`offloaded to interface ${ifindex}`];
  if (attachTo === undefined) return words;
  const { btfObject, btfType, name } = attachTo;
  const type = `type ${btfType} of BTF ${btfObject}`;
  return [name === undefined ? type : `${escapeName(name)} (${type})`, ...words];
}

function mapWords(map: LiveMap | number, full: boolean): string {
  if (typeof map === 'number') return `${map}`;
  const { id, type, name, keySize, valueSize, maxEntries, frozen } = map;
  const words = [String(id), escapeName(String(type))];
  if (name !== undefined) words.push(escapeName(name));
  if (full && keySize !== undefined && valueSize !== undefined) words.push(`${keySize} B to ${valueSize} B`);
  if (full && maxEntries !== undefined) words.push(`max ${maxEntries}`);
  if (full && frozen) words.push('frozen');
  return words.join(' ');
}

function mapPins(map: LiveMap | number): string[] {
  return typeof map === 'number' ? [] : map.pins.map((path) => `${escapeName(path)} (map ${map.id})`);
}

/** Who keeps a map open without keeping the program. */
function otherUsers({ holders }: ExplainedProgram, maps: readonly (LiveMap | number)[]): string[] {
  const known = new Set(holders.map(({ pid }) => pid));
  const users = new Map<number, { readonly holder: Holder; readonly ids: number[] }>();
  for (const map of maps) {
    if (typeof map === 'number') continue;
    for (const holder of map.holders) {
      if (known.has(holder.pid)) continue;
      const user = users.get(holder.pid);
      if (user === undefined) users.set(holder.pid, { holder, ids: [map.id] });
      else user.ids.push(map.id);
    }
  }
  return [...users.values()].map(
    ({ holder, ids }) => `${holderWords(holder)} (${ids.length === 1 ? 'map' : 'maps'} ${ids.join(', ')})`,
  );
}

function rarelyNeeded({ btfId, address, runCount, runTimeNs, knownFrom }: ExplainedProgram): Fact[] {
  const runs = runCount === undefined || runCount === 0 ? [] : [plural(runCount, 'time')];
  if (runs.length > 0 && runTimeNs !== undefined) runs.push(`for ${formatDuration(runTimeNs / 1e6)}`);
  return [
    { label: 'ran', items: runs.length > 0 ? [runs.join(' ')] : [] },
    { label: 'btf', items: btfId === undefined ? [] : [String(btfId)] },
    { label: 'address', items: address === undefined ? [] : [escapeText(address)] },
    { label: 'read by', items: [knownFrom] },
  ];
}
