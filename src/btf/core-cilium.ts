// CO-RE relocation as cilium/ebpf does it: all records of a root type against each candidate, the candidate that poisons least.
import { FormatError } from '../diagnostics.ts';
import { type CiliumField, findCiliumField } from './core-cilium-field.ts';
import { type CoreSides, typesMatch } from './core-match.ts';
import { refusal, sizeOrRefuse } from './core-refusal.ts';
import type { CoreResult, CoreTarget } from './core-relocate.ts';
import type { CiliumRules } from './core-rules.ts';
import { type CoreSpec, parseCoreSpec } from './core-spec.ts';
import type { Btf } from './decode.ts';
import type { CoreRecord } from './ext.ts';
import { type BtfType, isEnum } from './types.ts';

type Fixup = Exclude<CoreResult, { outcome: 'refused' }>;

interface Asked {
  readonly position: number;
  readonly spec: CoreSpec;
}

/** Comparisons of types and members for the records of one program. */
const WORK_BUDGET = 20_000_000;
const MAX_TYPE_DEPTH = 32;

/**
 * One result for every record, in their order. cilium/ebpf relocates a program together with the functions it calls,
 * so `records` are those of the whole of it; a refusal of one record refuses all that share its root type.
 */
export function relocateLikeCilium(
  local: Btf,
  target: CoreTarget,
  records: readonly CoreRecord[],
  rules: CiliumRules,
): readonly CoreResult[] {
  const results: CoreResult[] = [];
  const groups = new Map<number, Asked[]>();
  for (const [position, record] of records.entries()) {
    results[position] = attemptResult(() => {
      const spec = parseCoreSpec(local, record);
      if (spec.kind === 'local_type_id') return fixed(spec, BigInt(spec.root), BigInt(spec.root), false);
      if (spec.kind === 'type_matches' && !rules.typeMatches) throw refusal('type_matches is not known to this loader');
      if (local.name(spec.root) === '') throw refusal(`type ${spec.root} is anonymous, it has no candidates`);
      groups.set(spec.root, [...(groups.get(spec.root) ?? []), { position, spec }]);
      return { outcome: 'poison', local: spec };
    });
  }
  let work = 0;
  const spend = () => {
    if (++work > WORK_BUDGET) throw refusal(`matching its types takes more than ${WORK_BUDGET} comparisons`);
  };
  for (const group of groups.values()) {
    const decided = attemptGroup(group, () => bestFixups(local, target, group, rules, spend));
    for (const [index, { position }] of group.entries())
      results[position] = decided[index] ?? refusedResult('no result');
  }
  return results;
}

function bestFixups(
  local: Btf,
  target: CoreTarget,
  group: readonly Asked[],
  rules: CiliumRules,
  spend: () => void,
): readonly Fixup[] {
  let best: readonly Fixup[] | undefined;
  let bestScore = group.length;
  const name = rules.essentialName(local.name(group[0]?.spec.root ?? 0));
  for (const btf of [target.kernel, ...(rules.modules ? (target.modules ?? []) : [])]) {
    const sides: CoreSides = { local, target: btf, rules, spend };
    const ids = btf.typesOfStem(name).filter((id) => {
      spend();
      return (btf === target.kernel || id >= btf.firstId) && rules.essentialName(btf.name(id)) === name;
    });
    for (const id of ids) {
      const fixups = group.map(({ spec }) => fixupFor(sides, spec, id, rules));
      const score = fixups.filter(isMiss).length;
      if (score < bestScore) {
        best = fixups;
        bestScore = score;
      } else if (score === bestScore && best) {
        checkAgreement(best, fixups);
      }
    }
  }
  return best ?? group.map(({ spec }) => missing(spec));
}

function fixupFor(sides: CoreSides, spec: CoreSpec, candidate: number, rules: CiliumRules): Fixup {
  switch (spec.kind) {
    case 'type_matches':
      return typesMatch(sides, spec.root, candidate) ? fixed(spec, 1n, 1n, true) : missing(spec);
    case 'type_exists':
    case 'type_size':
    case 'target_type_id':
      return typeFixup(sides, spec, candidate);
    case 'enumval_exists':
    case 'enumval_value':
      return enumFixup(sides, spec, candidate, rules);
    default:
      return fieldFixup(sides, spec, candidate, rules);
  }
}

function typeFixup(sides: CoreSides, spec: CoreSpec, candidate: number): Fixup {
  if (!typesAreAlike(sides, spec.root, candidate)) return missing(spec);
  switch (spec.kind) {
    case 'type_size':
      return fixed(
        spec,
        BigInt(sizeOrRefuse(sides.local, spec.root)),
        BigInt(sizeOrRefuse(sides.target, candidate)),
        true,
      );
    case 'target_type_id':
      return fixed(spec, BigInt(spec.root), BigInt(candidate), true);
    default:
      return fixed(spec, 1n, 1n, true);
  }
}

function enumFixup(sides: CoreSides, spec: CoreSpec, candidate: number, rules: CiliumRules): Fixup {
  const [place] = spec.accessors;
  const local = sides.local.type(place?.type ?? 0);
  const target = sides.target.type(sides.target.resolve(candidate));
  if (!isEnum(local) || !isEnum(target) || (local.kind !== target.kind && !rules.mixEnums)) return missing(spec);
  const ours = local.values[place?.index ?? 0];
  const wanted = rules.essentialName(ours?.name ?? '');
  const theirs = target.values.find(({ name }) => {
    sides.spend();
    return rules.essentialName(name) === wanted;
  });
  if (!theirs) return missing(spec);
  if (spec.kind === 'enumval_exists') return fixed(spec, 1n, 1n, true);
  const value = (of: number | bigint) => BigInt.asUintN(rules.wideEnumerators ? 64 : 32, BigInt(of));
  return fixed(spec, value(ours?.value ?? 0), value(theirs.value), true);
}

