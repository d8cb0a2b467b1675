// The number a CO-RE relocation stands for, given a place in some BTF (libbpf: bpf_core_calc_relo).
import { refusal, sizeOrRefuse } from './core-refusal.ts';
import type { CoreRules } from './core-rules.ts';
import { type CoreSpec, isEnumKind, isTypeKind } from './core-spec.ts';
import type { Btf } from './decode.ts';
import { BTF_INT } from './layouts.ts';
import { type BtfMember, type BtfType, isComposite, isEnum } from './types.ts';

export interface CoreValue {
  readonly value: bigint;
  /** The compiler cannot have put another value into the instruction. */
  readonly certain: boolean;
  /** For byte_off of a whole field: what a load or store there accesses. */
  readonly access?: { readonly size: number; readonly type: number };
}

/**
 * The value of `spec` in its BTF.
 * @throws FormatError `core-refused` where libbpf refuses the object.
 */
export function coreValue(btf: Btf, spec: CoreSpec, rules: CoreRules): CoreValue {
  if (isTypeKind(spec.kind)) return typeValue(btf, spec);
  if (isEnumKind(spec.kind)) return enumValue(btf, spec, rules);
  if (spec.kind === 'field_exists') return { value: 1n, certain: true };
  const last = spec.accessors.at(-1);
  if (last === undefined) throw refusal('a field without a path');
  if (last.name === undefined) return elementValue(btf, spec, last.type, rules);
  const parent = btf.type(last.type);
  const member = isComposite(parent) ? parent.members[last.index] : undefined;
  if (member === undefined) throw refusal(`type ${last.type} has no member ${last.index}`);
  return member.bitSize > 0 ? bitfieldValue(btf, spec, member, rules) : fieldValue(btf, spec, member, rules);
}

/** The value when no candidate matches, or `poison`. */
export function missingValue(spec: CoreSpec, rules: CoreRules): bigint | 'poison' {
  switch (spec.kind) {
    case 'field_exists':
    case 'type_exists':
    case 'type_matches':
    case 'enumval_exists':
      return 0n;
    case 'type_size':
    case 'target_type_id':
      if (rules.missingType === 'refuse') throw refusal(`no type for ${spec.kind}`);
      return 0n;
    default:
      if (!rules.poison) throw refusal(`nothing matches ${spec.kind}`);
      return 'poison';
  }
}

function typeValue(btf: Btf, spec: CoreSpec): CoreValue {
  switch (spec.kind) {
    case 'local_type_id':
    case 'target_type_id':
      // Linking renumbers types, so what the instruction holds proves nothing.
      return { value: BigInt(spec.root), certain: false };
    case 'type_size':
      return { value: BigInt(sizeOrRefuse(btf, spec.root)), certain: true };
    default:
      return { value: 1n, certain: true };
  }
}

function enumValue(btf: Btf, spec: CoreSpec, rules: CoreRules): CoreValue {
  if (spec.kind === 'enumval_exists') return { value: 1n, certain: true };
  const [place] = spec.accessors;
  const type = btf.type(place?.type ?? 0);
  if (type.kind === 'enum64')
    return { value: unsigned(type.values[place?.index ?? 0]?.value ?? 0n, rules), certain: true };
  if (type.kind !== 'enum') throw refusal(`type ${type.id} is no enum`);
  const stored = BigInt(type.values[place?.index ?? 0]?.value ?? 0);
  // struct btf_enum holds a signed 32-bit number, whatever the enum says of itself.
  const value = type.signed || rules.unsignedEnumerators === 'sign-extend' ? BigInt.asIntN(32, stored) : stored;
  return { value: unsigned(value, rules), certain: true };
}

function elementValue(btf: Btf, spec: CoreSpec, type: number, rules: CoreRules): CoreValue {
  const size = sizeOrRefuse(btf, type);
  switch (spec.kind) {
    case 'byte_off':
      return { value: byteOffset(spec), certain: true, access: accessOf(btf, type, rules) };
    case 'byte_sz':
      return { value: BigInt(size), certain: true };
    default:
      throw refusal(`${spec.kind} of an array element`);
  }
}

