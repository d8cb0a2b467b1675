// Classic BPF, the sock_filter of sockets and seccomp: what makes a filter valid, and its text as `tcpdump -d` prints it.
// Shares nothing with the eBPF instruction set but its name and some numbers.
import { layout, type Row, u8, u16, u32, viewOf } from '../bytes/layout.ts';
import { FormatError } from '../diagnostics.ts';

/** struct sock_filter. */
const sockFilter = layout({ code: u16, jt: u8, jf: u8, k: u32 });
export type ClassicInstruction = Row<typeof sockFilter.fields>;

export const CLASSIC_SIZE = sockFilter.size;
/** BPF_MAXINSNS. */
export const CLASSIC_MOST = 4096;

/** @throws FormatError `out-of-bounds` when `code` does not hold whole instructions. */
export function decodeClassic(code: Uint8Array, little: boolean): ClassicInstruction[] {
  if (code.length % CLASSIC_SIZE !== 0) {
    throw new FormatError('out-of-bounds', code.length, `${code.length} bytes are no whole number of instructions`);
  }
  const view = viewOf(code);
  return Array.from({ length: code.length / CLASSIC_SIZE }, (_, index) =>
    readClassic(view, index * CLASSIC_SIZE, little),
  );
}

export function readClassic(view: DataView, at: number, little: boolean): ClassicInstruction {
  return sockFilter.read(view, at, little);
}

const LD = 0;
const LDX = 1;
const ST = 2;
const STX = 3;
const ALU = 4;
const JMP = 5;
const RET = 6;
const MISC = 7;
const CLASS = 7;
const X = 0x08;
const JA = 0x05;
const TAX = 0x07;
const TXA = 0x87;
const MEMORY_WORDS = 16;

function isReturn({ code }: ClassicInstruction): boolean {
  return (code & CLASS) === RET;
}

export function isLoad({ code }: ClassicInstruction): boolean {
  return (code & CLASS) === LD || (code & CLASS) === LDX;
}

export function isComparison({ code }: ClassicInstruction): boolean {
  return (code & CLASS) === JMP && code !== JA;
}

/** Whether this instruction alone is one that the kernel takes (bpf_check_classic) and a compiler or person would write. */
export function isClassic(insn: ClassicInstruction): boolean {
  const { code, jt, jf, k } = insn;
  if (!OPERATIONS.has(code)) return false;
  if (isComparison(insn)) return jt !== jf;
  if (jt !== 0 || jf !== 0) return false;
  if (MEMORY.has(code)) return k < MEMORY_WORDS;
  if (code === JA) return k < CLASSIC_MOST;
  // Divisions by zero and shifts by 32 and more.
  if (code === 0x34 || code === 0x94) return k !== 0;
  if (code === 0x64 || code === 0x74) return k < 32;
  return true;
}

/**
 * Instructions of the filter that begins at `start` of these, or 0 when none does: jumps stay inside, everything is reached, and
 * nothing is read before it is set. All of `code` must be `isClassic`.
 */
export function classicLength(code: readonly ClassicInstruction[], start: number): number {
  const limit = Math.min(code.length, start + CLASSIC_MOST);
  /** What is certainly set where a jump arrives: bit 0..15 memory, 16 A, 17 X; absent where none does. */
  const arriving = new Map<number, number>();
  let set: number | undefined = 0;
  let furthest = start;
  for (let at = start; at < limit; at++) {
    const insn = code[at];
    const before = meet(set, arriving.get(at));
    arriving.delete(at);
    if (insn === undefined || before === undefined || (readBy(insn) & ~before) !== 0) return 0;
    set = before | writtenBy(insn);
    for (const target of targetsOf(insn, at)) {
      if (target >= limit) return 0;
      furthest = Math.max(furthest, target);
      const met = meet(set, arriving.get(target));
      if (met !== undefined) arriving.set(target, met);
    }
    if (insn.code === JA || isComparison(insn) || isReturn(insn)) set = undefined;
    if (isReturn(insn) && furthest <= at) return at + 1 - start;
  }
  return 0;
}

function meet(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : a & b;
}

function targetsOf(insn: ClassicInstruction, at: number): number[] {
  if (insn.code === JA) return [at + 1 + insn.k];
  return isComparison(insn) ? [at + 1 + insn.jt, at + 1 + insn.jf] : [];
}

const A_BIT = 1 << 16;
const X_BIT = 1 << 17;
const IND = 0x40;
const MODE = 0xe0;

