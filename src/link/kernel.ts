// What a prediction may know of the kernel, as a plain value, and the questions loaders ask of it.
import type { Btf } from '../btf/decode.ts';
import { BTF_KIND } from '../btf/layouts.ts';
import { type Evidence, refuse, Unlinkable } from './loader.ts';
import { isBefore } from './tag.ts';

export interface KernelModule {
  readonly name: string;
  /** Split BTF on the kernel's. */
  readonly btf: Btf;
}

export interface Target {
  /** Types of the kernel. May be a getter: it is read only when a program needs it. */
  readonly kernelBtf?: Btf;
  /** SHA-256 or build id of that BTF, for people to compare. */
  readonly btfIdentity?: string;
  /** Every loaded module with BTF; absent when that is not known, empty when there is none. */
  readonly modules?: readonly KernelModule[];
  /** As `uname -r` has it. */
  readonly release: string;
  /** Byte order of the machine; absent, each object is taken for one of its own. */
  readonly littleEndian?: boolean;
  /** /proc/kallsyms of the boot in question. Absent, addresses are unknown rather than missing. */
  readonly kallsyms?: (name: string) => bigint | undefined;
}

/** A type of the kernel or of module number `module` - 1. */
export interface KernelType {
  readonly btf: Btf;
  readonly id: number;
  readonly module: number;
}

export class Kernel {
  readonly #target: Target;
  readonly #little: boolean;
  #work = 0;

  /** `little`: the byte order of the object that is predicted. */
  constructor(target: Target, little: boolean) {
    this.#target = target;
    this.#little = little;
  }

  /** @throws Unlinkable `needs-btf` */
  btf(evidence: Evidence): Btf {
    const btf = this.#target.kernelBtf;
    if (btf === undefined) throw new Unlinkable('needs-btf', 'its types are relocated against the BTF of the kernel');
    if (btf.littleEndian !== this.#little) {
      const order = (little: boolean) => (little ? 'little' : 'big');
      const message = `the object is ${order(this.#little)} endian, the BTF of the kernel ${order(btf.littleEndian)} endian`;
      throw new Unlinkable('needs-btf', message);
    }
    evidence.btf = true;
    return btf;
  }

  get modules(): readonly KernelModule[] {
    return this.#target.modules ?? [];
  }

  get knowsModules(): boolean {
    return this.#target.modules !== undefined;
  }

  /** The lowest id of this name, the kernel before its modules. */
  find(name: string, kind: 'func' | 'var', evidence: Evidence): KernelType | undefined {
    const kernel = this.btf(evidence);
    const id = kernel.byName(name, [kind]);
    if (id !== undefined) return { btf: kernel, id, module: 0 };
    for (const [index, { btf }] of this.modules.entries()) {
      const own = btf.typesNamed(name).find((type) => type >= btf.firstId && btf.kind(type) === kind);
      if (own !== undefined) return { btf, id: own, module: index + 1 };
    }
    return undefined;
  }

  /**
   * The address of a symbol, `undefined` when the kernel has none of this name.
   * @throws Unlinkable `needs-address`
   */
  address(name: string, evidence: Evidence): bigint | undefined {
    if (this.#target.kallsyms === undefined) {
      throw new Unlinkable('needs-address', `the address of ${JSON.stringify(name)} goes into its code`);
    }
    evidence.boot = true;
    return this.#target.kallsyms(name);
  }

  /**
   * Counts one comparison with a type of the kernel.
   * @throws Unlinkable when a crafted object has needed too many
   */
  spend(): void {
    if (++this.#work > WORK_BUDGET) throw refuse(`matching its types takes more than ${WORK_BUDGET} comparisons`);
  }

  isBefore(major: number, minor: number): boolean {
    return isBefore(this.#target.release, major, minor);
  }

  /** Loaders of before ENUM64 cannot read a BTF that has one. */
  hasEnum64(evidence: Evidence): boolean {
    const btf = this.btf(evidence);
    const known = WITH_ENUM64.get(btf);
    if (known !== undefined) return known;
    let id = btf.firstId;
    while (id <= btf.count && btf.kindNumber(id) !== BTF_KIND.ENUM64) id++;
    WITH_ENUM64.set(btf, id <= btf.count);
    return id <= btf.count;
  }
}

/** Comparisons for one object, over all loaders that count here. */
const WORK_BUDGET = 8_000_000;
const WITH_ENUM64 = new WeakMap<Btf, boolean>();
