// CO-RE relocation as libbpf and aya do it: candidates by name, the first that fits, all that fit must agree.
import { FormatError } from '../diagnostics.ts';
import { type CoreSides, matchSpec } from './core-match.ts';
import { refusal } from './core-refusal.ts';
import type { CoreRules } from './core-rules.ts';
import { type CoreSpec, parseCoreSpec } from './core-spec.ts';
import { type CoreValue, coreValue, missingValue } from './core-value.ts';
import type { Btf } from './decode.ts';
import type { CoreRecord } from './ext.ts';

/** What becomes of one instruction. */
export type CoreResult =
  | CoreFixup
  /** No candidate fits: the instruction is replaced by one the verifier rejects if it is reachable. */
  | { readonly outcome: 'poison'; readonly local: CoreSpec }
  /** The loader gives up on the whole object. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly local?: CoreSpec };

export interface CoreFixup {
  readonly outcome: 'value';
  readonly local: CoreSpec;
  /** Absent when nothing fits and the value says so (field_exists and its like). */
  readonly target?: CoreSpec;
  /** u64. What the compiler wrote, by the object's own BTF. */
  readonly localValue: bigint;
  /** u64. What the loader writes. */
  readonly targetValue: bigint;
  /** The loader insists that the instruction holds `localValue`. */
  readonly checked: boolean;
  /** Bytes that a load or store accesses; they differ when it must change its width. */
  readonly localSize: number;
  readonly targetSize: number;
  /** The widths differ and reading one as the other would be wrong: a load or store is poisoned instead. */
  readonly unsafe: boolean;
}

export interface CoreTarget {
  readonly kernel: Btf;
  /** Split BTF on `kernel`. */
  readonly modules?: readonly Btf[];
}

/** Comparisons of types and members for the records of one object; the largest real ones stay below a million. */
const WORK_BUDGET = 20_000_000;

interface Candidate {
  readonly btf: Btf;
  readonly id: number;
}

/** Equal records get equal results for as long as the candidates stay. */
interface KnownResult {
  readonly result: CoreResult;
  readonly candidates: readonly Candidate[] | undefined;
}

/** Relocates the records of one object in file order: what an earlier one rules out is no candidate for a later one. */
export class CoreRelocator {
  readonly #local: Btf;
  readonly #target: CoreTarget;
  readonly #rules: CoreRules;
  readonly #candidates = new Map<number, readonly Candidate[]>();
  readonly #known = new Map<string, KnownResult>();
  readonly #noticed = new Set<keyof CoreRules>();
  readonly #budget: number;
  #work = 0;

  /** `budget`: comparisons of types and members before it gives up. */
  constructor(local: Btf, target: CoreTarget, rules: CoreRules, budget = WORK_BUDGET) {
    this.#local = local;
    this.#target = target;
    this.#rules = rules;
    this.#budget = budget;
  }

  /**
   * Which of `prune` and `accessSize` may have made a difference so far. Most objects notice neither, and rules that differ in
   * no more than what goes unnoticed give equal results.
   */
  get noticed(): ReadonlySet<keyof CoreRules> {
    return this.#noticed;
  }

