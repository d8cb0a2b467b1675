// CO-RE relocations in words: what the object asks for, and what a kernel answers.
// Does not touch instructions; `core-patch.ts` does.
import { attempt, type Diagnostic } from '../diagnostics.ts';
import type { CoreResult } from './core-relocate.ts';
import { LIBBPF_RULES } from './core-rules.ts';
import { CORE_KINDS, type CoreKind, type CoreSpec, formatPath, parseCoreSpec } from './core-spec.ts';
import { coreValue } from './core-value.ts';
import type { Btf } from './decode.ts';
import type { CoreRecord } from './ext.ts';
import { typeName } from './format-name.ts';

export interface CorePlace {
  /** Type id in the BTF of that side. */
  readonly type: number;
  /** Bytes from the start of the root type; only for fields. */
  readonly offset?: number;
  /** What remains of the offset for a bitfield. */
  readonly bit?: number;
  /** The relocated value, a bigint when beyond 2^53. */
  readonly value?: number | bigint;
}

export interface CoreRelocation {
  /** Index of the instruction in its section; a ld_imm64 counts as two. */
  readonly instruction: number;
  /** libbpf's name of the kind, or its number when unknown. */
  readonly kind: CoreKind | number;
  /** The root type: `struct task_struct`. */
  readonly type: string;
  /** `tgid`, `a.b[3].c`, or an enumerator; absent when the type itself is meant. */
  readonly path?: string;
  /** The accessor string as stored, `0:77`. */
  readonly accessors: string;
  /** Absent when the record is malformed. */
  readonly local?: CorePlace;
}

/** Where it lies in a target, or why the instruction is poisoned or the object refused. */
export type CoreAnswer = CorePlace | { readonly poison: true } | { readonly refused: string };

/** One record in words. */
export function describeCoreRelocation(btf: Btf, record: CoreRecord, diagnostics: Diagnostic[]): CoreRelocation {
  const where = `CO-RE relocation of instruction ${record.insnOffset / 8}`;
  const local = attempt(diagnostics, where, () => parseCoreSpec(btf, record));
  const value = local && attempt(diagnostics, where, () => coreValue(btf, local, LIBBPF_RULES).value);
  const path = local ? formatPath(local) : '';
  return {
    instruction: record.insnOffset / 8,
    kind: CORE_KINDS[record.kind] ?? record.kind,
    type: attempt(diagnostics, where, () => typeName(btf, record.type)) ?? `type ${record.type}`,
    ...(path !== '' && { path }),
    accessors: attempt(diagnostics, where, () => btf.string(record.access)) ?? '',
    ...(local && { local: placeOf(local, value) }),
  };
}

function placeOf(spec: CoreSpec, value: bigint | undefined): CorePlace {
  const bit = spec.bitOffset % 8;
  return {
    type: spec.root,
    ...(spec.accessors.length > 0 && !spec.kind.startsWith('enumval') && { offset: (spec.bitOffset - bit) / 8 }),
    ...(bit !== 0 && { bit }),
    ...(value !== undefined && { value: plain(value) }),
  };
}

/** The answer of a target in words. */
export function describeCoreResult(result: CoreResult): CoreAnswer {
  switch (result.outcome) {
    case 'poison':
      return { poison: true };
    case 'refused':
      return { refused: result.reason };
    case 'value':
      return result.target ? placeOf(result.target, result.targetValue) : { type: 0, value: plain(result.targetValue) };
  }
}

function plain(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
