// The objects that are loaded and compared: those of installed packages, and our own samples.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FoundObject, objectsIn, packageObjects } from '../support/objects.ts';
import { compileRules } from './compile.ts';

export interface Group {
  readonly group: string;
  readonly objects: readonly Pick<FoundObject, 'name' | 'bytes' | 'path'>[];
}

const SAMPLES = new URL('../../samples/built/bpfel/', import.meta.url).pathname;
const PACKAGES = [
  'libbpf-tools',
  'xdp-tools',
  'libxdp1',
  'ir-keytable',
  'golang-github-cilium-ebpf-dev',
  'qemu-system-x86',
];

const SAMPLE_OBJECTS: readonly FoundObject[] = readdirSync(SAMPLES)
  .sort()
  .flatMap((name) => objectsIn(join(SAMPLES, name)));

export const GROUPS: readonly Group[] = [
  ...PACKAGES.map((name) => ({ group: name, objects: packageObjects(name).filter(({ little }) => little) })),
  { group: 'our samples', objects: SAMPLE_OBJECTS },
  { group: 'our rules', objects: compileRules() },
];
