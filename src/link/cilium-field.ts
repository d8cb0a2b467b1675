// Where cilium/ebpf finds a field: the same access walked through the object's type and a candidate side by side.

import type { Btf } from '../btf/decode.ts';
import type { BtfComposite, BtfMember, BtfType } from '../btf/types.ts';
import { FormatError } from '../diagnostics.ts';
import { refuse } from './loader.ts';

/**
 * A field by its offset from the root type:
 *
 *     | offset * 8 | bitfieldOffset | bitfieldSize |
 */
export interface CiliumField {
  readonly type: number;
  /** Bytes. */
  readonly offset: number;
  /** Bits; 0 and 0 unless either side is a bitfield. */
  readonly bitfieldOffset: number;
  readonly bitfieldSize: number;
}

export interface FieldSides {
  readonly local: Btf;
  readonly target: Btf;
  readonly spend: () => void;
}

interface Step {
  readonly field: CiliumField;
  /** The last member of its struct, where an array may be longer than it says. */
  readonly isLast: boolean;
}

/** Both fields, or `undefined` when this candidate has none. @throws Unlinkable, FormatError */
export function findField(
  sides: FieldSides,
  localRoot: number,
  accessor: readonly number[],
  targetRoot: number,
): [local: CiliumField, target: CiliumField] | undefined {
  const [first = 0, ...path] = accessor;
  let local: Step = { field: element(sides.local, start(localRoot), first), isLast: false };
  let target: Step = { field: element(sides.target, start(targetRoot), first), isLast: false };
  if (!membersAreCompatible(sides, local.field.type, target.field.type)) return undefined;
  for (const [position, index] of path.entries()) {
    const type = typeOf(sides.local, local.field.type);
    if (type.kind === 'struct' || type.kind === 'union') {
      const member = type.members[index];
      if (member === undefined) throw refuse(`${type.kind} ${type.name} has no member ${index}`);
      if (member.name === '') {
        local = { field: plainMember(local.field, member), isLast: false };
        continue;
      }
      const isEnd = position === path.length - 1;
      const next = namedMember(sides, { type, member, index }, local.field, target.field, isEnd);
      if (next === undefined) return undefined;
      [local, target] = next;
    } else if (type.kind === 'array') {
      const theirs = typeOf(sides.target, target.field.type);
      if (theirs.kind !== 'array') return undefined;
      if (type.length === 0 && !local.isLast) throw refuse('an array of length 0 in the middle of a struct');
      if (theirs.length === 0 && !target.isLast) throw refuse('an array of length 0 in the middle of a struct');
      if (type.length > 0 && index >= type.length) throw refuse(`array of ${type.length} has no element ${index}`);
      if (theirs.length > 0 && index >= theirs.length) return undefined;
      local = { field: element(sides.local, { ...local.field, type: type.element }, index), isLast: false };
      target = { field: element(sides.target, { ...target.field, type: theirs.element }, index), isLast: false };
    } else {
      throw refuse(`a path leads into ${type.kind}`);
    }
    if (!membersAreCompatible(sides, local.field.type, target.field.type)) return undefined;
  }
  return [local.field, target.field];
}

interface LocalMember {
  readonly type: BtfComposite;
  readonly member: BtfMember;
  readonly index: number;
}

function namedMember(
  sides: FieldSides,
  { type, member, index }: LocalMember,
  local: CiliumField,
  target: CiliumField,
  isEnd: boolean,
): [Step, Step] | undefined {
  const inside = typeOf(sides.target, target.type);
  if (inside.kind !== 'struct' && inside.kind !== 'union') return undefined;
  const found = searchMember(sides, inside, member.name);
  if (found === undefined) return undefined;
  const isLast = index === type.members.length - 1;
  if (member.bitSize === 0 && found.member.bitSize === 0) {
    return [
      { field: plainMember(local, member), isLast },
      { field: plainMember(target, found.member), isLast: found.isLast },
    ];
  }
  if (!isEnd) throw refuse('a path leads into a bitfield');
  return [
    { field: bitMember(sides.local, local, member), isLast },
    { field: bitMember(sides.target, target, found.member), isLast: found.isLast },
  ];
}

