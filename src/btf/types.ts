// One record for every kind of BTF type, plain values all the way down.
// References to other types are ids; `Btf.type(id)` follows them.

interface Type {
  /** 1 .. `Btf.count`; 0 is void. */
  readonly id: number;
  /** Empty for what C calls anonymous. */
  readonly name: string;
}

export interface BtfVoid extends Type {
  readonly kind: 'void';
}
export interface BtfInt extends Type {
  readonly kind: 'int';
  /** Bytes. */
  readonly size: number;
  /** BTF_INT_SIGNED 1, BTF_INT_CHAR 2, BTF_INT_BOOL 4, as stored. */
  readonly encoding: number;
  /** Position and width of the value inside `size` bytes: 0 and all of it, except for bitfields of before Linux 4.20. */
  readonly bitOffset: number;
  readonly bits: number;
}
/** The kinds that only refer to another type. */
export interface BtfReference extends Type {
  readonly kind: 'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict';
  readonly type: number;
}
export interface BtfTypeTag extends Type {
  readonly kind: 'type_tag';
  readonly type: number;
  /** `name` is a whole attribute rather than the text of a btf_type_tag (kind flag, Linux 6.15). */
  readonly attribute: boolean;
}
export interface BtfArray extends Type {
  readonly kind: 'array';
  readonly element: number;
  readonly index: number;
  readonly length: number;
}
export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** Bits from the start of the struct. */
  readonly bitOffset: number;
  /** Bits; 0 when the member is not a bitfield. */
  readonly bitSize: number;
}
export interface BtfComposite extends Type {
  readonly kind: 'struct' | 'union';
  /** Bytes. */
  readonly size: number;
  readonly members: readonly BtfMember[];
}
export interface BtfEnumerator {
  readonly name: string;
  /** As the enum's own signedness reads it. */
  readonly value: number;
}
export interface BtfEnum extends Type {
  readonly kind: 'enum';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumerator[];
}
export interface BtfEnumerator64 {
  readonly name: string;
  readonly value: bigint;
}
export interface BtfEnum64 extends Type {
  readonly kind: 'enum64';
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumerator64[];
}
export interface BtfFwd extends Type {
  readonly kind: 'fwd';
  readonly declares: 'struct' | 'union';
}
/** BTF_FUNC_* and BTF_VAR_* share their values: 0 static, 1 global, 2 extern. */
export type BtfLinkage = 'static' | 'global' | 'extern' | number;
export interface BtfFunc extends Type {
  readonly kind: 'func';
  /** Of a func_proto. */
  readonly type: number;
  readonly linkage: BtfLinkage;
}
export interface BtfParam {
  readonly name: string;
  /** 0 in last place means `...`. */
  readonly type: number;
}
export interface BtfFuncProto extends Type {
  readonly kind: 'func_proto';
  readonly returns: number;
  readonly params: readonly BtfParam[];
}
export interface BtfVar extends Type {
  readonly kind: 'var';
  readonly type: number;
  readonly linkage: BtfLinkage;
}
export interface BtfSectionVariable {
  /** Of a var, or of a func in `.ksyms`. */
  readonly type: number;
  /** Bytes from the start of the ELF section; 0 until libbpf or the linker fills it in. */
  readonly offset: number;
  readonly size: number;
}
export interface BtfDatasec extends Type {
  readonly kind: 'datasec';
  readonly size: number;
  readonly variables: readonly BtfSectionVariable[];
}
export interface BtfFloat extends Type {
  readonly kind: 'float';
  readonly size: number;
}
export interface BtfDeclTag extends Type {
  readonly kind: 'decl_tag';
  readonly type: number;
  /** Member or parameter that is tagged; -1 for the type itself. */
  readonly component: number;
  /** `name` is a whole attribute rather than the text of a btf_decl_tag (kind flag, Linux 6.15). */
  readonly attribute: boolean;
}
/** A kind of the future whose extent the BTF itself describes (struct btf_layout). */
export interface BtfUnknown extends Type {
  readonly kind: 'unknown';
  readonly number: number;
}

export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfReference
  | BtfTypeTag
  | BtfArray
  | BtfComposite
  | BtfEnum
  | BtfEnum64
  | BtfFwd
  | BtfFunc
  | BtfFuncProto
  | BtfVar
  | BtfDatasec
  | BtfFloat
  | BtfDeclTag
  | BtfUnknown;

export type BtfKind = BtfType['kind'];

/** Kind names by number, as bpftool and libbpf print them. */
export const KIND_NAMES: readonly BtfKind[] = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
];

export function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

export function isEnum(type: BtfType): type is BtfEnum | BtfEnum64 {
  return type.kind === 'enum' || type.kind === 'enum64';
}
