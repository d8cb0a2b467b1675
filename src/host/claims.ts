// What the views say against one another. Pure: two ways of looking are compared, and what only one of them shows is a claim.
// One claim proves nothing, programs come and go between two looks: `checks.ts` asks again.
import type { Held } from './holders.ts';
import type { Look } from './look.ts';
import type { Kind } from './objects.ts';
import type { Check, KernelSymbol, LiveProgram } from './records.ts';

export interface Claim {
  readonly check: Check;
  readonly object: Kind;
  readonly id?: number;
  /** Of a symbol that no listed program accounts for. */
  readonly tag?: string;
  readonly evidence: string;
  /** Known by trying the id, and in no other way. */
  readonly probed?: true;
}

/** Ids that the kernel opens although it does not list them, by probing. */
export type Probed = Readonly<Record<Kind, readonly number[]>>;

/**
 * - A: opened by id, but not listed.
 * - B: symbols in kallsyms that no listed program accounts for.
 * - C: a descriptor's fdinfo names a program that is not listed.
 * - D: an attachment, a link, a map or a pin names a program that is not listed.
 * - E: the same as A, C and D for maps and links.
 * - F: fdinfo and bpf(2) tell different tags of one program.
 */
export function findClaims(look: Look, probed: Probed): Claim[] {
  const { listed, ended } = look;
  const claims = [...claimsOfProbes(probed), ...claimsOfSymbols(look), ...references(look)];
  return claims.filter(
    ({ check, object, id }) => check === 'F' || id === undefined || (ended.has(object) && !listed[object].has(id)),
  );
}

function claimsOfProbes(probed: Probed): Claim[] {
  const claim = (object: Kind, check: Check) =>
    probed[object].map((id): Claim => {
      return { check, object, id, evidence: `the kernel opens ${object} ${id} by its id`, probed: true };
    });
  return [...claim('program', 'A'), ...claim('map', 'E'), ...claim('link', 'E')];
}

/** A program that could not be read has symbols too: they would be taken for a stranger's. */
function claimsOfSymbols({ symbols, seen, whole }: Look): Claim[] {
  if (!whole.has('program')) return [];
  return surplusSymbols(symbols, seen.programs).map((symbol) => ({
    check: 'B',
    object: 'program',
    tag: symbol.tag,
    evidence: `kallsyms lists ${nameOf(symbol)}`,
  }));
}

function nameOf({ tag, name, address }: KernelSymbol): string {
  return `bpf_prog_${tag}${name === '' ? '' : `_${name}`}${address === undefined ? '' : ` at ${address}`}`;
}

/**
 * Symbols beyond those of the functions of `programs`. Where addresses are known, those of the programs are excused first;
 * the rest is counted by tag.
 */
export function surplusSymbols(symbols: readonly KernelSymbol[], programs: readonly LiveProgram[]): KernelSymbol[] {
  const expected = new Map<string, number>();
  const addresses = new Set<string>();
  for (const { tag, subprogramTags, address, functions = [] } of programs) {
    for (const each of [tag, ...subprogramTags]) expected.set(each, (expected.get(each) ?? 0) + 1);
    for (const each of [address, ...functions.map(({ address }) => address)]) if (each) addresses.add(each);
  }
  const found = new Map<string, KernelSymbol[]>();
  for (const symbol of symbols) {
    const same = found.get(symbol.tag);
    if (same) same.push(symbol);
    else found.set(symbol.tag, [symbol]);
  }
  return [...found].flatMap(([tag, same]) => {
    const surplus = same.length - (expected.get(tag) ?? 0);
    if (surplus <= 0) return [];
    const strangers = same.filter(({ address }) => address === undefined || !addresses.has(address));
    return strangers.slice(0, surplus);
  });
}

/** Every id that some view names; those that are listed are dropped afterwards. */
function references({ seen }: Look): Claim[] {
  const tags = new Map(seen.programs.map(({ id, tag }) => [id, tag]));
  return [
    ...seen.held.flatMap((held) => claimsOfDescriptor(held, tags)),
    ...seen.attached.flatMap(({ programId, attachment }) => [
      refer('D', 'program', programId, `${attachment.kind} at ${attachment.target} runs program ${programId}`),
      ...(attachment.linkId === undefined
        ? []
        : [
            refer(
              'E',
              'link',
              attachment.linkId,
              `${attachment.kind} at ${attachment.target} is held by link ${attachment.linkId}`,
            ),
          ]),
    ]),
    ...seen.links.flatMap(({ id, programId, mapId }) => [
      ...(programId === undefined
        ? []
        : [refer('D', 'program', programId, `link ${id} belongs to program ${programId}`)]),
      ...(mapId === undefined ? [] : [refer('E', 'map', mapId, `link ${id} refers to map ${mapId}`)]),
    ]),
    ...seen.programs.flatMap(({ id, mapIds }) =>
      mapIds.map((mapId) => refer('E', 'map', mapId, `program ${id} uses map ${mapId}`)),
    ),
    ...seen.maps.flatMap(({ id, innerMapIds = [] }) =>
      innerMapIds.map((inner) => refer('E', 'map', inner, `map ${id} holds map ${inner}`)),
    ),
    ...seen.pins.flatMap(({ path, kind, id }) =>
      kind === undefined || id === undefined
        ? []
        : [refer(kind === 'program' ? 'D' : 'E', kind, id, `${kind} ${id} is pinned at ${path}`)],
    ),
  ];
}

function claimsOfDescriptor(held: Held, tags: ReadonlyMap<number | undefined, string>): Claim[] {
  const { process, tid, descriptor, programId, mapId, linkId, fdinfo, via } = held;
  const thread = tid === undefined ? '' : `thread ${tid} of `;
  const where = `descriptor ${descriptor} of ${thread}process ${process.pid} (${process.comm})`;
  const claims: Claim[] = [];
  if (programId !== undefined) {
    const check = via === 'perf-fd' ? 'D' : 'C';
    claims.push(refer(check, 'program', programId, `${where} holds program ${programId}`));
    const told = fdinfo.get('prog_tag');
    const tag = tags.get(programId);
    if (told !== undefined && tag !== undefined && told !== tag) {
      claims.push(refer('F', 'program', programId, `${where} says tag ${told}, bpf(2) says ${tag}`));
    }
  }
  if (mapId !== undefined) claims.push(refer('E', 'map', mapId, `${where} holds map ${mapId}`));
  if (linkId !== undefined) claims.push(refer('E', 'link', linkId, `${where} holds link ${linkId}`));
  return claims;
}

function refer(check: Check, object: Kind, id: number, evidence: string): Claim {
  return { check, object, id, evidence };
}
