// The tags that the programs of a carved light skeleton get: as they lie in the blob, after what its loader fills in and what the
// kernel relocates. References to maps are indices here, which the kernel hashes as they are.
import { patchInstruction } from '../btf/core-patch.ts';
import { CoreRelocator } from '../btf/core-relocate.ts';
import { type CoreRules, libbpfRules } from '../btf/core-rules.ts';
import { Btf } from '../btf/decode.ts';
import type { LightProgram, LightReference, LightSkeleton } from '../carve/light-skeleton.ts';
import { FormatError } from '../diagnostics.ts';
import { CALL, OPCODE } from '../insn/opcodes.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { Kernel, type Target } from './kernel.ts';
import { Evidence, type NotLinked, refuse, Unlinkable } from './loader.ts';
import type { Exactness } from './predict.ts';
import { type CodeTags, isBefore, tagCode } from './tag.ts';

export interface LightTags {
  /** Place in `LightSkeleton.programs`. */
  readonly program: number;
  readonly state: Exactness;
  readonly tags: CodeTags;
  /** The instructions as the kernel hashes them. */
  readonly code: Uint8Array;
  readonly assumptions: readonly string[];
}

/** What there is to say of a program whose tag cannot be told. */
export interface LightObstacle extends NotLinked {
  readonly program: number;
}

/** For every program in order; never throws for bad input. */
export function predictLightTags(skeleton: LightSkeleton, target: Target): (LightTags | LightObstacle)[] {
  const little = skeleton.endianness === 'little';
  const linker = new LightLinker(skeleton, new Kernel(target, little), rulesOf(target.release));
  return skeleton.programs.map((each, program) => {
    try {
      const evidence = new Evidence();
      const code = linker.link(each, evidence);
      const state = evidence.boot ? 'exact@boot' : evidence.btf ? 'exact@btf' : 'exact';
      return { program, state, tags: tagCode(code, little), code, assumptions: [...evidence.assumptions] };
    } catch (error) {
      if (error instanceof Unlinkable) return { program, obstacle: error.obstacle, reason: error.message };
      if (error instanceof FormatError) return { program, obstacle: 'refused', reason: error.message };
      throw error;
    }
  });
}

/** The kernel shares libbpf's algorithm, and judges every record by itself (bpf_core_apply). */
function rulesOf(release: string): CoreRules {
  return { ...libbpfRules(isBefore(release, 6, 15) ? [1, 5] : [1, 7]), prune: false };
}

class LightLinker {
  readonly #little: boolean;
  readonly #kernel: Kernel;
  readonly #rules: CoreRules;
  readonly #btf: Btf | FormatError | undefined;

  constructor(skeleton: LightSkeleton, kernel: Kernel, rules: CoreRules) {
    this.#little = skeleton.endianness === 'little';
    this.#kernel = kernel;
    this.#rules = rules;
    this.#btf = skeleton.btf && parseBtf(skeleton.btf.bytes);
  }

  /** @throws Unlinkable, FormatError */
  link(program: LightProgram, evidence: Evidence): Uint8Array {
    const code = new Uint8Array(program.code);
    const slots = new InstructionSlots(code, this.#little);
    for (const reference of program.references) this.#fill(slots, reference, evidence);
    if (program.coreRelocations.length > 0) this.#relocate(code, program, evidence);
    return code;
  }

  /** emit_relo of libbpf's gen_loader. */
  #fill(slots: InstructionSlots, { slot, kind, name }: LightReference, evidence: Evidence): void {
    // libbpf before 1.2 asks for a function as if it were a variable, where its address is taken before it is called.
    const isCall = slots.opcode(slot) === OPCODE.CALL;
    if (!Number.isInteger(slot) || slot < 0 || slot + (isCall ? 1 : 2) > slots.count) {
      throw refuse(`slot ${slot} is filled in, the program has ${slots.count}`);
    }
    if (kind === 'address') {
      const address = this.#kernel.address(name, evidence) ?? 0n;
      slots.write(slot, { imm: Number(BigInt.asIntN(32, address)) });
      slots.write(slot + 1, { imm: Number(BigInt.asIntN(32, address >> 32n)) });
      return;
    }
    const found = this.#kernel.find(name, kind === 'function' ? 'func' : 'var', evidence);
    if (found === undefined && !this.#kernel.knowsModules) evidence.assumptions.add(`no loaded module has ${name}`);
    if (found !== undefined && found.module > 0) {
      throw new Unlinkable('module-dependent', `${JSON.stringify(name)} is in a module`);
    }
    if (isCall) {
      slots.write(slot, { src: CALL.KFUNC, imm: found?.id ?? 0, offset: 0 });
      return;
    }
    slots.write(slot, { imm: found?.id ?? 0, ...(found === undefined && { src: 0 }) });
    slots.write(slot + 1, { imm: 0 });
  }

  #relocate(code: Uint8Array, { coreRelocations }: LightProgram, evidence: Evidence): void {
    if (this.#btf === undefined) throw refuse('it has CO-RE relocations, but no BTF');
    if (this.#btf instanceof FormatError) throw this.#btf;
    const target = { kernel: this.#kernel.btf(evidence), modules: this.#kernel.modules.map(({ btf }) => btf) };
    const relocator = new CoreRelocator(this.#btf, target, this.#rules);
    for (const record of coreRelocations) {
      const { insnOffset: at } = record;
      if (at % SLOT_SIZE !== 0 || at >= code.length) throw refuse(`no instruction begins at byte ${at}`);
      const result = relocator.relocate(record);
      if (result.outcome === 'refused') throw refuse(result.reason);
      code.set(patchInstruction(code.subarray(at, at + 2 * SLOT_SIZE), this.#little, result, this.#rules), at);
    }
  }
}

function parseBtf(bytes: Uint8Array): Btf | FormatError {
  try {
    return Btf.parse(bytes);
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}