function readBy({ code, k }: ClassicInstruction): number {
  switch (code & CLASS) {
    case LD:
      return code === 0x60 ? 1 << k : (code & MODE) === IND ? X_BIT : 0;
    case LDX:
      return code === 0x61 ? 1 << k : 0;
    case ST:
      return A_BIT;
    case STX:
      return X_BIT;
    case ALU:
      return A_BIT | (code & X && code !== 0x84 ? X_BIT : 0);
    case JMP:
      return code === JA ? 0 : A_BIT | (code & X ? X_BIT : 0);
    case RET:
      return code === 0x16 ? A_BIT : 0;
    default:
      return code === TAX ? A_BIT : X_BIT;
  }
}

function writtenBy({ code, k }: ClassicInstruction): number {
  switch (code & CLASS) {
    case LD:
    case ALU:
      return A_BIT;
    case LDX:
      return X_BIT;
    case ST:
    case STX:
      return 1 << k;
    case MISC:
      return code === TAX ? X_BIT : A_BIT;
    default:
      return 0;
  }
}

/**
 * One instruction as bpf_image of libpcap words it, without its number: `ldh [12]`, `jeq #0x800 jt 2 jf 5`. Unknown codes
 * are shown as `unimp 0x…`.
 */
export function classicText(insn: ClassicInstruction, index: number): string {
  const operation = OPERATIONS.get(insn.code);
  if (operation === undefined) return `unimp 0x${insn.code.toString(16)}`;
  const [name, operand] = operation;
  const words = [name, operandText(operand, insn.k, index)];
  if (isComparison(insn)) words.push(`jt ${index + 1 + insn.jt}`, `jf ${index + 1 + insn.jf}`);
  return words.filter((word) => word !== '').join(' ');
}

/** How `k` is shown. */
type Operand = 'none' | 'absolute' | 'indexed' | 'length' | 'hex' | 'decimal' | 'memory' | 'header' | 'x' | 'target';

function operandText(operand: Operand, k: number, index: number): string {
  switch (operand) {
    case 'none':
      return '';
    case 'absolute':
      return `[${k | 0}]`;
    case 'indexed':
      return `[x + ${k | 0}]`;
    case 'length':
      return '#pktlen';
    case 'hex':
      return `#0x${k.toString(16)}`;
    case 'decimal':
      return `#${k | 0}`;
    case 'memory':
      return `M[${k | 0}]`;
    case 'header':
      return `4*([${k | 0}]&0xf)`;
    case 'x':
      return 'x';
    case 'target':
      return `${index + 1 + k}`;
  }
}

/** Every code that the kernel takes, its name and its operand. */
const OPERATIONS: ReadonlyMap<number, readonly [string, Operand]> = new Map([
  [0x00, ['ld', 'hex']],
  [0x20, ['ld', 'absolute']],
  [0x28, ['ldh', 'absolute']],
  [0x30, ['ldb', 'absolute']],
  [0x40, ['ld', 'indexed']],
  [0x48, ['ldh', 'indexed']],
  [0x50, ['ldb', 'indexed']],
  [0x60, ['ld', 'memory']],
  [0x80, ['ld', 'length']],
  [0x01, ['ldx', 'hex']],
  [0x61, ['ldx', 'memory']],
  [0x81, ['ldx', 'length']],
  [0xb1, ['ldxb', 'header']],
  [0x02, ['st', 'memory']],
  [0x03, ['stx', 'memory']],
  [0x04, ['add', 'decimal']],
  [0x0c, ['add', 'x']],
  [0x14, ['sub', 'decimal']],
  [0x1c, ['sub', 'x']],
  [0x24, ['mul', 'decimal']],
  [0x2c, ['mul', 'x']],
  [0x34, ['div', 'decimal']],
  [0x3c, ['div', 'x']],
  [0x94, ['mod', 'decimal']],
  [0x9c, ['mod', 'x']],
  [0x44, ['or', 'hex']],
  [0x4c, ['or', 'x']],
  [0x54, ['and', 'hex']],
  [0x5c, ['and', 'x']],
  [0xa4, ['xor', 'hex']],
  [0xac, ['xor', 'x']],
  [0x64, ['lsh', 'decimal']],
  [0x6c, ['lsh', 'x']],
  [0x74, ['rsh', 'decimal']],
  [0x7c, ['rsh', 'x']],
  [0x84, ['neg', 'none']],
  [JA, ['ja', 'target']],
  [0x15, ['jeq', 'hex']],
  [0x1d, ['jeq', 'x']],
  [0x25, ['jgt', 'hex']],
  [0x2d, ['jgt', 'x']],
  [0x35, ['jge', 'hex']],
  [0x3d, ['jge', 'x']],
  [0x45, ['jset', 'hex']],
  [0x4d, ['jset', 'x']],
  [0x06, ['ret', 'decimal']],
  [0x16, ['ret', 'none']],
  [TAX, ['tax', 'none']],
  [TXA, ['txa', 'none']],
]);

/** Those whose `k` is a word of memory. */
const MEMORY: ReadonlySet<number> = new Set([0x60, 0x61, 0x02, 0x03]);
