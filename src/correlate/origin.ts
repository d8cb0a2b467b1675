// Where the code of a live program comes from: places whose code has the program's tag, the likeliest first.
// A tag proves equal bytes; names, types and holders only order what is proved.
import type { LiveProgram } from '../host/records.ts';
import type { TagAlgorithm } from '../link/tag.ts';
import type { Region, Source } from '../source/source.ts';

/** A place where code was found. */
export interface CodePlace {
  readonly kind: string;
  readonly sha256: string;
  readonly source: Source;
  readonly offset?: number;
  readonly address?: string;
  readonly region?: Region;
  /** Bytes, of an instruction array. */
  readonly size?: number;
  /** Ids of the maps whose descriptors the instructions hold, as the process has them open. */
  readonly mapIds?: readonly number[];
  /** The first slots were overwritten when the array was freed, and were put back for the proof. */
  readonly repaired?: true;
  /** The ELF header was overwritten, and was put back; no code lies in it. */
  readonly rebuilt?: true;
}

/** A program found there, with every tag it may have. */
export interface FoundProgram {
  /** Absent where there are only instructions. */
  readonly name?: string;
  readonly section?: string;
  readonly type?: string | number;
  /** Slots of the program itself. */
  readonly instructions: number;
  readonly subprograms: readonly string[];
  readonly tags?: readonly FoundTag[];
}

export interface FoundTag {
  readonly tag: string;
  readonly algorithm: TagAlgorithm;
  /** Absent where the instructions are those that were loaded, whoever did it. */
  readonly loader?: string;
  readonly loaders?: readonly string[];
  readonly exact: boolean;
  readonly assumptions: readonly string[];
}

export type CodeSource = CodePlace & { readonly programs: readonly FoundProgram[] };

/** The proof that a live program is made of these bytes. */
export interface Origin {
  readonly evidence: 'tag';
  readonly algorithm: TagAlgorithm;
  /** The commonest loader that makes this tag of this code. */
  readonly loader?: string;
  readonly loaders?: readonly string[];
  /** What had to be assumed of the application, such as maps that it does not create. */
  readonly assumptions?: readonly string[];
  /**
   * `origin` unless the code is so short that many programs share it: then only `identical`, which says that the bytes are
   * the same and not that they come from here.
   */
  readonly relation: 'origin' | 'identical';
  readonly object: CodePlace;
  /** Whether the maps that the instructions hold are the program's: of an instruction array with maps. */
  readonly mapsAgree?: boolean;
  readonly program?: string;
  readonly section?: string;
}

/** One program that was found, one of its tags. */
export interface Match {
  readonly place: CodeSource;
  readonly program: FoundProgram;
  readonly tag: FoundTag;
}

/** Code of so few slots is shared by programs that have nothing to do with one another: `r0 = 0; exit`. */
const IDENTICAL_SLOTS = 3;
/** Bytes of a name that the kernel keeps, BPF_OBJ_NAME_LEN without the NUL. */
const KERNEL_NAME = 15;

/** Proofs for `live`, strongest first, out of everything that has its tag. */
export function originsOf(live: LiveProgram, matches: readonly Match[]): Origin[] {
  const ranked = matches.map((match) => ({ match, rank: rankOf(live, match) }));
  ranked.sort((a, b) => compareRanks(a.rank, b.rank));
  return ranked.map(({ match }) => originOf(live, match));
}

/** Whether two programs bear the same name. Either may be cut: the kernel's without BTF, and a light skeleton's. */
export function sameName(live: LiveProgram, found: FoundProgram): boolean {
  const [short = '', long = ''] = [live.name ?? '', found.name ?? ''].sort((a, b) => a.length - b.length);
  return short !== '' && (short === long || (short.length === KERNEL_NAME && long.startsWith(short)));
}

/** The place alone, without what else its record holds. */
export function placeOf({
  kind,
  sha256,
  source,
  offset,
  address,
  region,
  size,
  mapIds,
  repaired,
  rebuilt,
}: CodePlace): CodePlace {
  return {
    kind,
    sha256,
    source,
    ...(offset !== undefined && { offset }),
    ...(address !== undefined && { address }),
    ...(region !== undefined && { region }),
    ...(kind === 'instructions' && size !== undefined && { size }),
    ...(mapIds !== undefined && { mapIds }),
    ...(repaired && { repaired }),
    ...(rebuilt && { rebuilt }),
  };
}

function originOf(live: LiveProgram, { place, program, tag }: Match): Origin {
  const agree = mapsAgree(live, place);
  return {
    evidence: 'tag',
    algorithm: tag.algorithm,
    ...(tag.loader !== undefined && { loader: tag.loader }),
    ...(tag.loaders !== undefined && { loaders: tag.loaders }),
    ...(!tag.exact && { assumptions: tag.assumptions }),
    relation: isShort(program) ? 'identical' : 'origin',
    object: placeOf(place),
    ...(agree !== undefined && { mapsAgree: agree }),
    ...(program.name !== undefined && { program: program.name }),
    ...(program.section !== undefined && { section: program.section }),
  };
}

/** `undefined` where one of them is not known: code that holds maps is of a program that has some. */
function mapsAgree(live: LiveProgram, { mapIds }: CodePlace): boolean | undefined {
  return live.mapIds.length === 0 ? undefined : mapIds?.every((id) => live.mapIds.includes(id));
}

function isShort({ instructions, subprograms }: FoundProgram): boolean {
  return subprograms.length === 0 && instructions <= IDENTICAL_SLOTS;
}

/**
 * Smaller is likelier, compared item by item. First whether whoever holds the program has the code, so that programs of one object
 * all come from there; then what tells programs of equal code apart; a file says more than memory, for it is what was loaded from.
 */
function rankOf(live: LiveProgram, { place, program, tag }: Match): (number | string)[] {
  return [
    isHeld(live, place.source) ? 0 : 1,
    sameName(live, program) ? 0 : 1,
    live.type === undefined || live.type === program.type ? 0 : 1,
    tag.exact ? 0 : 1,
    // Copies of one program are told apart by nothing but their maps.
    mapsAgree(live, place) === false ? 1 : 0,
    place.repaired ? 1 : 0,
    place.source.kind === 'file' ? 0 : 1,
    place.source.kind === 'file' ? place.source.path : '',
    place.source.kind === 'process' ? place.source.pid : 0,
    place.offset ?? 0,
    place.address ?? '',
    program.name ?? '',
  ];
}

function isHeld(live: LiveProgram, source: Source): boolean {
  return live.holders.some(
    (holder) =>
      (source.kind === 'file' && source.path === holder.exe) ||
      (source.kind === 'process' && source.pid === holder.pid),
  );
}

function compareRanks(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? 0;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
