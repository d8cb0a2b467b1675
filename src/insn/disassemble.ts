// Instructions as text, in the assembly syntax of LLVM as llvm-objdump 22 prints it for CPU v4.
// The rules are those of LLVM's decoder: fields that a form does not use are not looked at, even where the kernel wants zero.
import { decodeInstruction, type Instruction } from './decode.ts';
import {
  ALU,
  ALU_OFFSET,
  ATOMIC,
  CLASS,
  CLASS_MASK,
  JMP,
  MODE,
  MODE_MASK,
  OPCODE,
  OPERATION_MASK,
  REGISTERS,
  SIZE,
  SIZE_MASK,
  SOURCE,
  SOURCE_MASK,
} from './opcodes.ts';
import { type Branch, branchOf, type Call, callOf, type WideConstant, wideConstantOf } from './references.ts';
import { InstructionSlots, SLOT_SIZE } from './slots.ts';

export interface DisassembledInstruction {
  /** Slot number in the code: what branches count in. */
  readonly index: number;
  /** The bytes as they lie, in hexadecimal: 16 digits, 32 for ld_imm64, fewer for a tail. */
  readonly bytes: string;
  /** One instruction without its label, or a data directive that assembles to the same bytes. */
  readonly text: string;
  /** Set when these bytes are no instruction. */
  readonly data?: true;
  readonly branch?: Branch;
  readonly call?: Call;
  readonly constant?: WideConstant;
}

/** All of `code`, in order: any bytes have a disassembly, what is no instruction is shown as data. */
export function disassemble(code: Uint8Array, little: boolean): DisassembledInstruction[] {
  const slots = new InstructionSlots(code, little);
  const lines: DisassembledInstruction[] = [];
  for (let index = 0; index < slots.count; index += slots.width(index)) lines.push(disassembleAt(slots, index));
  const tail = code.subarray(slots.count * SLOT_SIZE);
  if (tail.length > 0) lines.push({ index: slots.count, bytes: hexBytes(tail), text: byteDirective(tail), data: true });
  return lines;
}

/** The one instruction whose first slot is `index`, which must lie inside `slots`. */
function disassembleAt(slots: InstructionSlots, index: number): DisassembledInstruction {
  const insn = decodeInstruction(slots, index);
  const at = index * SLOT_SIZE;
  const bytes = hexBytes(slots.bytes.subarray(at, at + insn.slots * SLOT_SIZE));
  const text = instructionText(insn);
  if (text === undefined) {
    return { index, bytes, text: `.8byte 0x${slots.raw(index).toString(16).padStart(16, '0')}`, data: true };
  }
  const branch = branchOf(insn);
  const call = callOf(insn);
  const constant = wideConstantOf(insn);
  // An instruction is one of these at most.
  if (branch) return { index, bytes, text, branch };
  if (call) return { index, bytes, text, call };
  if (constant) return { index, bytes, text, constant };
  return { index, bytes, text };
}

/** LLVM's text for an instruction, or nothing where LLVM has no instruction for these fields. */
function instructionText(insn: Instruction): string | undefined {
  switch (insn.opcode & CLASS_MASK) {
    case CLASS.LD:
      return loadText(insn);
    case CLASS.LDX:
      return loadRegisterText(insn);
    case CLASS.ST:
      return storeImmediateText(insn);
    case CLASS.STX:
      return storeText(insn);
    case CLASS.ALU:
    case CLASS.ALU64:
      return aluText(insn);
    default:
      return jumpText(insn);
  }
}

const UNSIGNED = { [SIZE.W]: 'u32', [SIZE.H]: 'u16', [SIZE.B]: 'u8', [SIZE.DW]: 'u64' } as const;
const SIGNED = new Map<number, string>([
  [SIZE.W, 's32'],
  [SIZE.H, 's16'],
  [SIZE.B, 's8'],
]);

