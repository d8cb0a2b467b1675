// The loader program of a light skeleton, read for what it does: which bpf() commands it gives, and where it writes pointers.
// libbpf's gen_loader makes it of a few fixed sequences, so that following constants from slot to slot is enough.
import { CLASS, CLASS_MASK, MODE, MODE_MASK, OPCODE, PSEUDO } from '../insn/opcodes.ts';
import type { InstructionSlots } from '../insn/slots.ts';

/** Offsets count from the start of the blob: attributes, strings, instructions and map contents. */
export interface SkeletonCommand {
  /** BPF_MAP_CREATE and the following. */
  readonly command: number;
  readonly attributes: number;
  /** Bytes of attributes. */
  readonly size: number;
  /** An inner map, a template for the next one; not in the list of maps. */
  readonly inner: boolean;
  /** Of a program: what it attaches to, when the loader looks that up. */
  readonly attachTo?: number;
  /** Of a program: instructions that the loader fills in, in the order in which it does. */
  readonly fillings: readonly SkeletonFilling[];
}

export interface SkeletonFilling {
  /** Of the instruction. */
  readonly at: number;
  /** What is asked for: a function or a variable of the kernel's BTF, or the address of a symbol. */
  readonly kind: 'function' | 'variable' | 'address';
  /** Of its name. */
  readonly name: number;
}

export interface SkeletonScript {
  readonly commands: readonly SkeletonCommand[];
  /** Where in the blob the loader writes a pointer, and to where. */
  readonly pointers: ReadonlyMap<number, number>;
  /** Bytes of the blob: the attributes of a command come behind all that they point to. */
  readonly size: number;
  /** The loader compares the hash of the blob with this one, 64 hexadecimal digits, and stops when it differs: it was signed. */
  readonly digest?: string;
}

export const BPF_COMMAND = { MAP_CREATE: 0, MAP_UPDATE_ELEM: 2, PROG_LOAD: 5, BTF_LOAD: 18, MAP_FREEZE: 22 } as const;

const HELPER = { SYS_BPF: 166, BTF_FIND_BY_NAME_KIND: 167, KALLSYMS_LOOKUP_NAME: 193 } as const;
const BTF_KIND_FUNC = 12;
/** Of the immediate in struct bpf_insn. */
const IMM_OFFSET = 4;

/** struct loader_stack of libbpf 0.5, which keeps the file descriptors of maps there; since 0.6 they are in the blob. */
const FIRST_STACK_SIZE = 392;
/** Of the file descriptor of an inner map in that struct, from the frame pointer. */
const INNER_MAP_FD = -4;

/** Slots that `isSkeletonPrologue` looks at. */
export const PROLOGUE_SLOTS = 7;

/** Whether a loader begins at `slot`: its first six slots have been the same since libbpf 0.5 (bpf_gen__init). */
export function isSkeletonPrologue(slots: InstructionSlots, slot: number): boolean {
  if (slot + PROLOGUE_SLOTS > slots.count || slots.opcode(slot) !== 0xbf || slots.opcode(slot + 5) !== OPCODE.CALL)
    return false;
  const stack = slots.imm(slot + 3);
  const rows = [
    [0xbf, 6, 1, 0],
    [0xbf, 1, 10, 0],
    [0x07, 1, 0, -stack],
    [0xb7, 2, 0, stack],
    [0xb7, 3, 0, 0],
    [OPCODE.CALL, 0, 0, 113],
  ] as const;
  const isFixed = rows.every(
    ([opcode, dst, src, imm], index) =>
      slots.opcode(slot + index) === opcode &&
      slots.dst(slot + index) === dst &&
      slots.src(slot + index) === src &&
      slots.offset(slot + index) === 0 &&
      slots.imm(slot + index) === imm,
  );
  return isFixed && stack > 0 && stack <= 512 && slots.opcode(slot + 6) === OPCODE.JA;
}

/** What a register holds, as far as it is constant. */
type Value = { readonly blob: number } | { readonly number: number } | undefined;

/** Reads `slots` start to end as if no jump were taken: the loader's jumps only leave on errors and around defaults. */
export function readSkeletonScript(slots: InstructionSlots): SkeletonScript {
  return new ScriptReader(slots).read();
}

