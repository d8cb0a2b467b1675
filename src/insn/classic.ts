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
    sockFilter.read(view, index * CLASSIC_SIZE, little),
  );
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

function codeAt(view: DataView, at: number, little: boolean): number {
  return view.getUint16(at, little);
}

function isReturn(code: number): boolean {
  return (code & CLASS) === RET;
}

function isLoad(code: number): boolean {
  return (code & CLASS) === LD || (code & CLASS) === LDX;
}

function isComparison(code: number): boolean {
  return (code & CLASS) === JMP && code !== JA;
}

/** `ld #0`, which bytes of padding read as. */
export function isZeroAt(view: DataView, at: number): boolean {
  return view.getUint32(at) === 0 && view.getUint32(at + 4) === 0;
}

/** Whether a filter may begin here: with a load, and zeros before a filter are none. */
export function isStartAt(view: DataView, at: number, little: boolean): boolean {
  return isLoad(codeAt(view, at, little)) && !isZeroAt(view, at);
}

/** Whether this compares with a number other than zero. */
export function comparesAt(view: DataView, at: number, little: boolean): boolean {
  return isComparison(codeAt(view, at, little)) && view.getUint32(at + 4, little) !== 0;
}

/**
 * Whether the instruction at byte `at`, which must lie wholly inside `view`, is alone one that the kernel takes
 * (bpf_check_classic) and a compiler or person would write.
 */
export function isClassicAt(view: DataView, at: number, little: boolean): boolean {
  const code = codeAt(view, at, little);
  if (!IS_KNOWN[code]) return false;
  const jt = view.getUint8(at + 2);
  const jf = view.getUint8(at + 3);
  if (isComparison(code)) return jt !== jf;
  if (jt !== 0 || jf !== 0) return false;
  const k = view.getUint32(at + 4, little);
  switch (code) {
    case 0x60:
    case 0x61:
    case 0x02:
    case 0x03:
      return k < MEMORY_WORDS;
    case JA:
      return k < CLASSIC_MOST;
    // Divisions by zero and shifts by 32 and more.
    case 0x34:
    case 0x94:
      return k !== 0;
    case 0x64:
    case 0x74:
      return k < 32;
    default:
      return true;
  }
}

/**
 * Instructions of the filter that begins at byte `start`, or 0 when none does before `end`: jumps stay inside, everything is
 * reached, and nothing is read before it is set. All up to `end` must be `isClassicAt`. Instructions that were looked at are
 * taken from `budget`.
 */
export function classicLength(
  view: DataView,
  start: number,
  end: number,
  little: boolean,
  budget: { steps: number },
): number {
  const limit = Math.min((end - start) / CLASSIC_SIZE, CLASSIC_MOST);
  const walk = { furthest: 0, at: 0 };
  const count = walkFilter(view, start, limit, little, walk);
  budget.steps -= walk.at + 1;
  ARRIVING.fill(0, 0, walk.furthest + 1);
  return count;
}

/** What is certainly set where a jump arrives: bit 0..15 memory, 16 A, 17 X. Zero where none does, and between calls. */
const ARRIVING = new Int32Array(CLASSIC_MOST);
const A_BIT = 1 << 16;
const X_BIT = 1 << 17;
/** Control comes here: in sets that may be empty. */
const ENTERED = 1 << 18;

function walkFilter(
  view: DataView,
  start: number,
  limit: number,
  little: boolean,
  walk: { furthest: number; at: number },
): number {
  let set = ENTERED;
  for (let at = 0; at < limit; at++) {
    walk.at = at;
    const byte = start + at * CLASSIC_SIZE;
    const code = codeAt(view, byte, little);
    const k = view.getUint32(byte + 4, little);
    const before = meet(set, ARRIVING[at] as number);
    if (before === 0 || (readBy(code, k) & ~before) !== 0) return 0;
    set = before | writtenBy(code, k);
    if (isReturn(code)) {
      if (walk.furthest <= at) return at + 1;
      set = 0;
    } else if ((code & CLASS) === JMP) {
      const near = at + 1 + (code === JA ? k : view.getUint8(byte + 2));
      const far = at + 1 + (code === JA ? k : view.getUint8(byte + 3));
      if (near >= limit || far >= limit) return 0;
      ARRIVING[near] = meet(ARRIVING[near] as number, set);
      ARRIVING[far] = meet(ARRIVING[far] as number, set);
      walk.furthest = Math.max(walk.furthest, near, far);
      set = 0;
    }
  }
  return 0;
}

function meet(a: number, b: number): number {
  if (a === 0) return b;
  return b === 0 ? a : a & b;
}

const IND = 0x40;
const MODE = 0xe0;

function readBy(code: number, k: number): number {
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

function writtenBy(code: number, k: number): number {
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
  if (isComparison(insn.code)) words.push(`jt ${index + 1 + insn.jt}`, `jf ${index + 1 + insn.jf}`);
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

/** By code: 1 for those above. */
const IS_KNOWN = Uint8Array.from({ length: 256 }, (_, code) => Number(OPERATIONS.has(code)));
