// One BTF type as a record, from the bytes at its place.
import type { Field } from '../bytes/layout.ts';
import {
  BTF_KIND,
  btfArray,
  btfDeclTag,
  btfEnum,
  btfEnum64,
  btfMember,
  btfParam,
  btfType,
  btfVar,
  btfVarSecinfo,
} from './layouts.ts';
import type { BtfLinkage, BtfType } from './types.ts';

/** `at` must be a place where the index found a whole type. */
export function decodeType(
  view: DataView,
  at: number,
  little: boolean,
  id: number,
  string: (offset: number) => string,
): BtfType {
  const { name_off, info, size_or_type } = btfType.read(view, at, little);
  const vlen = info & 0xff_ffff;
  const flag = info >>> 31 === 1;
  const name = string(name_off);
  const payload = at + btfType.size;
  const rows = <R, T>(row: Field<R>, translate: (row: R) => T): T[] =>
    Array.from({ length: vlen }, (_, index) => translate(row.read(view, payload + index * row.size, little)));

  const number = (info >>> 24) & 0x7f;
  switch (number) {
    case BTF_KIND.INT: {
      // encoding, 8 unused bits below it, bit offset, width: 27..24, 23..16, 7..0
      const word = view.getUint32(payload, little);
      const encoding = (word >>> 24) & 0xf;
      return {
        kind: 'int',
        id,
        name,
        size: size_or_type,
        encoding,
        bitOffset: (word >>> 16) & 0xff,
        bits: word & 0xff,
      };
    }
    case BTF_KIND.PTR:
      return { kind: 'ptr', id, name, type: size_or_type };
    case BTF_KIND.TYPEDEF:
      return { kind: 'typedef', id, name, type: size_or_type };
    case BTF_KIND.VOLATILE:
      return { kind: 'volatile', id, name, type: size_or_type };
    case BTF_KIND.CONST:
      return { kind: 'const', id, name, type: size_or_type };
    case BTF_KIND.RESTRICT:
      return { kind: 'restrict', id, name, type: size_or_type };
    case BTF_KIND.TYPE_TAG:
      return { kind: 'type_tag', id, name, type: size_or_type, attribute: flag };
    case BTF_KIND.ARRAY: {
      const array = btfArray.read(view, payload, little);
      return { kind: 'array', id, name, element: array.type, index: array.index_type, length: array.nelems };
    }
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      return {
        kind: number === BTF_KIND.STRUCT ? 'struct' : 'union',
        id,
        name,
        size: size_or_type,
        members: rows(btfMember, (member) => ({
          name: string(member.name_off),
          type: member.type,
          // With the kind flag `offset` is bitfield_size:8 bit_offset:24.
          bitOffset: flag ? member.offset & 0xff_ffff : member.offset,
          bitSize: flag ? member.offset >>> 24 : 0,
        })),
      };
    case BTF_KIND.ENUM:
      return {
        kind: 'enum',
        id,
        name,
        size: size_or_type,
        signed: flag,
        values: rows(btfEnum, ({ name_off, val }) => ({ name: string(name_off), value: flag ? val : val >>> 0 })),
      };
    case BTF_KIND.ENUM64:
      return {
        kind: 'enum64',
        id,
        name,
        size: size_or_type,
        signed: flag,
        values: rows(btfEnum64, ({ name_off, val_lo32, val_hi32 }) => {
          const value = (BigInt(val_hi32) << 32n) | BigInt(val_lo32);
          return { name: string(name_off), value: flag ? BigInt.asIntN(64, value) : value };
        }),
      };
    case BTF_KIND.FWD:
      return { kind: 'fwd', id, name, declares: flag ? 'union' : 'struct' };
    case BTF_KIND.FUNC:
      return { kind: 'func', id, name, type: size_or_type, linkage: linkage(vlen) };
    case BTF_KIND.FUNC_PROTO:
      return {
        kind: 'func_proto',
        id,
        name,
        returns: size_or_type,
        params: rows(btfParam, ({ name_off, type }) => ({ name: string(name_off), type })),
      };
    case BTF_KIND.VAR:
      return {
        kind: 'var',
        id,
        name,
        type: size_or_type,
        linkage: linkage(btfVar.read(view, payload, little).linkage),
      };
    case BTF_KIND.DATASEC:
      return { kind: 'datasec', id, name, size: size_or_type, variables: rows(btfVarSecinfo, (row) => row) };
    case BTF_KIND.FLOAT:
      return { kind: 'float', id, name, size: size_or_type };
    case BTF_KIND.DECL_TAG: {
      const { component_idx } = btfDeclTag.read(view, payload, little);
      return { kind: 'decl_tag', id, name, type: size_or_type, component: component_idx, attribute: flag };
    }
    default:
      return { kind: 'unknown', id, name, number };
  }
}

const LINKAGES = ['static', 'global', 'extern'] as const;

function linkage(value: number): BtfLinkage {
  return LINKAGES[value] ?? value;
}