/** ld_imm64, and the packet loads of classic BPF. */
function loadText(insn: Instruction): string | undefined {
  if (insn.opcode === OPCODE.LD_IMM64) return wideText(insn);
  const mode = insn.opcode & MODE_MASK;
  const size = sizeOf(insn);
  if (size === SIZE.DW) return undefined;
  if (mode === MODE.ABS) return `r0 = *(${UNSIGNED[size]} *)skb[${signedHex(insn.imm)}]`;
  if (mode === MODE.IND && isRegister(insn.src)) return `r0 = *(${UNSIGNED[size]} *)skb[r${insn.src}]`;
  return undefined;
}

/** LLVM prints the pseudo forms without the second immediate; `DisassembledInstruction.constant` has it. */
function wideText(insn: Instruction): string | undefined {
  if (insn.imm64 === undefined) return undefined;
  if (insn.src === 0) return `r${insn.dst} = ${signedHex(BigInt.asIntN(64, insn.imm64))} ll`;
  return `ld_pseudo r${insn.dst}, ${signedHex(insn.src)}, ${signedHex(insn.imm >>> 0)}`;
}

function loadRegisterText(insn: Instruction): string | undefined {
  if (!isRegister(insn.dst) || !isRegister(insn.src)) return undefined;
  const mode = insn.opcode & MODE_MASK;
  const size = sizeOf(insn);
  if (mode === MODE.MEM) {
    return `${subregister(size)}${insn.dst} = *(${UNSIGNED[size]} *)(${address(insn.src, insn.offset)})`;
  }
  const signed = SIGNED.get(size);
  if (mode === MODE.MEMSX && signed) return `r${insn.dst} = *(${signed} *)(${address(insn.src, insn.offset)})`;
  return undefined;
}

function storeImmediateText(insn: Instruction): string | undefined {
  if ((insn.opcode & MODE_MASK) !== MODE.MEM || !isRegister(insn.dst)) return undefined;
  return `*(${UNSIGNED[sizeOf(insn)]} *)(${address(insn.dst, insn.offset)}) = ${signedHex(insn.imm)}`;
}

function storeText(insn: Instruction): string | undefined {
  if (!isRegister(insn.dst) || !isRegister(insn.src)) return undefined;
  const mode = insn.opcode & MODE_MASK;
  const size = sizeOf(insn);
  if (mode === MODE.ATOMIC) return readModifyWriteText(insn) ?? orderedAccessText(insn) ?? lockedText(insn);
  if (mode !== MODE.MEM) return undefined;
  return `*(${UNSIGNED[size]} *)(${address(insn.dst, insn.offset)}) = ${subregister(size)}${insn.src}`;
}

// LLVM looks at three parts of an atomic's imm, in this order: FETCH must be 1 in bits 3..0 with a known operation in
// 7..4; else bits 8..4 may be an ordered access; else the operation in 7..4 alone. Other bits are not looked at.
const FETCH_MASK = 0x0f;
const ORDERED_MASK = 0x1f0;

const ATOMIC_OPERATION = new Map<number, { readonly name: string; readonly sign: string }>([
  [ALU.ADD, { name: 'add', sign: '+' }],
  [ALU.OR, { name: 'or', sign: '|' }],
  [ALU.AND, { name: 'and', sign: '&' }],
  [ALU.XOR, { name: 'xor', sign: '^' }],
]);

function readModifyWriteText(insn: Instruction): string | undefined {
  const size = sizeOf(insn);
  if ((insn.imm & FETCH_MASK) !== ATOMIC.FETCH || isNarrow(size)) return undefined;
  const place = address(insn.dst, insn.offset);
  const prefix = subregister(size);
  const source = `${prefix}${insn.src}`;
  const suffix = size === SIZE.DW ? '_64' : '32_32';
  const operation = insn.imm & OPERATION_MASK;
  if (operation === ATOMIC.XCHG) return `${source} = xchg${suffix}(${place}, ${source})`;
  if (operation === ATOMIC.CMPXCHG) return `${prefix}0 = cmpxchg${suffix}(${place}, ${prefix}0, ${source})`;
  const known = ATOMIC_OPERATION.get(operation);
  return known && `${source} = atomic_fetch_${known.name}((${UNSIGNED[size]} *)(${place}), ${source})`;
}

