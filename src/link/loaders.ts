// Every loader that is known, the commonest first, and their names in words.
import { AYA } from './aya.ts';
import { CILIUM } from './cilium.ts';
import { LIBBPF } from './libbpf.ts';
import { LIBBPF_LEGACY } from './libbpf-legacy.ts';
import { LIBBPF_LIGHT } from './libbpf-light.ts';
import type { Loader, LoaderName } from './loader.ts';

export const LOADERS: readonly Loader[] = [...LIBBPF, LIBBPF_LEGACY, ...LIBBPF_LIGHT, ...CILIUM, ...AYA];

const WORDS: Readonly<Record<LoaderName, string>> = {
  libbpf: 'libbpf',
  'libbpf-light': 'libbpf light skeleton',
  cilium: 'cilium/ebpf',
  aya: 'aya',
};

/** `libbpf 1.2 and later`, `libbpf 0.8 to 1.1`, or `libbpf` for all of it: neighbouring stretches are told as one. */
export function describeLoaders(loaders: readonly Loader[]): string[] {
  return stretches(loaders).map(([newest, oldest]) => {
    const word = WORDS[newest.name];
    if (newest.until === undefined) return oldest.since === '0' ? word : `${word} ${oldest.since} and later`;
    if (oldest.since === '0') return `${word} up to ${newest.until}`;
    return oldest.since === newest.until ? `${word} ${newest.until}` : `${word} ${oldest.since} to ${newest.until}`;
  });
}

/** Runs of neighbours in `LOADERS`, each as its newest and its oldest. */
function stretches(loaders: readonly Loader[]): [newest: Loader, oldest: Loader][] {
  const runs: [Loader, Loader][] = [];
  let previous = Number.NaN;
  for (const loader of LOADERS.filter((each) => loaders.includes(each))) {
    const place = LOADERS.indexOf(loader);
    const run = runs.at(-1);
    if (run && place === previous + 1 && run[0].name === loader.name) run[1] = loader;
    else runs.push([loader, loader]);
    previous = place;
  }
  return runs;
}
