// Does a type of the object fit a type of the target? libbpf's three notions of it, and the search for a field.
import type { FormatError } from '../diagnostics.ts';
import { refusal } from './core-refusal.ts';
import type { CoreRules } from './core-rules.ts';
import { type CoreAccessor, type CoreSpec, isEnumKind, isTypeKind, MAX_PATH, SpecBuilder } from './core-spec.ts';
import type { Btf } from './decode.ts';
import { BTF_INT } from './layouts.ts';
import { type BtfComposite, type BtfEnum, type BtfEnum64, type BtfType, isComposite, isEnum } from './types.ts';

/** Both sides of one relocation. `spend` counts work and throws when a crafted type graph costs too much. */
export interface CoreSides {
  readonly local: Btf;
  readonly target: Btf;
  readonly rules: CoreRules;
  readonly spend: () => void;
}

/** libbpf's limits on recursion, for pointers in a row and for nested prototypes and structs alike. */
const MAX_DEPTH = 32;

/**
 * Where `local` lies inside the candidate type, or `undefined` when it does not fit (bpf_core_spec_match).
 * @throws FormatError for what makes libbpf refuse the object: types that nest too deeply or do not exist.
 */
export function matchSpec(sides: CoreSides, local: CoreSpec, candidate: number): CoreSpec | undefined {
  if (isTypeKind(local.kind)) {
    const fits =
      local.kind === 'type_matches'
        ? typesMatch(sides, local.root, candidate)
        : kindsFit(sides, sides.local.type(local.root), sides.target.type(candidate)) &&
          typesAreCompatible(sides, local.root, candidate);
    return fits ? new SpecBuilder(sides.target, local.kind, candidate).spec() : undefined;
  }
  return isEnumKind(local.kind) ? matchEnumerator(sides, local, candidate) : matchField(sides, local, candidate);
}

function matchEnumerator(sides: CoreSides, local: CoreSpec, candidate: number): CoreSpec | undefined {
  const target = sides.target.type(sides.target.resolve(candidate));
  if (!isEnum(target)) return undefined;
  const wanted = sides.rules.essentialName(local.accessors[0]?.name ?? '');
  const index = target.values.findIndex(({ name }) => {
    sides.spend();
    return sides.rules.essentialName(name) === wanted;
  });
  const found = target.values[index];
  if (!found) return undefined;
  const place = new SpecBuilder(sides.target, local.kind, candidate);
  place.enumerator(target.id, index, found.name);
  return place.spec();
}

function matchField(sides: CoreSides, local: CoreSpec, candidate: number): CoreSpec | undefined {
  const { target } = sides;
  const place = new SpecBuilder(target, local.kind, candidate);
  let current = candidate;
  for (const [position, accessor] of local.accessors.entries()) {
    current = target.resolve(current);
    if (accessor.name !== undefined) {
      const next = matchMember(sides, accessor, current, place);
      if (next === undefined) return undefined;
      current = next;
      continue;
    }
    // The first index steps over whole roots, so there the candidate itself is the element.
    if (position > 0) {
      const array = target.type(current);
      if (array.kind !== 'array' || !place.canIndex(array, accessor.index)) return undefined;
      current = target.resolve(array.element);
    }
    checkPath(place);
    if (!place.element(current, accessor.index))
      throw refusal(`element ${accessor.index} of type ${current} has no place`);
  }
  return place.spec();
}

/** The type of the member with the accessor's name, anonymous structs and unions searched where they stand. */
function matchMember(sides: CoreSides, accessor: CoreAccessor, inside: number, place: SpecBuilder): number | undefined {
  const wanted = sides.local.type(accessor.type);
  const localMember = isComposite(wanted) ? wanted.members[accessor.index] : undefined;
  if (localMember === undefined) throw refusal(`type ${accessor.type} has no member ${accessor.index}`);

  // `null`: found, but of an incompatible type, which ends the search for this candidate.
  const search = (id: number): number | null | undefined => {
    const type = sides.target.type(sides.target.resolve(id));
    if (!isComposite(type)) return undefined;
    for (const [index, member] of type.members.entries()) {
      sides.spend();
      checkPath(place);
      if (member.name === '') {
        place.member(type.id, index, member.bitOffset, '');
        const found = search(member.type);
        if (found !== undefined) return found;
        place.leave(member.bitOffset);
      } else if (member.name === localMember.name) {
        place.member(type.id, index, member.bitOffset, member.name);
        return fieldsAreCompatible(sides, localMember.type, member.type) ? member.type : null;
      }
    }
    return undefined;
  };
  return search(inside) ?? undefined;
}

