// What the kernel answers to the externs of an object (libbpf: bpf_object__resolve_externs).
import { typesAreCompatible } from '../btf/core-match.ts';
import { type CoreRules, libbpfEssentialName } from '../btf/core-rules.ts';
import type { Btf } from '../btf/decode.ts';
import type { BpfExtern } from '../object/externs.ts';
import type { BpfObject } from '../object/open.ts';
import type { Kernel, KernelType } from './kernel.ts';
import { type Evidence, refuse, Unlinkable } from './loader.ts';

export type ExternAnswer =
  /** A place in the map of kernel configuration. */
  | { readonly kind: 'kconfig'; readonly offset: number }
  /** `module` is 0 for the kernel proper, else the place in the fd array, from 1. */
  | { readonly kind: 'type'; readonly id: number; readonly module: number }
  | { readonly kind: 'address'; readonly address: bigint }
  /** Weak, and not there. */
  | { readonly kind: 'missing' };

export interface ExternRules {
  /** For comparing types; absent where the loader does not compare. */
  readonly core?: CoreRules;
  /** `bpf_thing___v2` means the kernel's `bpf_thing`, and a weak one with another prototype counts as missing (libbpf 1.3). */
  readonly kfuncFlavors: boolean;
}

const MISSING: ExternAnswer = { kind: 'missing' };
const COMPARISONS = 100_000;

export class Externs {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #rules: ExternRules;

  constructor(object: BpfObject, kernel: Kernel, rules: ExternRules) {
    this.#object = object;
    this.#kernel = kernel;
    this.#rules = rules;
  }

  /** @throws Unlinkable when the kernel must be known better, or when the loader refuses. */
  resolve(extern: BpfExtern, evidence: Evidence): ExternAnswer {
    switch (extern.kind) {
      case 'kconfig':
        return { kind: 'kconfig', offset: extern.offset ?? 0 };
      case 'ksym':
        return this.#variable(extern, evidence);
      case 'kfunc':
        return this.#function(extern, evidence);
      case 'typeless-ksym':
        return this.#address(extern, evidence);
      case 'undeclared': {
        const message = `${JSON.stringify(extern.name)} is defined nowhere: some loaders write such constants themselves`;
        throw new Unlinkable('runtime-edited', message);
      }
    }
  }

  #variable(extern: BpfExtern, evidence: Evidence): ExternAnswer {
    const found = this.#kernel.find(extern.name, 'var', evidence);
    if (found === undefined) return this.#missing(extern, evidence);
    if (!this.#isCompatible(extern, found)) throw refuse(`${describe(extern)} has another type in the kernel`);
    if (found.module === 0) return { kind: 'type', id: found.id, module: 0 };
    // The file descriptor of the module's BTF is part of the code.
    throw new Unlinkable('module-dependent', `${describe(extern)} is a variable of a module`);
  }

  #function(extern: BpfExtern, evidence: Evidence): ExternAnswer {
    const found = this.#kernel.find(this.#kfuncName(extern), 'func', evidence);
    if (found === undefined) return this.#missing(extern, evidence);
    if (!this.#isCompatible(extern, found)) {
      if (extern.weak && this.#rules.kfuncFlavors) return MISSING;
      throw refuse(`${describe(extern)} has another prototype in the kernel`);
    }
    return { kind: 'type', id: found.id, module: this.#placeOfModule(found, evidence) };
  }

  #address(extern: BpfExtern, evidence: Evidence): ExternAnswer {
    const address = this.#kernel.address(extern.name, evidence);
    if (address !== undefined) return { kind: 'address', address };
    if (extern.weak) return MISSING;
    throw refuse(`${describe(extern)} is not in the kernel`);
  }

  #missing(extern: BpfExtern, evidence: Evidence): ExternAnswer {
    const { knowsModules } = this.#kernel;
    if (extern.weak && !knowsModules) evidence.assumptions.add(`no loaded module has ${describe(extern)}`);
    if (extern.weak) return MISSING;
    if (knowsModules) throw refuse(`${describe(extern)} is not in the kernel`);
    throw new Unlinkable('module-dependent', `${describe(extern)} is not in the kernel, unless in a module`);
  }

  /** Modules get their places in order of first use in the sorted externs of the whole object. */
  #placeOfModule(found: KernelType, evidence: Evidence): number {
    if (found.module === 0) return 0;
    const used = new Set<number>();
    for (const extern of this.#object.externs) {
      if (extern.kind !== 'kfunc') continue;
      const module = this.#kernel.find(this.#kfuncName(extern), 'func', evidence)?.module ?? 0;
      if (module > 0) used.add(module);
    }
    return [...used].indexOf(found.module) + 1;
  }

  #kfuncName({ name }: BpfExtern): string {
    return this.#rules.kfuncFlavors ? libbpfEssentialName(name) : name;
  }

  #isCompatible(extern: BpfExtern, { btf: target, id }: KernelType): boolean {
    const { core } = this.#rules;
    const local = this.#object.btf;
    if (core === undefined || local === undefined) return true;
    let left = COMPARISONS;
    const spend = () => {
      if (--left < 0) throw refuse(`${describe(extern)}: comparing its type takes too long`);
    };
    const sides = { local, target, rules: core, spend };
    return typesAreCompatible(sides, typeBehind(local, extern.type ?? 0), typeBehind(target, id));
  }
}

/** The type of a var, the prototype of a func. */
function typeBehind(btf: Btf, id: number): number {
  const declared = btf.type(id);
  return declared.kind === 'var' || declared.kind === 'func' ? btf.resolve(declared.type) : id;
}

function describe({ name, kind }: BpfExtern): string {
  return `${kind} ${JSON.stringify(name)}`;
}
