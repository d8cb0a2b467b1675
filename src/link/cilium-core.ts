// CO-RE as cilium/ebpf does it: all records about one type at once, against the candidate that satisfies most of them.
// Shares with libbpf's algorithm only how an access is written down.

import { CORE_KINDS, type CoreKind, isEnumKind, isTypeKind } from '../btf/core-spec.ts';
import type { Btf } from '../btf/decode.ts';
import type { CoreRecord } from '../btf/ext.ts';
import { BTF_INT } from '../btf/layouts.ts';
import { ciliumEssentialName, findField } from './cilium-field.ts';
import { refuse } from './loader.ts';

/** What becomes of one instruction. Values have 32 bits. */
export type CiliumFixup =
  | { readonly poison: true }
  | { readonly poison: false; readonly local: number; readonly target: number; readonly checked: boolean };

/** What the records of an object are held against, and how it is read. */
export interface CiliumSides {
  readonly local: Btf;
  readonly kernel: Btf;
  readonly modules: readonly Btf[];
  /** Enumerators are cut to 32 bits (before 0.10); what later releases make of larger ones is not known. */
  readonly narrowEnums: boolean;
  /** Counts comparisons; throws when a crafted object needs too many. */
  readonly spend: () => void;
}

/** Which records a release takes. */
export interface CiliumRecordRules {
  /** Numbers of local types are those of the object (before 0.13). */
  readonly localIdsKept: boolean;
  readonly typeMatches: boolean;
}

const POISON: CiliumFixup = { poison: true };
const EXISTENCE: ReadonlySet<CoreKind> = new Set(['field_exists', 'type_exists', 'enumval_exists', 'type_matches']);

/** What a record asks for. Equal records, of whatever program, are one request. */
interface Request {
  readonly type: number;
  readonly kind: CoreKind;
  readonly accessor: readonly number[];
}

interface Candidate {
  readonly btf: Btf;
  readonly id: number;
  /** Programs of one object ask for the same fields again and again. */
  readonly known: Map<Request, CiliumFixup>;
}

/** Relocates the records of one object, program by program. */
export class CiliumCore {
  readonly #sides: CiliumSides;
  readonly #requests = new Map<string, Request>();
  /** By local type. */
  readonly #candidates = new Map<number, readonly Candidate[]>();

  constructor(sides: CiliumSides) {
    this.#sides = sides;
  }

