// The code of an object's functions after CO-RE relocation under one set of rules.
import { patchInstruction } from '../btf/core-patch.ts';
import { CoreRelocator, type CoreResult, type CoreTarget } from '../btf/core-relocate.ts';
import type { CoreRules } from '../btf/core-rules.ts';
import type { Btf } from '../btf/decode.ts';
import type { CoreRecord } from '../btf/ext.ts';
import { FormatError } from '../diagnostics.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';

/** A record and the slot of the function it is about. */
export interface PlacedRecord {
  readonly function: BpfFunction;
  readonly slot: number;
  readonly record: CoreRecord;
}

/** By index of the function; those without records are not here. */
export interface PatchedCode {
  readonly functions: ReadonlyMap<number, Uint8Array | FormatError>;
  /** Names of types that the kernel proper has none of: a module may have one. */
  readonly absent: ReadonlyMap<number, string>;
  /** See `CoreRelocator.noticed`. */
  readonly noticed: ReadonlySet<keyof CoreRules>;
}

/** Comparisons for one object and one set of rules; the largest real objects stay below a million. */
const WORK_BUDGET = 4_000_000;

/** All records in file order: what an earlier one rules out is no candidate for a later one. */
export function patchObject(
  { btf, elf }: BpfObject,
  records: readonly PlacedRecord[],
  target: CoreTarget,
  rules: CoreRules,
): PatchedCode {
  const functions = new Map<number, Uint8Array | FormatError>();
  const absent = new Map<number, string>();
  if (btf === undefined) return { functions, absent, noticed: new Set() };
  const relocator = new CoreRelocator(btf, target, rules, WORK_BUDGET);
  for (const { function: home, slot, record } of records) {
    const result = relocator.relocate(record);
    if (isUnmatched(result) && !hasCandidate(target.kernel, btf.name(record.type), rules)) {
      absent.set(home.index, rules.essentialName(btf.name(record.type)));
    }
    const code = functions.get(home.index) ?? new Uint8Array(home.code);
    if (code instanceof FormatError) continue;
    functions.set(home.index, patch(code, slot, result, elf.littleEndian, rules) ?? code);
  }
  return { functions, absent, noticed: relocator.noticed };
}

/** Whether rules differ at most in what was not noticed under the first. */
export function agree<Rules extends CoreRules>(a: Rules, b: Rules, noticed: ReadonlySet<string>): boolean {
  for (const rule in a) {
    const mayDiffer = (rule === 'prune' || rule === 'accessSize') && !noticed.has(rule);
    if (a[rule] !== b[rule] && !mayDiffer) return false;
  }
  return true;
}

function patch(
  code: Uint8Array,
  slot: number,
  result: CoreResult,
  little: boolean,
  rules: CoreRules,
): FormatError | undefined {
  const at = slot * SLOT_SIZE;
  if (result.outcome === 'refused') return new FormatError('core-refused', at, result.reason);
  if (!Number.isInteger(slot)) return new FormatError('core-refused', at, `no instruction begins at byte ${at}`);
  try {
    code.set(patchInstruction(code.subarray(at, at + 2 * SLOT_SIZE), little, result, rules), at);
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
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
