// The releases of cilium/ebpf between which the code that it hands to the kernel changed.

export interface CiliumRelease {
  readonly since: string;
  readonly until?: string;
  /** Can read a kernel's BTF that has 64-bit enums. */
  readonly enum64: boolean;
  /** Configuration and functions of the kernel; weak subprograms. */
  readonly kconfig: boolean;
  readonly localIdsKept: boolean;
  /** A ld_imm64 that cannot be relocated keeps its two slots (0.13.1); before, the stream got shorter. */
  readonly poisonsWide: boolean;
  readonly weakKfuncs: boolean;
  readonly typeMatches: boolean;
  readonly ksyms: boolean;
  /** Types of modules are candidates beside those of the kernel. */
  readonly modules: boolean;
}

const OLDEST: CiliumRelease = {
  since: '0',
  until: '0.9',
  enum64: false,
  kconfig: false,
  localIdsKept: true,
  poisonsWide: false,
  weakKfuncs: false,
  typeMatches: false,
  ksyms: false,
  modules: false,
};

/** What each stretch added, oldest first. */
const ADDED: readonly (Partial<Omit<CiliumRelease, 'until'>> & {
  readonly since: string;
  readonly until: string | undefined;
})[] = [
  { since: '0.10', until: '0.10', enum64: true },
  { since: '0.11', until: '0.12', kconfig: true },
  { since: '0.13', until: '0.13', localIdsKept: false, poisonsWide: true },
  { since: '0.14', until: '0.14', weakKfuncs: true },
  { since: '0.15', until: '0.16', typeMatches: true },
  { since: '0.17', until: '0.18', ksyms: true },
  { since: '0.19', until: undefined, modules: true },
];

/** Newest first. */
export const CILIUM_RELEASES: readonly CiliumRelease[] = describeReleases();

function describeReleases(): CiliumRelease[] {
  const releases = [OLDEST];
  for (const { until, ...added } of ADDED) {
    const { until: _, ...previous } = releases[0] ?? OLDEST;
    releases.unshift({ ...previous, ...added, ...(until !== undefined && { until }) });
  }
  return releases;
}