function fieldFixup(sides: CoreSides, spec: CoreSpec, candidate: number, rules: CiliumRules): Fixup {
  if (spec.kind === 'signed' && !rules.signOfField) return fixed(spec, 0n, 0n, false);
  const found = findCiliumField(sides, spec, candidate);
  if (found === undefined) return missing(spec);
  const { local, target } = found;
  const isCertain = local.bitSize === 0;
  switch (spec.kind) {
    case 'byte_off':
      return fixed(spec, BigInt(local.offset), BigInt(target.offset), isCertain);
    case 'byte_sz':
      return fixed(
        spec,
        BigInt(sizeOrRefuse(sides.local, local.type)),
        BigInt(sizeOrRefuse(sides.target, target.type)),
        isCertain,
      );
    case 'signed':
      return fixed(spec, signOf(sides.local, local), signOf(sides.target, target), true);
    case 'lshift_u64': {
      const shift = sides.target.littleEndian
        ? 64 - target.bitOffset - bitsOf(sides.target, target)
        : 64 - sizeOrRefuse(sides.target, target.type) * 8 + target.bitOffset;
      return fixed(spec, 0n, BigInt.asUintN(32, BigInt(shift)), false);
    }
    case 'rshift_u64':
      return fixed(spec, 0n, BigInt.asUintN(32, BigInt(64 - bitsOf(sides.target, target))), false);
    default:
      return fixed(spec, 1n, 1n, true);
  }
}

/** coreAreTypesCompatible: kinds alone, breadth first; a forward declaration stands for its struct or union. */
function typesAreAlike(sides: CoreSides, localId: number, targetId: number): boolean {
  const pairs: [number, number][] = [[localId, targetId]];
  let depth = 0;
  for (let next = 0; next < pairs.length; next++) {
    sides.spend();
    if (depth >= MAX_TYPE_DEPTH) throw refusal('types are nested too deep');
    const [ours, theirs] = pairs[next] ?? [0, 0];
    const local = sides.local.type(sides.local.resolve(ours));
    const target = sides.target.type(sides.target.resolve(theirs));
    if (local.kind === 'fwd' && target.kind === local.declares) return true;
    if (local.kind !== target.kind && !(sides.rules.mixEnums && isEnum(local) && isEnum(target))) return false;
    if (local.kind === 'ptr' && target.kind === 'ptr') pairs.push([local.type, target.type]);
    else if (local.kind === 'array' && target.kind === 'array') {
      pairs.push([local.index, target.index], [local.element, target.element]);
    } else if (local.kind === 'func_proto' && target.kind === 'func_proto') {
      if (local.params.length !== target.params.length) return false;
      pairs.push([local.returns, target.returns]);
      for (const [index, { type }] of local.params.entries()) pairs.push([type, target.params[index]?.type ?? 0]);
    } else if (!isLeaf(local)) throw refusal(`type ${local.id} of kind ${local.kind} cannot be compared`);
    else continue;
    depth++;
  }
  return true;
}

function isLeaf({ kind }: BtfType): boolean {
  return ['void', 'struct', 'union', 'enum', 'enum64', 'fwd', 'int'].includes(kind);
}

function signOf(btf: Btf, { type }: CiliumField): bigint {
  const found = btf.type(btf.resolve(type));
  if (found.kind === 'int') return found.encoding & 1 ? 1n : 0n;
  if (isEnum(found)) return found.signed ? 1n : 0n;
  throw refusal(`type ${type} has no sign`);
}

/** A field that became a whole one in the target still has shifts. */
function bitsOf(btf: Btf, field: CiliumField): number {
  return field.bitSize > 0 ? field.bitSize : sizeOrRefuse(btf, field.type) * 8;
}

function isMiss(fixup: Fixup): boolean {
  return fixup.outcome === 'poison' || (asksForExistence(fixup.local) && fixup.targetValue === 0n);
}

function asksForExistence({ kind }: CoreSpec): boolean {
  return kind === 'field_exists' || kind === 'type_exists' || kind === 'enumval_exists' || kind === 'type_matches';
}

function missing(local: CoreSpec): Fixup {
  return asksForExistence(local) ? fixed(local, 1n, 0n, true) : { outcome: 'poison', local };
}

function fixed(local: CoreSpec, localValue: bigint, targetValue: bigint, checked: boolean): Fixup {
  return { outcome: 'value', local, localValue, targetValue, checked, localSize: 0, targetSize: 0, unsafe: false };
}

function checkAgreement(best: readonly Fixup[], others: readonly Fixup[]): void {
  const values = (fixup: Fixup | undefined) =>
    fixup?.outcome === 'value' ? [fixup.localValue, fixup.targetValue] : [0n, 0n];
  for (const [index, fixup] of best.entries()) {
    const [ours, theirs] = [values(fixup), values(others[index])];
    if (ours[0] !== theirs[0] || ours[1] !== theirs[1])
      throw refusal(`candidates disagree: ${ours[1]} or ${theirs[1]}`);
  }
}

function attemptResult(act: () => CoreResult): CoreResult {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refusedResult(error.message);
  }
}

function attemptGroup(group: readonly Asked[], act: () => readonly Fixup[]): readonly CoreResult[] {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return group.map(({ spec }) => ({ outcome: 'refused', reason: error.message, local: spec }));
  }
}

function refusedResult(reason: string): CoreResult {
  return { outcome: 'refused', reason };
}
