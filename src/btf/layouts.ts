// The tables of BTF and .BTF.ext, as include/uapi/linux/btf.h and bpf.h declare them.
import { layout, s32, u8, u16, u32 } from '../bytes/layout.ts';

export const BTF_MAGIC = 0xeb9f;
export const BTF_VERSION = 1;

/** struct btf_header; every offset counts from `hdr_len`. */
export const btfHeader = layout({
  magic: u16,
  version: u8,
  flags: u8,
  hdr_len: u32,
  type_off: u32,
  type_len: u32,
  str_off: u32,
  str_len: u32,
});

/** What a header of at least 32 bytes adds (2026): one struct btf_layout for every kind its writer knew. */
export const btfHeaderLayout = layout({ layout_off: u32, layout_len: u32 });
export const btfLayout = layout({ info_sz: u8, elem_sz: u8, flags: u16 });

/**
 * struct btf_type. `info` is
 *
 *     31      30..24   23..0
 *     kflag   kind     vlen
 *
 * The first kernels used 28..24 for the kind and 15..0 for vlen and required zeros elsewhere, so the wide reading fits both.
 */
export const btfType = layout({ name_off: u32, info: u32, size_or_type: u32 });
export const btfArray = layout({ type: u32, index_type: u32, nelems: u32 });
export const btfMember = layout({ name_off: u32, type: u32, offset: u32 });
export const btfEnum = layout({ name_off: u32, val: s32 });
export const btfEnum64 = layout({ name_off: u32, val_lo32: u32, val_hi32: u32 });
export const btfParam = layout({ name_off: u32, type: u32 });
export const btfVar = layout({ linkage: u32 });
export const btfVarSecinfo = layout({ type: u32, offset: u32, size: u32 });
export const btfDeclTag = layout({ component_idx: s32 });

/** struct btf_ext_header up to line info; headers of 32 bytes and more go on with CO-RE relocations. */
export const btfExtHeader = layout({
  magic: u16,
  version: u8,
  flags: u8,
  hdr_len: u32,
  func_info_off: u32,
  func_info_len: u32,
  line_info_off: u32,
  line_info_len: u32,
});
export const btfExtHeaderCore = layout({ core_relo_off: u32, core_relo_len: u32 });
export const btfExtInfoSec = layout({ sec_name_off: u32, num_info: u32 });
export const bpfFuncInfo = layout({ insn_off: u32, type_id: u32 });
/** `line_col` is `line << 10 | column`. */
export const bpfLineInfo = layout({ insn_off: u32, file_name_off: u32, line_off: u32, line_col: u32 });
export const bpfCoreRelo = layout({ insn_off: u32, type_id: u32, access_str_off: u32, kind: u32 });

export const BTF_KIND = {
  UNKN: 0,
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

/** Bytes that follow struct btf_type: `info` once, `element` vlen times; indexed by kind. */
export const KIND_SHAPES: readonly { readonly info: number; readonly element: number }[] = [
  { info: 0, element: 0 },
  { info: u32.size, element: 0 },
  { info: 0, element: 0 },
  { info: btfArray.size, element: 0 },
  { info: 0, element: btfMember.size },
  { info: 0, element: btfMember.size },
  { info: 0, element: btfEnum.size },
  { info: 0, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: btfParam.size },
  { info: btfVar.size, element: 0 },
  { info: 0, element: btfVarSecinfo.size },
  { info: 0, element: 0 },
  { info: btfDeclTag.size, element: 0 },
  { info: 0, element: 0 },
  { info: 0, element: btfEnum64.size },
];

/** BTF_INT_ENCODING bits. */
export const BTF_INT = { SIGNED: 1, CHAR: 2, BOOL: 4 } as const;
