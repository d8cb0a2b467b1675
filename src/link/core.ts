// The CO-RE records of an object and its code after them, as all loaders share it that relocate before they link.
import type { CoreRules } from '../btf/core-rules.ts';
import type { Btf } from '../btf/decode.ts';
import type { BtfExt } from '../btf/ext.ts';
import { btfHeader } from '../btf/layouts.ts';
import { viewOf } from '../bytes/layout.ts';
import { attempt, FormatError } from '../diagnostics.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import { agree, type PatchedCode, type PlacedRecord, patchObject } from './core-code.ts';
import type { Kernel } from './kernel.ts';
import { Evidence, refuse, Unlinkable } from './loader.ts';

/** The CO-RE records of one object, and its code under one set of rules and another: what loaders share. */
export class ObjectCore {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #patched: { readonly rules: CoreRules; readonly code: PatchedCode }[] = [];
  /** In file order; only those that lie in a function, not in the leftovers of one that was overridden. */
  readonly #records: readonly PlacedRecord[];
  /** By index of the function. */
  readonly recordsOf: ReadonlyMap<number, readonly PlacedRecord[]>;

  /** For one kernel always the same: a kernel is asked about one object only. */
  static of(object: BpfObject, kernel: Kernel): ObjectCore {
    const known = OBJECTS.get(kernel) ?? new ObjectCore(object, kernel);
    OBJECTS.set(kernel, known);
    return known;
  }

  private constructor(object: BpfObject, kernel: Kernel) {
    this.#object = object;
    this.#kernel = kernel;
    this.#records = placeRecords(object);
    this.recordsOf = byFunction(this.#records);
  }

  /** @throws Unlinkable, FormatError where the loader gives up on this function. */
  codeOf(each: BpfFunction, rules: CoreRules, evidence: Evidence): Uint8Array {
    if (!this.recordsOf.has(each.index)) return each.code;
    const { functions, absent } = this.#patchedUnder(rules, evidence);
    const code = functions.get(each.index);
    if (code instanceof FormatError) throw code;
    const type = absent.get(each.index);
    if (type !== undefined && rules.modules && !this.#kernel.knowsModules) {
      evidence.assumptions.add(`no loaded module has a type ${JSON.stringify(type)}`);
    }
    return code ?? each.code;
  }

  /** Rules with equal effects make the same of every function. */
  effectOf(rules: CoreRules): string {
    if (this.#records.length === 0) return 'none';
    try {
      const code = this.#patchedUnder(rules, new Evidence());
      return `${this.#patched.findIndex((each) => each.code === code)}`;
    } catch (error) {
      if (error instanceof Unlinkable) return error.message;
      throw error;
    }
  }

  #patchedUnder(rules: CoreRules, evidence: Evidence): PatchedCode {
    const kernel = this.#kernel.btf(evidence);
    if (!rules.mixEnums && this.#kernel.hasEnum64(evidence) && rules.checkLocal) {
      throw refuse('the BTF of the kernel has 64-bit enums, which this loader cannot read');
    }
    const known = this.#patched.find((each) => agree(each.rules, rules, each.code.noticed));
    if (known) return known.code;
    const target = { kernel, modules: this.#kernel.modules.map(({ btf }) => btf) };
    const code = patchObject(this.#object, this.#records, target, rules);
    this.#patched.push({ rules, code });
    return code;
  }
}

const OBJECTS = new WeakMap<Kernel, ObjectCore>();

function placeRecords({ btf, btfExt, elf, functions }: BpfObject): PlacedRecord[] {
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

function byFunction(records: readonly PlacedRecord[]): Map<number, PlacedRecord[]> {
  const grouped = new Map<number, PlacedRecord[]>();
  for (const each of records) {
    const own = grouped.get(each.function.index);
    if (own) own.push(each);
    else grouped.set(each.function.index, [each]);
  }
  return grouped;
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