  /** One fixup for each record of a program. @throws Unlinkable, FormatError */
  relocate(records: readonly CoreRecord[], rules: CiliumRecordRules): CiliumFixup[] {
    const requests = records.map((record) => this.#request(record, rules));
    const fixups: CiliumFixup[] = [];
    for (const [type, places] of groupByType(requests)) {
      const group = places.flatMap((place) => requests[place] ?? []);
      const best = this.#bestFixups(type, group);
      for (const [index, place] of places.entries()) fixups[place] = best[index] ?? POISON;
    }
    for (const [place, { kind, type }] of requests.entries()) {
      if (kind === 'local_type_id') fixups[place] = { poison: false, local: type, target: type, checked: true };
    }
    return fixups;
  }

  #request(record: CoreRecord, { localIdsKept, typeMatches }: CiliumRecordRules): Request {
    const kind = CORE_KINDS[record.kind];
    if (kind === undefined || (kind === 'type_matches' && !typeMatches)) {
      throw refuse(`CO-RE relocation of a kind (${record.kind}) that it does not know`);
    }
    const key = `${record.kind} ${record.type} ${record.access}`;
    let request = this.#requests.get(key);
    if (request === undefined) {
      request = { type: record.type, kind, accessor: parseAccessor(this.#sides.local.string(record.access)) };
      this.#requests.set(key, request);
    }
    if (kind === 'local_type_id' && !localIdsKept) {
      throw refuse('the numbers of its own types are given anew at every load');
    }
    if (kind === 'type_matches') throw refuse('what it makes of type_matches is not known');
    return request;
  }

  /** The candidate with the fewest failures; equals must agree. With nothing but failures there is no candidate. */
  #bestFixups(type: number, requests: readonly Request[]): CiliumFixup[] {
    let score = requests.length;
    let best: CiliumFixup[] | undefined;
    for (const candidate of this.#candidatesFor(type)) {
      const fixups = requests.map((request) => this.#fixup(candidate, request));
      const failures = fixups.filter((fixup, index) => isFailure(fixup, requests[index])).length;
      if (failures < score) {
        score = failures;
        best = fixups;
      } else if (failures === score && best?.some((fixup, index) => !areEqual(fixup, fixups[index] ?? POISON))) {
        throw refuse(`candidates for type ${type} disagree`);
      }
    }
    return best ?? requests.map(({ kind }) => failureOf(kind));
  }

  #candidatesFor(type: number): readonly Candidate[] {
    const known = this.#candidates.get(type);
    if (known) return known;
    const name = this.#sides.local.name(type);
    if (name === '') throw refuse(`type ${type} is anonymous, it has no candidates`);
    const candidates = candidatesOf(this.#sides, name);
    this.#candidates.set(type, candidates);
    return candidates;
  }

  #fixup(candidate: Candidate, request: Request): CiliumFixup {
    const fixup = candidate.known.get(request) ?? fixupFor(this.#sides, candidate, request);
    candidate.known.set(request, fixup);
    return fixup;
  }
}

/** Places of the requests that are about each type of the kernel. */
function groupByType(requests: readonly Request[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [place, { type, kind }] of requests.entries()) {
    if (kind === 'local_type_id') continue;
    const group = groups.get(type);
    if (group) group.push(place);
    else groups.set(type, [place]);
  }
  return groups;
}

function candidatesOf({ kernel, modules, spend }: CiliumSides, name: string): Candidate[] {
  const wanted = ciliumEssentialName(name);
  return [kernel, ...modules].flatMap((btf) =>
    btf
      .typesOfStem(name)
      .filter((id) => {
        spend();
        return id >= btf.firstId && ciliumEssentialName(btf.name(id)) === wanted;
      })
      .map((id) => ({ btf, id, known: new Map() })),
  );
}

function fixupFor(sides: CiliumSides, candidate: Candidate, request: Request): CiliumFixup {
  const { kind } = request;
  if (isTypeKind(kind)) return typeFixup(sides, candidate, request);
  if (isEnumKind(kind)) return enumFixup(sides, candidate, request);
  if (kind === 'signed') return signedFixup(sides, candidate, request);
  return fieldFixup(sides, candidate, request);
}

function typeFixup(
  { local, spend }: CiliumSides,
  { btf, id }: Candidate,
  { type, kind, accessor }: Request,
): CiliumFixup {
  if (accessor.length > 1 || accessor[0] !== 0) throw refuse('a type has no path');
  if (!typesAreCompatible(local, type, btf, id, spend)) return failureOf(kind);
  if (kind === 'type_exists') return value(1, 1);
  if (kind === 'target_type_id') return value(type, id);
  return value(sizeOf(local, type), sizeOf(btf, id));
}

function enumFixup(
  { local, narrowEnums, spend }: CiliumSides,
  { btf, id }: Candidate,
  { type, kind, accessor }: Request,
): CiliumFixup {
  const ours = enumerators(local, type);
  const wanted = ours?.[accessor[0] ?? 0];
  if (wanted === undefined || accessor.length > 1) throw refuse(`type ${type} has no such enumerator`);
  const name = ciliumEssentialName(wanted.name);
  const found = enumerators(btf, id)?.find((each) => {
    spend();
    return ciliumEssentialName(each.name) === name;
  });
  if (found === undefined) return failureOf(kind);
  if (kind === 'enumval_exists') return value(1, 1);
  if (!narrowEnums && !(isSmall(wanted.value) && isSmall(found.value))) {
    throw refuse(`what it makes of the enumerator ${wanted.name} beyond 31 bits is not known`);
  }
  return value(wanted.value, found.value);
}

/** A field's sign is never asked for: only what the root type is counts, and a root of a field is a struct. */
function signedFixup({ local }: CiliumSides, { btf, id }: Candidate, { type }: Request): CiliumFixup {
  const ours = local.type(local.resolve(type));
  const theirs = btf.type(btf.resolve(id));
  if (ours.kind === 'enum' || ours.kind === 'enum64') return value(1, 1);
  if (ours.kind !== 'int') return value(0, 0, false);
  if (theirs.kind !== 'int') throw refuse(`type ${type} is no int in the kernel`);
  return value(ours.encoding & BTF_INT.SIGNED, theirs.encoding & BTF_INT.SIGNED);
}

function fieldFixup(
  { local, spend }: CiliumSides,
  { btf, id }: Candidate,
  { type, kind, accessor }: Request,
): CiliumFixup {
  if (btf.type(btf.resolve(id)).kind === 'fwd') return failureOf(kind);
  const fields = findField({ local, target: btf, spend }, type, accessor, id);
  if (fields === undefined) return failureOf(kind);
  const [ours, theirs] = fields;
  const checked = ours.bitfieldSize === 0;
  const bits = theirs.bitfieldSize > 0 ? theirs.bitfieldSize : (btf.sizeOf(theirs.type) ?? 0) * 8;
  switch (kind) {
    case 'field_exists':
      return value(1, 1);
    case 'byte_off':
      return value(ours.offset, theirs.offset, checked);
    case 'byte_sz':
      return value(sizeOf(local, ours.type), sizeOf(btf, theirs.type), checked);
    case 'lshift_u64': {
      const shift = btf.littleEndian
        ? 64 - theirs.bitfieldOffset - bits
        : 64 - sizeOf(btf, theirs.type) * 8 + theirs.bitfieldOffset;
      return value(0, shift, false);
    }
    default:
      return value(0, 64 - bits, false);
  }
}

/** Kinds all the way down; names, sizes and signs do not matter. */
function typesAreCompatible(
  local: Btf,
  localRoot: number,
  target: Btf,
  targetRoot: number,
  spend: () => void,
): boolean {
  const pending: [number, number][] = [[localRoot, targetRoot]];
  let depth = 0;
  for (let pair = pending.shift(); pair !== undefined; pair = pending.shift()) {
    spend();
    const ours = local.type(local.resolve(pair[0]));
    const theirs = target.type(target.resolve(pair[1]));
    if (withoutWidth(ours.kind) !== withoutWidth(theirs.kind)) return false;
    if (depth >= MAX_DEPTH) throw refuse('its types nest too deeply');
    if (ours.kind === 'ptr' && theirs.kind === 'ptr') {
      depth++;
      pending.push([ours.type, theirs.type]);
    } else if (ours.kind === 'array' && theirs.kind === 'array') {
      depth++;
      pending.push([ours.index, theirs.index], [ours.element, theirs.element]);
    } else if (ours.kind === 'func_proto' && theirs.kind === 'func_proto') {
      if (ours.params.length !== theirs.params.length) return false;
      depth++;
      pending.push([ours.returns, theirs.returns]);
      for (const [index, { type }] of ours.params.entries()) pending.push([type, theirs.params[index]?.type ?? 0]);
    } else if (!LEAVES.has(ours.kind)) {
      throw refuse(`types of kind ${ours.kind} cannot be compared`);
    }
  }
  return true;
}

const MAX_DEPTH = 32;
const LEAVES: ReadonlySet<string> = new Set(['void', 'struct', 'union', 'enum', 'enum64', 'fwd', 'int']);

/** Both widths of enum are one type to it. */
function withoutWidth(kind: string): string {
  return kind === 'enum64' ? 'enum' : kind;
}

function enumerators(btf: Btf, id: number): readonly { readonly name: string; readonly value: number }[] | undefined {
  const type = btf.type(btf.resolve(id));
  if (type.kind === 'enum') return type.values;
  if (type.kind !== 'enum64') return undefined;
  return type.values.map(({ name, value }) => ({ name, value: isSmall(Number(value)) ? Number(value) : 0xffff_ffff }));
}

function isSmall(value: number): boolean {
  return value >= 0 && value <= 0x7fff_ffff;
}

function value(local: number, target: number, checked = true): CiliumFixup {
  return { poison: false, local: local >>> 0, target: target >>> 0, checked };
}

function failureOf(kind: CoreKind): CiliumFixup {
  return EXISTENCE.has(kind) ? value(1, 0) : POISON;
}

function isFailure(fixup: CiliumFixup, request: Request | undefined): boolean {
  return fixup.poison || (request !== undefined && EXISTENCE.has(request.kind) && fixup.target === 0);
}

function areEqual(a: CiliumFixup, b: CiliumFixup): boolean {
  const [ours, theirs] = [a.poison ? [0, 0] : [a.local, a.target], b.poison ? [0, 0] : [b.local, b.target]];
  return ours[0] === theirs[0] && ours[1] === theirs[1];
}

function sizeOf(btf: Btf, id: number): number {
  const size = btf.sizeOf(id);
  if (size === undefined) throw refuse(`type ${id} has no size`);
  return size;
}

function parseAccessor(text: string): number[] {
  return text.split(':').map((part) => {
    const isNumber = part !== '' && part.length <= 10 && [...part].every((digit) => digit >= '0' && digit <= '9');
    if (!isNumber || Number(part) > 0x7fff_ffff) throw refuse(`CO-RE access ${JSON.stringify(text)} is malformed`);
    return Number(part);
  });
}
