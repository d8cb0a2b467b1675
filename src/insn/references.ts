// What an instruction points at: branch targets, callees, and what stands in the immediates of ld_imm64.
// Slot numbers are relative to the decoded code, as the bytes say it before any relocation is applied.
import type { Instruction } from './decode.ts';
import { helperName } from './helpers.ts';
import { CALL, CLASS, CLASS_MASK, JMP, OPCODE, OPERATION_MASK, POISON, POISON_COUNT, PSEUDO } from './opcodes.ts';

export interface Branch {
  /** Slot number; a broken branch may point outside the code, also below 0. */
  readonly target: number;
  /** Whether the next instruction may follow instead. */
  readonly conditional: boolean;
}

export type Call =
  | { readonly kind: 'helper'; readonly id: number; readonly name: string }
  | { readonly kind: 'subprogram'; readonly target: number }
  /** `btf` counts in the kernel's BTF, or for `module` > 0 in that of the module at this place of the loader's fd array. */
  | { readonly kind: 'kfunc'; readonly btf: number; readonly module: number }
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'poison'; readonly poison: Poison }
  | { readonly kind: 'unknown'; readonly src: number; readonly imm: number };

/** What libbpf could not resolve. `index` numbers the object's maps or its externs. */
type Poison =
  | { readonly what: 'core-relocation' }
  | { readonly what: 'map'; readonly index: number }
  | { readonly what: 'kfunc'; readonly index: number };

export type WideConstant =
  | { readonly kind: 'constant'; readonly value: bigint }
  | { readonly kind: 'map-fd'; readonly fd: number }
  | { readonly kind: 'map-value'; readonly fd: number; readonly offset: number }
  | { readonly kind: 'btf-id'; readonly btf: number; readonly moduleFd: number }
  | { readonly kind: 'function'; readonly target: number }
  | { readonly kind: 'map-index'; readonly index: number }
  | { readonly kind: 'map-index-value'; readonly index: number; readonly offset: number }
  | { readonly kind: 'unknown'; readonly src: number; readonly value: bigint };

/** Where a jump goes; absent for everything else, and for gotox, whose target lies in a register. */
export function branchOf(insn: Instruction): Branch | undefined {
  const next = insn.index + 1;
  if (insn.opcode === OPCODE.JA) return { target: next + insn.offset, conditional: false };
  if (insn.opcode === OPCODE.GOTOL) return { target: next + insn.imm, conditional: false };
  if (insn.opcode === OPCODE.MAY_GOTO || isComparison(insn.opcode)) {
    return { target: next + insn.offset, conditional: true };
  }
  return undefined;
}

/** What a call calls; absent for everything that is not a call. */
export function callOf(insn: Instruction): Call | undefined {
  if (insn.opcode === OPCODE.CALLX) return { kind: 'register', register: insn.dst };
  if (insn.opcode !== OPCODE.CALL) return undefined;
  switch (insn.src) {
    case CALL.HELPER: {
      const poison = poisonOf(insn.imm);
      return poison === undefined
        ? { kind: 'helper', id: insn.imm, name: helperName(insn.imm) }
        : { kind: 'poison', poison };
    }
    case CALL.SUBPROGRAM:
      return { kind: 'subprogram', target: insn.index + 1 + insn.imm };
    case CALL.KFUNC:
      return { kind: 'kfunc', btf: insn.imm, module: insn.offset };
    default:
      return { kind: 'unknown', src: insn.src, imm: insn.imm };
  }
}

/** What a whole ld_imm64 loads; absent for everything else. */
export function wideConstantOf(insn: Instruction): WideConstant | undefined {
  if (insn.imm64 === undefined) return undefined;
  const high = Number(insn.imm64 >> 32n);
  switch (insn.src) {
    case 0:
      return { kind: 'constant', value: insn.imm64 };
    case PSEUDO.MAP_FD:
      return { kind: 'map-fd', fd: insn.imm };
    case PSEUDO.MAP_VALUE:
      return { kind: 'map-value', fd: insn.imm, offset: high };
    case PSEUDO.BTF_ID:
      return { kind: 'btf-id', btf: insn.imm, moduleFd: high };
    case PSEUDO.FUNC:
      return { kind: 'function', target: insn.index + 1 + insn.imm };
    case PSEUDO.MAP_IDX:
      return { kind: 'map-index', index: insn.imm };
    case PSEUDO.MAP_IDX_VALUE:
      return { kind: 'map-index-value', index: insn.imm, offset: high };
    default:
      return { kind: 'unknown', src: insn.src, value: insn.imm64 };
  }
}

/** What libbpf meant by the `imm` of a helper call, when it is one of its poison values. */
function poisonOf(imm: number): Poison | undefined {
  if (imm === POISON.CORE) return { what: 'core-relocation' };
  if (imm >= POISON.MAP && imm < POISON.MAP + POISON_COUNT.MAP) return { what: 'map', index: imm - POISON.MAP };
  if (imm >= POISON.KFUNC && imm < POISON.KFUNC + POISON_COUNT.KFUNC) {
    return { what: 'kfunc', index: imm - POISON.KFUNC };
  }
  return undefined;
}

const COMPARISONS: ReadonlySet<number> = new Set([
  JMP.JEQ,
  JMP.JGT,
  JMP.JGE,
  JMP.JSET,
  JMP.JNE,
  JMP.JSGT,
  JMP.JSGE,
  JMP.JLT,
  JMP.JLE,
  JMP.JSLT,
  JMP.JSLE,
]);

function isComparison(opcode: number): boolean {
  const opcodeClass = opcode & CLASS_MASK;
  return (opcodeClass === CLASS.JMP || opcodeClass === CLASS.JMP32) && COMPARISONS.has(opcode & OPERATION_MASK);
}