  relocate(record: CoreRecord): CoreResult {
    const key = `${record.kind} ${record.type} ${record.access}`;
    const known = this.#known.get(key);
    if (known && known.candidates === this.#candidates.get(record.type)) return known.result;
    const result = this.#relocate(record);
    this.#known.set(key, { result, candidates: this.#candidates.get(record.type) });
    return result;
  }

  #relocate(record: CoreRecord): CoreResult {
    let local: CoreSpec | undefined;
    try {
      local = parseCoreSpec(this.#local, record);
      return this.#resolve(local);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#noticed.add('prune').add('accessSize');
      return { outcome: 'refused', reason: error.message, ...(local && { local }) };
    }
  }

  #resolve(local: CoreSpec): CoreResult {
    const rules = this.#rules;
    if (local.kind === 'type_matches' && !rules.typeMatches) throw refusal('type_matches is not known to this loader');
    const unresolved = { outcome: 'value', local, localSize: 0, targetSize: 0, unsafe: false } as const;
    if (local.kind === 'local_type_id') {
      const value = BigInt(local.root);
      return { ...unresolved, localValue: value, targetValue: value, checked: false };
    }
    const candidates = this.#candidatesFor(local.root);
    const fitting: Candidate[] = [];
    let decision: CoreFixup | undefined;
    for (const candidate of candidates) {
      const target = matchSpec(this.#sides(candidate.btf), local, candidate.id);
      if (target === undefined) continue;
      const fixup = this.#fixup(local, target, candidate.btf);
      decision ??= fixup;
      checkAgreement(decision, fixup);
      fitting.push(candidate);
    }
    if (decision) {
      if (fitting.length < candidates.length) {
        this.#noticed.add('prune');
        if (rules.prune) this.#candidates.set(local.root, fitting);
      }
      return decision;
    }
    // The local value is reckoned first, and may already be a refusal.
    const own = coreValue(this.#local, local, rules);
    const missing = missingValue(local, rules);
    if (missing === 'poison') return { outcome: 'poison', local };
    return { ...unresolved, localValue: own.value, targetValue: missing, checked: rules.checkLocal && own.certain };
  }

  #fixup(local: CoreSpec, target: CoreSpec, btf: Btf): CoreFixup {
    const rules = this.#rules;
    const ours = coreValue(this.#local, local, rules);
    const theirs = coreValue(btf, target, rules);
    const localSize = ours.access?.size ?? 0;
    const targetSize = theirs.access?.size ?? 0;
    if (isArray(this.#local, ours.access) || isArray(btf, theirs.access)) this.#noticed.add('accessSize');
    const differs = rules.resize && localSize !== targetSize;
    return {
      outcome: 'value',
      local,
      target,
      localValue: ours.value,
      targetValue: theirs.value,
      checked: rules.checkLocal && ours.certain,
      localSize: rules.resize ? localSize : targetSize,
      targetSize,
      unsafe: differs && !followsSafely(this.#local, ours.access?.type ?? 0, btf, theirs.access?.type ?? 0),
    };
  }

  /** bpf_core_find_cands: same essential name, same kind, in id order; modules only if the kernel has none. */
  #candidatesFor(root: number): readonly Candidate[] {
    const known = this.#candidates.get(root);
    if (known) return known;
    const name = this.#local.name(root);
    if (name === '') throw refusal(`type ${root} is anonymous, it has no candidates`);
    const { kernel, modules = [] } = this.#target;
    let found = this.#search(kernel, 1, root, name);
    if (found.length === 0 && this.#rules.modules) {
      found = modules.flatMap((module) => this.#search(module, module.firstId, root, name));
    }
    this.#candidates.set(root, found);
    return found;
  }

  #search(btf: Btf, from: number, root: number, name: string): Candidate[] {
    const { essentialName, mixEnums } = this.#rules;
    const wanted = essentialName(name);
    const kinds = new Set([this.#local.kind(root)]);
    if (mixEnums && (kinds.has('enum') || kinds.has('enum64'))) kinds.add('enum').add('enum64');
    const fits = (id: number) => {
      this.#spend();
      return id >= from && kinds.has(btf.kind(id)) && essentialName(btf.name(id)) === wanted;
    };
    return btf
      .typesOfStem(name)
      .filter(fits)
      .map((id) => ({ btf, id }));
  }

  #sides(target: Btf): CoreSides {
    return { local: this.#local, target, rules: this.#rules, spend: () => this.#spend() };
  }

  #spend(): void {
    if (++this.#work > this.#budget) throw refusal(`matching its types takes more than ${this.#budget} comparisons`);
  }
}

function isArray(btf: Btf, access: CoreValue['access']): boolean {
  return access !== undefined && btf.kind(btf.resolve(access.type)) === 'array';
}

/** Several candidates are fine as long as it makes no difference which one is meant. */
function checkAgreement(first: CoreFixup, other: CoreFixup): void {
  const [was, is] = [first.target?.bitOffset, other.target?.bitOffset];
  if (was !== is) throw refusal(`candidates disagree: bit offset ${was} or ${is}`);
  if (first.targetValue !== other.targetValue) {
    throw refusal(`candidates disagree: ${first.targetValue} or ${other.targetValue}`);
  }
}

/** Pointers and unsigned integers keep their value when zero-extended from another width. */
function followsSafely(local: Btf, localType: number, target: Btf, targetType: number): boolean {
  const ours = local.type(localType);
  const theirs = target.type(targetType);
  if (ours.kind === 'ptr' && theirs.kind === 'ptr') return true;
  // libbpf compares the whole encoding, so a signed char passes for unsigned when it is also marked as char.
  return ours.kind === 'int' && theirs.kind === 'int' && ours.encoding !== 1 && theirs.encoding !== 1;
}
