// The numbers of the instruction set, as include/uapi/linux/bpf.h and bpf_common.h name them (BPF_ and its kin left out).
//
//     ALU, JMP    operation 7..4   source 3     class 2..0
//     LD .. STX   mode 7..5        size 4..3    class 2..0

export const CLASS_MASK = 0x07;
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;

export const SIZE_MASK = 0x18;
export const SIZE = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

export const MODE_MASK = 0xe0;
export const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, MEMSX: 0x80, ATOMIC: 0xc0 } as const;

/** K takes its second operand from `imm`, X from the source register. */
export const SOURCE_MASK = 0x08;
export const SOURCE = { K: 0x00, X: 0x08 } as const;

export const OPERATION_MASK = 0xf0;
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const;
export const JMP = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  JCOND: 0xe0,
} as const;

/** Atomic operations in `imm`: the ALU operations (alone or with FETCH) and these. LOAD_ACQ and STORE_REL came with 6.15. */
export const ATOMIC = { FETCH: 0x01, XCHG: 0xe0, CMPXCHG: 0xf0, LOAD_ACQ: 0x100, STORE_REL: 0x110 } as const;

/** `offset` of ALU instructions that mean something else with it. ADDR_SPACE_CAST is BPF_ADDR_SPACE_CAST, 6.9. */
export const ALU_OFFSET = { SIGNED: 1, ADDR_SPACE_CAST: 1 } as const;

/** The whole opcodes that other rooms look for. */
export const OPCODE = {
  LD_IMM64: CLASS.LD | MODE.IMM | SIZE.DW,
  JA: CLASS.JMP | JMP.JA,
  GOTOL: CLASS.JMP32 | JMP.JA,
  GOTOX: CLASS.JMP | JMP.JA | SOURCE.X,
  MAY_GOTO: CLASS.JMP | JMP.JCOND,
  CALL: CLASS.JMP | JMP.CALL,
  CALLX: CLASS.JMP | JMP.CALL | SOURCE.X,
  EXIT: CLASS.JMP | JMP.EXIT,
} as const;

/** `src` of ld_imm64: what its two immediates stand for (BPF_PSEUDO_MAP_FD and the following). */
export const PSEUDO = {
  MAP_FD: 1,
  MAP_VALUE: 2,
  BTF_ID: 3,
  FUNC: 4,
  MAP_IDX: 5,
  MAP_IDX_VALUE: 6,
} as const;

/** `src` of call: 0 is a helper, these are BPF_PSEUDO_CALL and BPF_PSEUDO_KFUNC_CALL. */
export const CALL = { HELPER: 0, SUBPROGRAM: 1, KFUNC: 2 } as const;

/** r0 to r10, and r11 which only compilers and disassemblers know (BPF_REG_AX in the kernel). */
export const REGISTERS = 12;

/**
 * What libbpf leaves in `imm` of a helper call where it could not resolve something that may be dead code:
 * CORE is 0xbad2310, "bad relo" (bpf_core_poison_insn, 0.0.7); MAP plus a map index marks a reference to a map that is
 * not created (poison_map_ldimm64, 0.8); KFUNC plus an extern index marks a missing weak kfunc (poison_kfunc_call, 1.2).
 */
export const POISON = { CORE: 195_896_080, MAP: 2_001_000_000, KFUNC: 2_002_000_000 } as const;

/** One past the largest index; libbpf recognises the maps by the prefix 200100 and the kfuncs by 2002 when it reads verifier logs. */
export const POISON_COUNT = { MAP: 10_000, KFUNC: 1_000_000 } as const;