function orderedAccessText(insn: Instruction): string | undefined {
  const size = sizeOf(insn);
  const type = UNSIGNED[size];
  const prefix = subregister(size);
  switch (insn.imm & ORDERED_MASK) {
    case ATOMIC.LOAD_ACQ:
      return `${prefix}${insn.dst} = load_acquire((${type} *)(${address(insn.src, insn.offset)}))`;
    case ATOMIC.STORE_REL:
      return `store_release((${type} *)(${address(insn.dst, insn.offset)}), ${prefix}${insn.src})`;
    default:
      return undefined;
  }
}

function lockedText(insn: Instruction): string | undefined {
  const size = sizeOf(insn);
  const known = ATOMIC_OPERATION.get(insn.imm & OPERATION_MASK);
  if (known === undefined || isNarrow(size)) return undefined;
  const place = `*(${UNSIGNED[size]} *)(${address(insn.dst, insn.offset)})`;
  return `lock ${place} ${known.sign}= ${subregister(size)}${insn.src}`;
}

const ASSIGNMENT = new Map<number, string>([
  [ALU.ADD, '+='],
  [ALU.SUB, '-='],
  [ALU.MUL, '*='],
  [ALU.DIV, '/='],
  [ALU.OR, '|='],
  [ALU.AND, '&='],
  [ALU.LSH, '<<='],
  [ALU.RSH, '>>='],
  [ALU.MOD, '%='],
  [ALU.XOR, '^='],
  [ALU.MOV, '='],
  [ALU.ARSH, 's>>='],
]);

function aluText(insn: Instruction): string | undefined {
  if (!isRegister(insn.dst)) return undefined;
  const operation = insn.opcode & OPERATION_MASK;
  const prefix = (insn.opcode & CLASS_MASK) === CLASS.ALU64 ? 'r' : 'w';
  const dst = `${prefix}${insn.dst}`;
  if (operation === ALU.END) return byteSwapText(insn);
  if (operation === ALU.NEG) return isRegisterForm(insn) ? undefined : `${dst} = -${dst}`;
  const operand = secondOperand(insn, prefix);
  if (operand === undefined) return undefined;
  if (insn.offset !== 0) return aluOffsetText(insn, operation, dst, operand);
  const sign = ASSIGNMENT.get(operation);
  return sign && `${dst} ${sign} ${operand}`;
}

/** Signed division (either operand form), sign extension and casts (register form only): what a non-zero offset selects. */
function aluOffsetText(insn: Instruction, operation: number, dst: string, operand: string): string | undefined {
  if (operation === ALU.DIV && insn.offset === ALU_OFFSET.SIGNED) return `${dst} s/= ${operand}`;
  if (operation === ALU.MOD && insn.offset === ALU_OFFSET.SIGNED) return `${dst} s%= ${operand}`;
  if (operation !== ALU.MOV || !isRegisterForm(insn)) return undefined;
  if (insn.offset === 8 || insn.offset === 16) return `${dst} = (s${insn.offset})${operand}`;
  if ((insn.opcode & CLASS_MASK) === CLASS.ALU) return undefined;
  if (insn.offset === 32) return `${dst} = (s32)${operand}`;
  if (insn.offset !== ALU_OFFSET.ADDR_SPACE_CAST) return undefined;
  return `${dst} = addr_space_cast(${operand}, ${signedHex(insn.imm >>> 16)}, ${signedHex(insn.imm & 0xffff)})`;
}

