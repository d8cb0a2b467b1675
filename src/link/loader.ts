// One shape for every loader: from an object to a linker, from a program to the instructions that the kernel would be given.
// Says nothing of tags.
import { FormatError } from '../diagnostics.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import type { Kernel } from './kernel.ts';

export type LoaderName = 'libbpf' | 'libbpf-light' | 'cilium' | 'aya';

/** One stretch of a loader's history in which it makes the same of the same object. */
export interface Loader {
  readonly name: LoaderName;
  /** First release of the stretch, `1.6`; `0` for the first ever. */
  readonly since: string;
  /** Last one, `1.5`; absent when the stretch goes on. */
  readonly until?: string;
  /** `autocreate` can switch off single maps: see `variants.ts`. */
  readonly poisonsMaps: boolean;
  /** What of it matters to this object: loaders of one name that answer alike make the same of every program. */
  readonly distinction: (object: BpfObject, kernel: Kernel) => string;
  readonly open: (object: BpfObject, kernel: Kernel) => Link;
}

/** Throws `Unlinkable`, or FormatError where a parser refuses; `link` catches both. */
export type Link = (program: BpfFunction) => LinkedCode;

export interface LinkedCode {
  /** The whole stream: the program, then its subprograms. */
  readonly code: Uint8Array;
  readonly little: boolean;
  /** What went into it besides the object. */
  readonly evidence: Evidence;
  /** Where it refers to maps, by slot. */
  readonly maps: readonly MapReference[];
}

export interface MapReference {
  /** First slot of the ld_imm64 in the stream. */
  readonly slot: number;
  /** Place in `BpfObject.maps`. */
  readonly map: number;
}

/** What a prediction rests on; grows while a program is linked. */
export class Evidence {
  /** The kernel's types. */
  btf = false;
  /** Addresses of one boot. */
  boot = false;
  readonly assumptions = new Set<string>();
}

/** Why there is no code to hash. */
export type Obstacle = 'needs-btf' | 'needs-address' | 'module-dependent' | 'runtime-edited' | 'refused';

export interface NotLinked {
  readonly obstacle: Obstacle;
  readonly reason: string;
}

export class Unlinkable extends Error {
  override readonly name = 'Unlinkable';
  readonly obstacle: Obstacle;

  constructor(obstacle: Obstacle, reason: string) {
    super(reason);
    this.obstacle = obstacle;
  }
}

export function refuse(reason: string): Unlinkable {
  return new Unlinkable('refused', reason);
}

/** What `check` refuses, for checks that hold for a whole object. */
export function problemOf(check: () => void): Unlinkable | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof Unlinkable) return error;
    throw error;
  }
}

/** The program as this loader hands it over, or why it does not. */
export function link(run: Link, program: BpfFunction): LinkedCode | NotLinked {
  try {
    return run(program);
  } catch (error) {
    if (error instanceof Unlinkable) return { obstacle: error.obstacle, reason: error.message };
    if (error instanceof FormatError) return { obstacle: 'refused', reason: error.message };
    throw error;
  }
}
