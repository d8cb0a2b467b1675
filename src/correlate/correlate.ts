// Joins live programs with code that was found: by tag, whatever the loader, the algorithm or the variant.
// Pure: reads no kernel and no file.
import type { LiveProgram } from '../host/records.ts';
import { generatorsOf, generatorsOfCode } from '../link/generators.ts';
import { type CodePlace, type CodeSource, type Match, type Origin, originsOf, placeOf, sameName } from './origin.ts';

/** Code of the same name whose tag is another: what an investigator looks at next. */
export interface NearMiss {
  readonly object: CodePlace;
  readonly program: string;
  readonly section?: string;
  readonly reason: string;
}

export interface Explanation {
  /** The strongest proof. */
  readonly origin?: Origin;
  readonly otherOrigins: readonly Origin[];
  /** The same few instructions elsewhere, which proves nothing of where they come from. */
  readonly identicalTo: readonly Origin[];
  /** What is known to put such code together when it runs: the same bytes, whoever loaded these. Only without an origin. */
  readonly sameBytesAs: readonly KnownCode[];
  /** Only for programs without an origin. */
  readonly nearMisses: readonly NearMiss[];
}

/** Code that a program generates, which is therefore in no file. */
export interface KnownCode {
  /** `systemd`, `libbpf`; `any` for what everybody writes. */
  readonly generator: string;
  readonly what: string;
  readonly instructions: number;
}

/** Proofs and near misses kept for one program; a library in a hundred processes would fill pages. */
const KEPT = 32;
/** Of what proves nothing. */
const KEPT_IDENTICAL = 8;

/** What the kernel shows of the instructions of a program. */
export type ShownCode = (program: LiveProgram) => Uint8Array | undefined;

/** An explanation for each of `programs`, in their order. Only of those without an origin `shown` is asked. */
export function correlate(
  programs: readonly LiveProgram[],
  found: readonly CodeSource[],
  shown?: ShownCode,
): Explanation[] {
  const byTag = indexByTag(found);
  const byName = indexByName(found);
  return programs.map((live) =>
    explain(live, byTag.get(live.tag) ?? [], byName.get(nameKey(live.name ?? '')) ?? [], shown),
  );
}

function explain(
  live: LiveProgram,
  matches: readonly Match[],
  namesakes: readonly Namesake[],
  shown: ShownCode | undefined,
): Explanation {
  const proofs = originsOf(live, matches);
  // Of code that many share, only what bears the program's name can be where it comes from.
  const origins = proofs.filter(({ relation, program }) => relation === 'origin' || isNamed(live, program));
  const identicalTo = onePerPlace(proofs.filter((proof) => !origins.includes(proof))).slice(0, KEPT_IDENTICAL);
  const [origin, ...otherOrigins] = origins;
  if (origin) {
    return { origin, otherOrigins: otherOrigins.slice(0, KEPT), identicalTo: [], sameBytesAs: [], nearMisses: [] };
  }
  const sameBytesAs = knownCode(live, shown);
  const nearMisses = namesakes.filter(({ program }) => sameName(live, program)).map(nearMiss);
  return { otherOrigins: [], identicalTo, sameBytesAs, nearMisses: nearMisses.slice(0, KEPT) };
}

/** Programs of one object that are equal say the same: the first speaks for all. */
function onePerPlace(proofs: readonly Origin[]): Origin[] {
  const places = new Set<string>();
  return proofs.filter(({ object: { source, offset, address } }) => {
    const place = JSON.stringify([source, offset, address]);
    const isNew = !places.has(place);
    places.add(place);
    return isNew;
  });
}

function knownCode(live: LiveProgram, shown: ShownCode | undefined): KnownCode[] {
  const byTag = generatorsOf(live.tag);
  const code = byTag.length > 0 ? undefined : shown?.(live);
  const generated = code === undefined ? byTag : generatorsOfCode(code, live.tag);
  return generated.map(({ generator, what, slots }) => ({ generator, what, instructions: slots }));
}

function isNamed(live: LiveProgram, name: string | undefined): boolean {
  return name !== undefined && sameName(live, { name, instructions: 0, subprograms: [] });
}

function indexByTag(found: readonly CodeSource[]): ReadonlyMap<string, Match[]> {
  const index = new Map<string, Match[]>();
  for (const place of found) {
    for (const program of place.programs) {
      for (const tag of distinctTags(program.tags ?? [])) append(index, tag.tag, { place, program, tag });
    }
  }
  return index;
}

/** Several assumptions may lead to one tag: the first, which is the likeliest, speaks for all. */
function distinctTags<T extends { readonly tag: string }>(tags: readonly T[]): T[] {
  return [...new Map([...tags].reverse().map((tag) => [tag.tag, tag])).values()].reverse();
}

interface Namesake {
  readonly place: CodeSource;
  readonly program: CodeSource['programs'][number];
}

function indexByName(found: readonly CodeSource[]): ReadonlyMap<string, Namesake[]> {
  const index = new Map<string, Namesake[]>();
  for (const place of found) {
    for (const program of place.programs) {
      if (program.name !== undefined) append(index, nameKey(program.name), { place, program });
    }
  }
  return index;
}

/** As much of a name as the kernel always keeps. */
function nameKey(name: string): string {
  return name.slice(0, 15);
}

function nearMiss({ place, program }: Namesake): NearMiss {
  return {
    object: placeOf(place),
    program: program.name ?? '',
    ...(program.section !== undefined && { section: program.section }),
    reason:
      program.tags === undefined
        ? 'same name, but its tag could not be predicted'
        : 'same name, another tag: built from other source, relocated against other BTF, or changed by its loader',
  };
}

function append<K, V>(index: Map<K, V[]>, key: K, value: V): void {
  const list = index.get(key);
  if (list) list.push(value);
  else index.set(key, [value]);
}
