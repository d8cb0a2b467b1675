// Where cilium/ebpf finds a field of the object in a target type (coreFindField).

import type { CoreSides } from './core-match.ts';
import { refusal, sizeOrRefuse } from './core-refusal.ts';
import type { CoreSpec } from './core-spec.ts';
import type { Btf } from './decode.ts';
import { type BtfComposite, type BtfMember, type BtfType, isComposite, isEnum } from './types.ts';

export interface CiliumField {
  readonly type: number;
  /** Bytes from the start of the root. */
  readonly offset: number;
  /** Bits from `offset`; 0 unless one of both sides is a bitfield. */
  readonly bitOffset: number;
  readonly bitSize: number;
  /** Last member of its struct, so that an array of length 0 there has elements. */
  readonly maybeFlexible: boolean;
}

/** maxTypeDepth. */
const MAX_SEARCHED = 32;

/**
 * Both places, or `undefined` when the target has no such field.
 * @throws FormatError where cilium/ebpf refuses the program.
 */
export function findCiliumField(
  sides: CoreSides,
  spec: CoreSpec,
  candidate: number,
): { readonly local: CiliumField; readonly target: CiliumField } | undefined {
  const [first = 0, ...rest] = spec.indexes;
  let local = rootOf(spec.root);
  let target = rootOf(candidate);
  if (typeOf(sides.target, candidate).kind === 'fwd' || !membersFit(sides, local, target)) return undefined;
  local = element(sides.local, local, spec.root, first);
  target = element(sides.target, target, candidate, first);
  for (const [position, index] of rest.entries()) {
    const type = typeOf(sides.local, local.type);
    if (isComposite(type)) {
      const member = type.members[index];
      if (member === undefined) throw refusal(`${type.kind} ${type.name} has no member ${index}`);
      if (member.name === '') {
        if (!isComposite(typeOf(sides.local, member.type))) throw refusal(`unnamed member of type ${member.type}`);
        local = { ...rootOf(member.type), offset: local.offset + Math.floor(member.bitOffset / 8) };
        continue;
      }
      const found = memberNamed(sides, typeOf(sides.target, target.type), member.name);
      if (found === undefined) return undefined;
      const isBitfield = member.bitSize > 0 || found.member.bitSize > 0;
      if (isBitfield && position + 1 < rest.length) throw refusal('a path into a bitfield');
      local = enter(sides.local, local, member, index === type.members.length - 1, isBitfield);
      target = enter(sides.target, target, found.member, found.isLast, isBitfield);
    } else if (type.kind === 'array') {
      const array = typeOf(sides.target, target.type);
      if (array.kind !== 'array') return undefined;
      if (type.length === 0 && !local.maybeFlexible) throw refusal(`array type ${type.id} has no elements`);
      if (array.length === 0 && !target.maybeFlexible) throw refusal(`target array type ${array.id} has no elements`);
      if (type.length > 0 && index >= type.length) throw refusal(`array of ${type.length} has no element ${index}`);
      if (array.length > 0 && index >= array.length) return undefined;
      local = element(sides.local, local, type.element, index);
      target = element(sides.target, target, array.element, index);
    } else {
      throw refusal(`a path into ${type.kind}`);
    }
    if (!membersFit(sides, local, target)) return undefined;
  }
  return { local, target };
}

function enter(btf: Btf, into: CiliumField, member: BtfMember, isLast: boolean, isBitfield: boolean): CiliumField {
  const field = { type: member.type, bitSize: member.bitSize, maybeFlexible: isLast };
  if (!isBitfield) return { ...field, offset: into.offset + Math.floor(member.bitOffset / 8), bitOffset: 0 };
  // Loads start at a multiple of the declared type's alignment, and are never widened.
  const unit = alignmentOf(typeOf(btf, member.type));
  const aligned = Math.floor(member.bitOffset / 8 / unit) * unit;
  return { ...field, offset: into.offset + aligned, bitOffset: member.bitOffset - aligned * 8 };
}

function element(btf: Btf, from: CiliumField, type: number, index: number): CiliumField {
  const size = index === 0 ? 0 : sizeOrRefuse(btf, type);
  return { ...rootOf(type), offset: (from.offset + index * size) % 2 ** 32 };
}

/** Breadth first, so a member of an outer struct hides one of the same name further in. */
function memberNamed(
  sides: CoreSides,
  type: BtfType,
  name: string,
): { readonly member: BtfMember; readonly isLast: boolean } | undefined {
  if (!isComposite(type)) return undefined;
  const places: { readonly type: BtfComposite; readonly bitOffset: number }[] = [{ type, bitOffset: 0 }];
  const seen = new Set<string>();
  for (const place of places) {
    const key = `${place.type.id}@${place.bitOffset}`;
    if (seen.has(key)) continue;
    if (seen.size >= MAX_SEARCHED) throw refusal('type is nested too deep');
    seen.add(key);
    for (const [index, member] of place.type.members.entries()) {
      sides.spend();
      const bitOffset = place.bitOffset + member.bitOffset;
      if (member.name === name)
        return { member: { ...member, bitOffset }, isLast: index === place.type.members.length - 1 };
      if (member.name !== '') continue;
      const inner = typeOf(sides.target, member.type);
      if (!isComposite(inner)) throw refusal(`unnamed member of type ${member.type}`);
      places.push({ type: inner, bitOffset });
    }
  }
  return undefined;
}

/** coreAreMembersCompatible: arrays are not looked into, the path does that. */
function membersFit(sides: CoreSides, { type: ours }: CiliumField, { type: theirs }: CiliumField): boolean {
  const local = typeOf(sides.local, ours);
  const target = typeOf(sides.target, theirs);
  if (isComposite(local) && isComposite(target)) return true;
  const bothEnums = sides.rules.mixEnums && isEnum(local) && isEnum(target);
  if (local.kind !== target.kind && !bothEnums) return false;
  switch (local.kind) {
    case 'array':
    case 'ptr':
    case 'float':
    case 'int':
      return true;
    case 'enum':
    case 'enum64':
    case 'fwd': {
      const [a, b] = [sides.rules.essentialName(local.name), sides.rules.essentialName(target.name)];
      return a === '' || b === '' || a === b;
    }
    default:
      throw refusal(`a field of kind ${local.kind}`);
  }
}

function rootOf(type: number): CiliumField {
  return { type, offset: 0, bitOffset: 0, bitSize: 0, maybeFlexible: false };
}

function typeOf(btf: Btf, id: number): BtfType {
  return btf.type(btf.resolve(id));
}

function alignmentOf(type: BtfType): number {
  const isScalar = type.kind === 'int' || isEnum(type);
  if (!isScalar || type.size === 0) throw refusal(`a bitfield of kind ${type.kind}`);
  return type.size;
}