interface FoundMember {
  readonly member: BtfMember;
  readonly isLast: boolean;
}

const MAX_COMPOSITES = 32;

/** Breadth first through anonymous structs and unions. */
function searchMember({ target, spend }: FieldSides, root: BtfComposite, name: string): FoundMember | undefined {
  const pending: { readonly type: BtfComposite; readonly bitOffset: number }[] = [{ type: root, bitOffset: 0 }];
  const visited = new Set<string>();
  for (const { type, bitOffset } of pending) {
    const key = `${type.id}:${bitOffset}`;
    if (visited.has(key)) continue;
    if (visited.size >= MAX_COMPOSITES) throw refuse(`type ${root.id} nests too deeply`);
    visited.add(key);
    for (const [index, member] of type.members.entries()) {
      spend();
      if (member.name === name) {
        const found = { ...member, bitOffset: bitOffset + member.bitOffset };
        return { member: found, isLast: index === type.members.length - 1 };
      }
      if (member.name !== '') continue;
      const inner = typeOf(target, member.type);
      if (inner.kind !== 'struct' && inner.kind !== 'union') throw refuse(`an anonymous member of kind ${inner.kind}`);
      pending.push({ type: inner, bitOffset: bitOffset + member.bitOffset });
    }
  }
  return undefined;
}

function membersAreCompatible({ local, target, spend }: FieldSides, localId: number, targetId: number): boolean {
  spend();
  const ours = typeOf(local, localId);
  const theirs = typeOf(target, targetId);
  if (isComposite(ours) && isComposite(theirs)) return true;
  if (ours.kind.replace('64', '') !== theirs.kind.replace('64', '')) return false;
  switch (ours.kind) {
    case 'array':
    case 'ptr':
    case 'float':
    case 'int':
      return true;
    case 'enum':
    case 'enum64':
    case 'fwd':
      if (ours.name === '' || theirs.name === '') return true;
      return ciliumEssentialName(ours.name) === ciliumEssentialName(theirs.name);
    default:
      throw refuse(`a field of kind ${ours.kind}`);
  }
}

/** Up to the last `___`, whatever stands around it. */
export function ciliumEssentialName(name: string): string {
  const flavor = name.lastIndexOf('___');
  return flavor > 0 ? name.slice(0, flavor) : name;
}

function isComposite({ kind }: BtfType): boolean {
  return kind === 'struct' || kind === 'union';
}

function start(type: number): CiliumField {
  return { type, offset: 0, bitfieldOffset: 0, bitfieldSize: 0 };
}

/** The size of what is indexed is asked for even where the index is 0. */
function element(btf: Btf, field: CiliumField, index: number): CiliumField {
  const size = btf.sizeOf(field.type);
  if (size === undefined) throw refuse(`type ${field.type} has no size`);
  return { ...start(field.type), offset: wrap(field.offset + index * size) };
}

function plainMember({ offset }: CiliumField, { type, bitOffset }: BtfMember): CiliumField {
  return { ...start(type), offset: wrap(offset + Math.floor(bitOffset / 8)) };
}

/** Read from the last aligned address of its type before it; no wider, even where the field crosses the end. */
function bitMember(btf: Btf, { offset }: CiliumField, { type, bitOffset, bitSize }: BtfMember): CiliumField {
  const declared = typeOf(btf, type);
  const size = declared.kind === 'int' || declared.kind === 'enum' || declared.kind === 'enum64' ? declared.size : 0;
  if (size === 0) throw refuse(`a bitfield of kind ${declared.kind}`);
  const bytes = Math.floor(bitOffset / 8 / size) * size;
  return { type, offset: wrap(offset + bytes), bitfieldOffset: bitOffset - bytes * 8, bitfieldSize: bitSize };
}

function wrap(offset: number): number {
  if (!Number.isSafeInteger(offset)) throw new FormatError('core-refused', 0, 'an offset beyond any type');
  return offset >>> 0;
}

function typeOf(btf: Btf, id: number): BtfType {
  return btf.type(btf.resolve(id));
}
