// The releases of libbpf between which the code that it hands to the kernel changed.
import { type CoreRules, libbpfRules } from '../btf/core-rules.ts';

type Release = readonly [major: number, minor: number];

export interface LibbpfRelease {
  readonly since: string;
  readonly until?: string;
  readonly core: CoreRules;
  /** `ld_imm64` of a subprogram, and calls of kernel functions; static programs are refused. */
  readonly functionAddresses: boolean;
  /** `autocreate` (bpf_map__set_autocreate). */
  readonly poisonsMaps: boolean;
  readonly legacyMaps: boolean;
  readonly poisonsKfuncs: boolean;
  readonly exceptionCallbacks: boolean;
  readonly kfuncFlavors: boolean;
  readonly arena: boolean;
  /** Light skeletons can take the address of a kernel function. */
  readonly lightKfuncAddresses: boolean;
  /** The only function of an object is a program although it lies in `.text`. */
  readonly loneTextProgram: boolean;
}

const KNOWN_RULES = new Map<string, CoreRules>();

/** Newest first. Before 0.2 code was put together in another way: `libbpf-legacy.ts`. */
export const LIBBPF_RELEASES: readonly LibbpfRelease[] = (
  [
    [[1, 6]],
    [[1, 5], '1.5'],
    [[1, 4], '1.4'],
    [[1, 3], '1.3'],
    [[1, 2], '1.2'],
    [[1, 0], '1.1'],
    [[0, 8], '0.8'],
    [[0, 4], '0.7'],
    [[0, 2], '0.3'],
  ] as const satisfies readonly (readonly [Release, string?])[]
).map(([since, until]) => describeRelease(since, until));

function describeRelease(release: Release, until: string | undefined): LibbpfRelease {
  const [major, minor] = release;
  const since = (wantMajor: number, wantMinor: number) =>
    major !== wantMajor ? major > wantMajor : minor >= wantMinor;
  return {
    since: `${major}.${minor}`,
    ...(until !== undefined && { until }),
    core: sharedRules(release),
    functionAddresses: since(0, 4),
    poisonsMaps: since(0, 8),
    legacyMaps: !since(1, 0),
    poisonsKfuncs: since(1, 2),
    exceptionCallbacks: since(1, 3),
    kfuncFlavors: since(1, 3),
    arena: since(1, 4),
    lightKfuncAddresses: since(1, 2),
    loneTextProgram: !since(1, 5),
  };
}

/** One value for all releases with the same rules. */
function sharedRules(release: Release): CoreRules {
  const rules = libbpfRules(release);
  const key = JSON.stringify(rules);
  const known = KNOWN_RULES.get(key) ?? rules;
  KNOWN_RULES.set(key, known);
  return known;
}
