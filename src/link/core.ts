// The code of an object's functions after CO-RE relocation, for loaders that relocate each function before they link.

import { patchInstruction } from '../btf/core-patch.ts';
import { CoreRelocator, type CoreResult } from '../btf/core-relocate.ts';
import type { CoreRules } from '../btf/core-rules.ts';
import type { Btf } from '../btf/decode.ts';
import type { BtfExt, CoreRecord } from '../btf/ext.ts';
import { btfHeader } from '../btf/layouts.ts';
import { viewOf } from '../bytes/layout.ts';
import { attempt, FormatError } from '../diagnostics.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import type { Kernel } from './kernel.ts';
import { type Evidence, refuse } from './loader.ts';

/** A record and the slot of the function it is about. */
export interface PlacedRecord {
  readonly function: BpfFunction;
  readonly slot: number;
  readonly record: CoreRecord;
}

/** Every record that lies in a function, in file order; those in leftovers of overridden functions do not. */
export function placeRecords(object: BpfObject, functions: readonly BpfFunction[] = object.functions): PlacedRecord[] {
  const { btf, btfExt, elf } = object;
  if (btf === undefined || btfExt === undefined) return [];
  const index = new FunctionIndex(functions);
  return btfExt.coreRelocations.flatMap(({ name, records }) => {
    const title = readString(btf, name);
    const section = title === undefined ? undefined : elf.section(title);
    if (section === undefined) return [];
    return records.flatMap((record) => {
      const home = index.containing(section.index, record.insnOffset);
      return home ? [{ function: home, slot: (record.insnOffset - home.offset) / SLOT_SIZE, record }] : [];
    });
  });
}

/** Comparisons for one object and one set of rules; the largest real objects stay below a million. */
const WORK_BUDGET = 4_000_000;
const KNOWN = new WeakMap<Kernel, Map<CoreRules, CoreCode>>();

/** Releases with the same rules share the work. A kernel is asked about one object only. */
export function coreCodeOf(object: BpfObject, kernel: Kernel, rules: CoreRules): CoreCode {
  const known = KNOWN.get(kernel) ?? new Map<CoreRules, CoreCode>();
  KNOWN.set(kernel, known);
  const code = known.get(rules) ?? new CoreCode(object, kernel, rules);
  known.set(rules, code);
  return code;
}

export class CoreCode {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #rules: CoreRules;
  readonly #records: readonly PlacedRecord[];
  /** By index of the function. */
  readonly #affected: ReadonlySet<number>;
  /** Names of types that the kernel proper has none of, by function: a module may have one. */
  readonly #absent = new Map<number, string>();
  #patched: ReadonlyMap<number, Uint8Array | FormatError> | undefined;

  constructor(object: BpfObject, kernel: Kernel, rules: CoreRules, functions = object.functions) {
    this.#object = object;
    this.#kernel = kernel;
    this.#rules = rules;
    this.#records = placeRecords(object, functions);
    this.#affected = new Set(this.#records.map((each) => each.function.index));
  }

  /** @throws Unlinkable, FormatError where the loader gives up on this function. */
  of(each: BpfFunction, evidence: Evidence): Uint8Array {
    if (!this.#affected.has(each.index)) return each.code;
    const kernel = this.#kernel.btf(evidence);
    if (!this.#rules.mixEnums && this.#kernel.hasEnum64(evidence) && this.#rules.checkLocal) {
      throw refuse('the BTF of the kernel has 64-bit enums, which this loader cannot read');
    }
    this.#patched ??= this.#patchAll(kernel);
    const code = this.#patched.get(each.index);
    if (code instanceof FormatError) throw code;
    const absent = this.#absent.get(each.index);
    if (absent !== undefined && this.#rules.modules && !this.#kernel.knowsModules) {
      evidence.assumptions.add(`no loaded module has a type ${JSON.stringify(absent)}`);
    }
    return code ?? each.code;
  }

  /** In file order, whichever functions are asked for: what an earlier record rules out is no candidate for a later one. */
  #patchAll(kernel: Btf): Map<number, Uint8Array | FormatError> {
    const { btf, elf } = this.#object;
    const patched = new Map<number, Uint8Array | FormatError>();
    if (btf === undefined) return patched;
    const modules = this.#kernel.modules.map((each) => each.btf);
    const relocator = new CoreRelocator(btf, { kernel, modules }, this.#rules, WORK_BUDGET);
    for (const { function: home, slot, record } of this.#records) {
      const result = relocator.relocate(record);
      if (isUnmatched(result) && !hasCandidate(kernel, btf.name(record.type), this.#rules)) {
        this.#absent.set(home.index, this.#rules.essentialName(btf.name(record.type)));
      }
      const code = patched.get(home.index) ?? new Uint8Array(home.code);
      if (code instanceof FormatError) continue;
      patched.set(home.index, this.#patch(code, slot, result, elf.littleEndian) ?? code);
    }
    return patched;
  }

  #patch(code: Uint8Array, slot: number, result: CoreResult, little: boolean): FormatError | undefined {
    const at = slot * SLOT_SIZE;
    if (result.outcome === 'refused') return new FormatError('core-refused', at, result.reason);
    if (!Number.isInteger(slot)) return new FormatError('core-refused', at, `no instruction begins at byte ${at}`);
    try {
      code.set(patchInstruction(code.subarray(at, at + 2 * SLOT_SIZE), little, result, this.#rules), at);
      return undefined;
    } catch (error) {
      if (error instanceof FormatError) return error;
      throw error;
    }
  }
}

function isUnmatched(result: CoreResult): boolean {
  if (result.outcome === 'value') return result.target === undefined && result.local.kind !== 'local_type_id';
  return result.outcome === 'poison';
}

function hasCandidate(kernel: Btf, name: string, { essentialName }: CoreRules): boolean {
  const wanted = essentialName(name);
  return kernel.typesOfStem(name).some((id) => essentialName(kernel.name(id)) === wanted);
}

/** Loaders go on without types and records that they cannot read; whether they could read these is not known. */
export function checkBtfExt(object: BpfObject): void {
  const section = object.elf.section('.BTF.ext');
  if (section === undefined || section.size === 0) return;
  const problem = describeProblems(object.btfExt) ?? describeBtfProblem(object.btf, object.btfExt);
  if (problem !== undefined) throw refuse(`its CO-RE relocations are not all readable: ${problem}`);
}

function describeProblems(ext: BtfExt | undefined): string | undefined {
  if (ext === undefined) return 'no valid .BTF.ext';
  return ext.diagnostics.find(({ where }) => where.includes('CO-RE'))?.message;
}

function describeBtfProblem(btf: Btf | undefined, ext: BtfExt | undefined): string | undefined {
  if (btf === undefined) return 'no valid .BTF';
  const [first] = btf.diagnostics;
  if (first) return first.message;
  if (ext?.coreRelocations.some(({ name }) => readString(btf, name) === undefined)) return 'a section has no name';
  const { hdr_len, str_off, str_len } = btfHeader.read(viewOf(btf.bytes), 0, btf.littleEndian);
  const strings = btf.bytes.subarray(hdr_len + str_off, hdr_len + str_off + str_len);
  // btf_parse_str_sec
  return strings[0] === 0 && strings.at(-1) === 0 ? undefined : 'its strings do not begin and end with a NUL';
}

function readString(btf: Btf, offset: number): string | undefined {
  return attempt([], 'string', () => btf.string(offset));
}
