// One program through one loader, for tests that know which loader it was.
import { Kernel, type Target } from '../../src/link/kernel.ts';
import { type LinkedCode, type Loader, link, type NotLinked } from '../../src/link/loader.ts';
import { LOADERS } from '../../src/link/loaders.ts';
import type { BpfObject } from '../../src/object/open.ts';

export function loaderOf(name: Loader['name'], since: string): Loader {
  const found = LOADERS.find((each) => each.name === name && each.since === since);
  if (found === undefined) throw new Error(`no loader ${name} ${since}`);
  return found;
}

export function linkWith(loader: Loader, object: BpfObject, target: Target, program: string): LinkedCode | NotLinked {
  const found = object.functions.find(({ name }) => name === program);
  if (found === undefined) return { obstacle: 'refused', reason: `no program ${program}` };
  return link(loader.open(object, new Kernel(target, object.elf.littleEndian)), found);
}
