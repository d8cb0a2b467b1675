// Light skeletons (`bpftool gen skeleton -L`, since 0.5): libbpf puts the code together, a small loader program inside the kernel
// fills in what only the kernel knows. Maps stay numbers of the object, and these are hashed; CO-RE is done by the kernel.
import { type CoreRules, LIBBPF_RULES } from '../btf/core-rules.ts';
import { distinguish, LibbpfObject } from './libbpf.ts';
import { LIBBPF_RELEASES, type LibbpfRelease } from './libbpf-releases.ts';
import type { Loader } from './loader.ts';

type Stretch = Pick<Loader, 'since' | 'until'> & Pick<LibbpfRelease, 'exceptionCallbacks' | 'lightKfuncAddresses'>;

/** Only what is done before the kernel is asked depends on the release. */
const STRETCHES: readonly Stretch[] = [
  { since: '1.3', exceptionCallbacks: true, lightKfuncAddresses: true },
  { since: '1.2', until: '1.2', exceptionCallbacks: false, lightKfuncAddresses: true },
  { since: '0.5', until: '1.1', exceptionCallbacks: false, lightKfuncAddresses: false },
];

/** The kernel forgets between two records which candidates fitted the first (bpf_core_apply). */
const core: CoreRules = { ...LIBBPF_RULES, prune: false };

export const LIBBPF_LIGHT: readonly Loader[] = LIBBPF_RELEASES.slice(0, 1).flatMap((newest) =>
  STRETCHES.map(({ since, until, ...rules }) => {
    const release = { ...newest, ...rules, core, loneTextProgram: false };
    return {
      name: 'libbpf-light',
      since,
      ...(until !== undefined && { until }),
      poisonsMaps: false,
      distinction: (object, kernel) => distinguish(release, object, kernel),
      open: (object, kernel) => {
        const opened = new LibbpfObject(object, kernel, release, 'light');
        return (program) => opened.link(program);
      },
    };
  }),
);