class ScriptReader {
  readonly #slots: InstructionSlots;
  /** Made by libbpf 0.5. */
  readonly #isFirstKind: boolean;
  readonly #registers: Value[] = new Array(16).fill(undefined);
  readonly #commands: SkeletonCommand[] = [];
  readonly #pointers = new Map<number, number>();
  readonly #filled = new Map<number, SkeletonFilling>();
  #fillings: SkeletonFilling[] = [];
  /** The instruction that is being filled in. */
  #filling: number | undefined;
  /** What was looked up by name, and not for an instruction that is known already. */
  #lookedUp: Pick<SkeletonFilling, 'kind' | 'name'> | undefined;
  /** Where in the blob such an answer was written to. */
  readonly #answers = new Map<number, Pick<SkeletonFilling, 'kind' | 'name'>>();
  /** One past the highest byte that is referred to. */
  #reach = 0;

  constructor(slots: InstructionSlots) {
    this.#slots = slots;
    this.#isFirstKind = slots.imm(3) === FIRST_STACK_SIZE;
  }

  read(): SkeletonScript {
    const slots = this.#slots;
    for (let slot = 0; slot < slots.count; slot += slots.width(slot)) this.#step(slot);
    const digest = readDigest(slots);
    return {
      commands: this.#commands,
      pointers: this.#pointers,
      // add_data pads every piece since 0.6.
      size: this.#isFirstKind ? this.#reach : 8 * Math.ceil(this.#reach / 8),
      ...(digest !== undefined && { digest }),
    };
  }

