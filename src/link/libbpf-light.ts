// Light skeletons (`bpftool gen skeleton -L`, since 0.5): libbpf puts the code together, a small loader program inside the kernel
// fills in what only the kernel knows. Maps stay numbers of the object, and these are hashed; CO-RE is done by the kernel.
import { LibbpfObject } from './libbpf.ts';
import { LIBBPF_RELEASES, type LibbpfRelease } from './libbpf-releases.ts';
import type { Loader } from './loader.ts';

/** Only what is done before the loader program runs depends on the release. */
const STRETCHES = [
  { since: '1.3', exceptionCallbacks: true },
  { since: '0.5', until: '1.2', exceptionCallbacks: false },
] as const;

export const LIBBPF_LIGHT: readonly Loader[] = LIBBPF_RELEASES.slice(0, 1).flatMap((newest) =>
  STRETCHES.map(({ exceptionCallbacks, ...stretch }) => ({
    name: 'libbpf-light',
    ...stretch,
    poisonsMaps: false,
    open: (object, kernel) => {
      const opened = new LibbpfObject(object, kernel, lightRelease(newest, exceptionCallbacks), 'light');
      return (program) => opened.link(program);
    },
  })),
);

/** The kernel forgets between two records which candidates it found (bpf_core_apply). */
function lightRelease(newest: LibbpfRelease, exceptionCallbacks: boolean): LibbpfRelease {
  return { ...newest, core: { ...newest.core, prune: false }, exceptionCallbacks, loneTextProgram: false };
}