function fieldValue(btf: Btf, spec: CoreSpec, member: BtfMember, rules: CoreRules): CoreValue {
  const type = btf.type(btf.resolve(member.type));
  const size = sizeOrRefuse(btf, type.id);
  switch (spec.kind) {
    case 'byte_off':
      return { value: byteOffset(spec), certain: true, access: accessOf(btf, type.id, rules) };
    case 'byte_sz':
      return { value: BigInt(size), certain: true };
    case 'signed':
      return { value: signedness(type, rules), certain: true };
    case 'lshift_u64': {
      // Modulo 2^64, as the C arithmetic of libbpf has it: what is wider than a u64 gives nonsense there too.
      const shift = btf.littleEndian ? 64 - ((spec.bitOffset % 8) + size * 8) : (8 - size) * 8 + (spec.bitOffset % 8);
      return { value: BigInt.asUintN(32, BigInt(shift)), certain: true };
    }
    default:
      return { value: BigInt.asUintN(32, BigInt(64 - size * 8)), certain: true };
  }
}

/**
 * A bitfield is read through the smallest aligned integer that covers it, from its declared type up to 8 bytes:
 *
 *     bit 37, 6 wide, int:  bytes 4..7, lshift 64 - (37 + 6 - 32) = 53, rshift 58
 *     bit 30, 6 wide, int:  bytes 0..7, lshift 64 - (30 + 6) = 28, rshift 58
 */
function bitfieldValue(btf: Btf, spec: CoreSpec, { type, bitSize }: BtfMember, rules: CoreRules): CoreValue {
  const { bitOffset } = spec;
  const declared = btf.type(btf.resolve(type));
  let size = sizeOrRefuse(btf, declared.id);
  if (size === 0) throw refusal('a bitfield of a type of size 0');
  const alignedDown = () => Math.floor(bitOffset / 8 / size) * size;
  let offset = alignedDown();
  while (bitOffset + bitSize - offset * 8 > size * 8) {
    if (size >= 8) throw refusal(`bitfield at bit ${bitOffset}, ${bitSize} wide, needs more than 8 bytes`);
    size *= 2;
    offset = alignedDown();
  }
  switch (spec.kind) {
    // Neither sign nor width is a matter of how the compiler chose to read the field.
    case 'signed':
      return { value: signedness(declared, rules), certain: true };
    case 'rshift_u64':
      return { value: BigInt.asUintN(32, BigInt(64 - bitSize)), certain: true };
    case 'byte_off':
      return { value: BigInt(offset), certain: false };
    case 'byte_sz':
      return { value: BigInt(size), certain: false };
    default: {
      const shift = btf.littleEndian
        ? 64 - (bitOffset + bitSize - offset * 8)
        : (8 - size) * 8 + (bitOffset - offset * 8);
      return { value: BigInt.asUintN(32, BigInt(shift)), certain: false };
    }
  }
}

/** Since libbpf 1.6 the width is that of an array's element; what is compared stays the array. */
function accessOf(btf: Btf, type: number, rules: CoreRules): { size: number; type: number } {
  let element = btf.type(btf.resolve(type));
  if (rules.accessSize === 'element') {
    for (let depth = 0; element.kind === 'array' && depth < 32; depth++)
      element = btf.type(btf.resolve(element.element));
  }
  return { size: sizeOrRefuse(btf, element.id), type };
}

function signedness(type: BtfType, rules: CoreRules): bigint {
  if (type.kind === 'int') return type.encoding & BTF_INT.SIGNED ? 1n : 0n;
  if (isEnum(type)) return rules.enumsAreSigned || type.signed ? 1n : 0n;
  return 0n;
}

function byteOffset(spec: CoreSpec): bigint {
  return BigInt(Math.floor(spec.bitOffset / 8));
}

function unsigned(value: bigint, rules: CoreRules): bigint {
  return BigInt.asUintN(rules.wideValues ? 64 : 32, value);
}