  #step(slot: number): void {
    const slots = this.#slots;
    const opcode = slots.opcode(slot);
    const dst = slots.dst(slot);
    switch (opcode & CLASS_MASK) {
      case CLASS.LD:
        this.#registers[dst] = this.#constant(slot);
        if (dst === 8) this.#filling = this.#blob(8);
        return;
      case CLASS.LDX:
        if ((opcode & MODE_MASK) === MODE.MEM) this.#copyFilling(slots.src(slot));
        this.#registers[dst] = undefined;
        return;
      case CLASS.STX:
        this.#store(slot);
        return;
      case CLASS.ALU64:
        this.#registers[dst] =
          opcode === 0xb7
            ? { number: slots.imm(slot) }
            : opcode === 0xbf
              ? this.#registers[slots.src(slot)]
              : undefined;
        return;
      case CLASS.ALU:
        this.#registers[dst] = undefined;
        return;
      case CLASS.JMP:
        if (opcode === OPCODE.CALL) this.#call(slot);
        return;
      default:
        return;
    }
  }

  #constant(slot: number): Value {
    const slots = this.#slots;
    if (slots.opcode(slot) !== OPCODE.LD_IMM64 || slots.src(slot) !== PSEUDO.MAP_IDX_VALUE) return undefined;
    const blob = slots.imm(slot + 1);
    if (blob < 0) return undefined;
    this.#reach = Math.max(this.#reach, blob + 1);
    return { blob };
  }

  #store(slot: number): void {
    const slots = this.#slots;
    const field = this.#blob(slots.dst(slot));
    if (field !== undefined && this.#lookedUp !== undefined && slots.opcode(slot) === 0x63 && slots.src(slot) === 7) {
      this.#answers.set(field + slots.offset(slot), this.#lookedUp);
      this.#lookedUp = undefined;
      return;
    }
    // emit_rel_store: `*(u64 *)(r1 + 0) = r0` with both in the blob.
    const target = this.#blob(slots.src(slot));
    if (slots.opcode(slot) !== 0x7b || field === undefined || target === undefined) return;
    this.#pointers.set(field + slots.offset(slot), target);
    this.#reach = Math.max(this.#reach, field + 8);
  }

  #call(slot: number): void {
    const helper = this.#slots.imm(slot);
    const piece = this.#blob(1);
    const size = this.#number(2);
    // Strings that are printed or looked up come with their length; with a log level, one that is printed may be the last.
    if (piece !== undefined && size !== undefined && size > 0) this.#reach = Math.max(this.#reach, piece + size);
    if (helper === HELPER.SYS_BPF) this.#command(slot);
    else if (helper === HELPER.BTF_FIND_BY_NAME_KIND || helper === HELPER.KALLSYMS_LOOKUP_NAME) this.#lookUp(helper);
    for (let register = 0; register <= 5; register++) this.#registers[register] = undefined;
  }

  #lookUp(helper: number): void {
    const name = this.#blob(1);
    if (name === undefined) return;
    const isFunction = this.#number(3) === BTF_KIND_FUNC;
    const kind = helper === HELPER.KALLSYMS_LOOKUP_NAME ? 'address' : isFunction ? 'function' : 'variable';
    if (this.#filling === undefined) this.#lookedUp = { kind, name };
    else this.#fill({ at: this.#filling, kind, name });
  }

  /** move_blob2blob: a symbol that was looked up before is copied from the instruction that has it. */
  #copyFilling(source: number): void {
    const from = this.#blob(source);
    if (this.#filling === undefined || from === undefined) return;
    const known = this.#filled.get(from - IMM_OFFSET) ?? this.#filled.get(from - 2);
    if (known !== undefined && !this.#filled.has(this.#filling)) this.#fill({ ...known, at: this.#filling });
  }

  #fill(filling: SkeletonFilling): void {
    this.#filled.set(filling.at, filling);
    this.#fillings.push(filling);
  }

  #command(slot: number): void {
    const command = this.#number(1);
    const attributes = this.#blob(2);
    const size = this.#number(3);
    if (command === undefined || attributes === undefined || size === undefined || size < 0) return;
    this.#reach = Math.max(this.#reach, attributes + size);
    const attachTo = this.#takeAnswers(attributes, size);
    this.#commands.push({
      command,
      attributes,
      size,
      inner: command === BPF_COMMAND.MAP_CREATE && !this.#isListed(slot),
      ...(attachTo !== undefined && { attachTo }),
      fillings: this.#fillings,
    });
    this.#fillings = [];
    this.#filled.clear();
    this.#filling = undefined;
  }

  /**
   * The name of the target that was looked up for a command. Other answers are for its instructions: their immediates in 0.5, which
   * does not say in r8 for which one it asks.
   */
  #takeAnswers(attributes: number, size: number): number | undefined {
    let attachTo: number | undefined;
    for (const [at, { kind, name }] of this.#answers) {
      if (at >= attributes && at < attributes + size) attachTo = name;
      else this.#fill({ at: at - IMM_OFFSET, kind, name });
    }
    this.#answers.clear();
    return attachTo;
  }

  /** Where the file descriptor of an inner map is kept, none of a listed one is. */
  #isListed(slot: number): boolean {
    const slots = this.#slots;
    for (let next = slot + 1; next < Math.min(slots.count, slot + 24); next += slots.width(next)) {
      if (slots.opcode(next) !== 0x63 || slots.src(next) !== 7) continue;
      return slots.dst(next) !== 10 || (this.#isFirstKind && slots.offset(next) !== INNER_MAP_FD);
    }
    return false;
  }

  #blob(register: number): number | undefined {
    const value = this.#registers[register];
    return value !== undefined && 'blob' in value ? value.blob : undefined;
  }

  #number(register: number): number | undefined {
    const value = this.#registers[register];
    return value !== undefined && 'number' in value ? value.number : undefined;
  }
}

const DIGEST_WORDS = 4;

/** emit_signature_match: each word of the map's hash is loaded from the map itself and compared with a constant. */
function readDigest(slots: InstructionSlots): string | undefined {
  const words: bigint[] = [];
  for (let slot = 0; slot + 5 < slots.count && words.length < DIGEST_WORDS; slot += slots.width(slot)) {
    if (slots.opcode(slot) !== OPCODE.LD_IMM64 || slots.src(slot) !== PSEUDO.MAP_IDX) continue;
    const isWord = slots.opcode(slot + 2) === 0x79 && slots.offset(slot + 2) === 8 * words.length;
    if (!isWord || slots.opcode(slot + 3) !== OPCODE.LD_IMM64 || slots.src(slot + 3) !== 0) continue;
    words.push((BigInt(slots.imm(slot + 4) >>> 0) << 32n) | BigInt(slots.imm(slot + 3) >>> 0));
  }
  if (words.length < DIGEST_WORDS) return undefined;
  const bytes = new Uint8Array(8 * DIGEST_WORDS);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setBigUint64(8 * index, word, slots.little);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