/** bpf_core_fields_are_compat: may this field be read through that one? Sizes and signs may differ. */
function fieldsAreCompatible(sides: CoreSides, localId: number, targetId: number): boolean {
  let [nextLocal, nextTarget] = [localId, targetId];
  for (let depth = 0; depth < MAX_PATH; depth++) {
    sides.spend();
    const local = sides.local.type(sides.local.resolve(nextLocal));
    const target = sides.target.type(sides.target.resolve(nextTarget));
    if (isComposite(local) && isComposite(target)) return true;
    if (!kindsFit(sides, local, target)) return false;
    switch (local.kind) {
      case 'ptr':
      case 'float':
        return true;
      case 'int':
        return local.bitOffset === 0 && target.kind === 'int' && target.bitOffset === 0;
      case 'fwd':
      case 'enum':
      case 'enum64': {
        const [ours, theirs] = [sides.rules.essentialName(local.name), sides.rules.essentialName(target.name)];
        return ours === '' || theirs === '' || ours === theirs;
      }
      case 'array':
        if (target.kind !== 'array') return false;
        [nextLocal, nextTarget] = [local.element, target.element];
        break;
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

/**
 * bpf_core_types_are_compat: the same kinds all the way down; names below the root do not matter.
 * Also how libbpf compares an extern's type with the kernel's.
 */
export function typesAreCompatible(sides: CoreSides, localId: number, targetId: number, level = MAX_DEPTH): boolean {
  let [nextLocal, nextTarget] = [localId, targetId];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    sides.spend();
    const local = sides.local.type(sides.local.resolve(nextLocal));
    const target = sides.target.type(sides.target.resolve(nextTarget));
    if (!kindsFit(sides, local, target)) return false;
    switch (local.kind) {
      case 'void':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'fwd':
        return true;
      case 'int':
        return local.bitOffset === 0 && target.kind === 'int' && target.bitOffset === 0;
      case 'ptr':
        if (target.kind !== 'ptr') return false;
        [nextLocal, nextTarget] = [local.type, target.type];
        break;
      case 'array':
        if (target.kind !== 'array') return false;
        [nextLocal, nextTarget] = [local.element, target.element];
        break;
      case 'func_proto': {
        if (target.kind !== 'func_proto' || local.params.length !== target.params.length) return false;
        for (const [index, { type }] of local.params.entries()) {
          if (level <= 0) throw tooDeep(localId);
          if (!typesAreCompatible(sides, type, target.params[index]?.type ?? 0, level - 1)) return false;
        }
        [nextLocal, nextTarget] = [local.returns, target.returns];
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

/** bpf_core_types_match: as the object's author would compare them, names included. */
function typesMatch(
  sides: CoreSides,
  localId: number,
  targetId: number,
  insidePointer = false,
  level = MAX_DEPTH,
): boolean {
  if (level <= 0) throw tooDeep(localId);
  let [nextLocal, nextTarget, behindPointer] = [localId, targetId, insidePointer];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    sides.spend();
    const local = sides.local.type(sides.local.resolve(nextLocal));
    const target = sides.target.type(sides.target.resolve(nextTarget));
    if (!namesMatch(sides, local.name, target.name)) return false;
    switch (local.kind) {
      case 'void':
        return target.kind === 'void';
      case 'fwd':
        if (target.kind === 'fwd') return local.declares === target.declares;
        return behindPointer && target.kind === local.declares;
      case 'enum':
      case 'enum64':
        return isEnum(target) && enumsMatch(sides, local, target);
      case 'struct':
      case 'union':
        if (behindPointer)
          return target.kind === local.kind || (target.kind === 'fwd' && target.declares === local.kind);
        return isComposite(target) && target.kind === local.kind && compositesMatch(sides, local, target, level);
      case 'int': {
        const signed = (encoding: number) => encoding & BTF_INT.SIGNED;
        if (target.kind !== 'int') return false;
        return local.size === target.size && signed(local.encoding) === signed(target.encoding);
      }
      case 'ptr':
        if (target.kind !== 'ptr') return false;
        [nextLocal, nextTarget, behindPointer] = [local.type, target.type, true];
        break;
      case 'array':
        if (target.kind !== 'array' || local.length !== target.length) return false;
        [nextLocal, nextTarget] = [local.element, target.element];
        break;
      case 'func_proto': {
        if (target.kind !== 'func_proto' || local.params.length !== target.params.length) return false;
        for (const [index, { type }] of local.params.entries()) {
          if (!typesMatch(sides, type, target.params[index]?.type ?? 0, behindPointer, level - 1)) return false;
        }
        [nextLocal, nextTarget] = [local.returns, target.returns];
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

function compositesMatch(sides: CoreSides, local: BtfComposite, target: BtfComposite, level: number): boolean {
  if (local.members.length > target.members.length) return false;
  return local.members.every((ours) =>
    target.members.some((theirs) => {
      sides.spend();
      return namesMatch(sides, ours.name, theirs.name) && typesMatch(sides, ours.type, theirs.type, false, level - 1);
    }),
  );
}

function enumsMatch(sides: CoreSides, local: BtfEnum | BtfEnum64, target: BtfEnum | BtfEnum64): boolean {
  if (local.size !== target.size || local.values.length > target.values.length) return false;
  const names = new Set(target.values.map(({ name }) => sides.rules.essentialName(name)));
  return local.values.every(({ name }) => names.has(sides.rules.essentialName(name)));
}

function namesMatch({ rules }: CoreSides, local: string, target: string): boolean {
  return rules.essentialName(local) === rules.essentialName(target);
}

/** btf_kind_core_compat. */
function kindsFit({ rules }: CoreSides, local: BtfType, target: BtfType): boolean {
  return local.kind === target.kind || (rules.mixEnums && isEnum(local) && isEnum(target));
}

function checkPath(place: SpecBuilder): void {
  if (place.depth >= MAX_PATH) throw refusal(`a path through more than ${MAX_PATH} members`);
}

function tooDeep(id: number): FormatError {
  return refusal(`type ${id} nests deeper than ${MAX_DEPTH}`);
}