/** In ALU the source bit is the byte order to convert to; in ALU64 it must be clear and the swap is unconditional. */
function byteSwapText(insn: Instruction): string | undefined {
  if (insn.imm !== 16 && insn.imm !== 32 && insn.imm !== 64) return undefined;
  const unconditional = (insn.opcode & CLASS_MASK) === CLASS.ALU64;
  if (unconditional && isRegisterForm(insn)) return undefined;
  const conversion = isRegisterForm(insn) ? 'be' : 'le';
  return `r${insn.dst} = ${unconditional ? 'bswap' : conversion}${insn.imm} r${insn.dst}`;
}

const COMPARISON = new Map<number, string>([
  [JMP.JEQ, '=='],
  [JMP.JGT, '>'],
  [JMP.JGE, '>='],
  [JMP.JSET, '&'],
  [JMP.JNE, '!='],
  [JMP.JSGT, 's>'],
  [JMP.JSGE, 's>='],
  [JMP.JLT, '<'],
  [JMP.JLE, '<='],
  [JMP.JSLT, 's<'],
  [JMP.JSLE, 's<='],
]);

function jumpText(insn: Instruction): string | undefined {
  switch (insn.opcode) {
    case OPCODE.JA:
      return `goto ${distance(insn.offset)}`;
    case OPCODE.GOTOL:
      return `gotol ${distance(insn.imm)}`;
    case OPCODE.GOTOX:
      return isRegister(insn.dst) ? `gotox r${insn.dst}` : undefined;
    case OPCODE.MAY_GOTO:
      return `may_goto ${distance(insn.offset)}`;
    case OPCODE.CALL:
      return `call ${signedHex(insn.imm)}`;
    case OPCODE.CALLX:
      return isRegister(insn.dst) ? `callx r${insn.dst}` : undefined;
    case OPCODE.EXIT:
      return insn.imm === 0 ? 'exit' : undefined;
    default:
      return comparisonText(insn);
  }
}

function comparisonText(insn: Instruction): string | undefined {
  const sign = COMPARISON.get(insn.opcode & OPERATION_MASK);
  const prefix = (insn.opcode & CLASS_MASK) === CLASS.JMP ? 'r' : 'w';
  const operand = secondOperand(insn, prefix);
  if (sign === undefined || operand === undefined || !isRegister(insn.dst)) return undefined;
  return `if ${prefix}${insn.dst} ${sign} ${operand} goto ${distance(insn.offset)}`;
}

function secondOperand(insn: Instruction, prefix: 'r' | 'w'): string | undefined {
  if (!isRegisterForm(insn)) return signedHex(insn.imm);
  return isRegister(insn.src) ? `${prefix}${insn.src}` : undefined;
}

function isRegisterForm(insn: Instruction): boolean {
  return (insn.opcode & SOURCE_MASK) === SOURCE.X;
}

function isRegister(number: number): boolean {
  return number < REGISTERS;
}

type Size = (typeof SIZE)[keyof typeof SIZE];

function sizeOf(insn: Instruction): Size {
  const size = insn.opcode & SIZE_MASK;
  if (size === SIZE.DW || size === SIZE.W || size === SIZE.H) return size;
  return SIZE.B;
}

function isNarrow(size: Size): boolean {
  return size === SIZE.B || size === SIZE.H;
}

/** Values of up to 32 bits move through the lower half of a register, which has its own name since CPU v3. */
function subregister(size: Size): 'r' | 'w' {
  return size === SIZE.DW ? 'r' : 'w';
}

function address(register: number, offset: number): string {
  return offset < 0 ? `r${register} - ${signedHex(-offset)}` : `r${register} + ${signedHex(offset)}`;
}

function distance(slots: number): string {
  return slots < 0 ? signedHex(slots) : `+${signedHex(slots)}`;
}

function signedHex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function byteDirective(bytes: Uint8Array): string {
  return `.byte ${Array.from(bytes, (byte) => `0x${HEX[byte]}`).join(', ')}`;
}

function hexBytes(bytes: Uint8Array): string {
  let digits = '';
  for (const byte of bytes) digits += HEX[byte];
  return digits;
}
