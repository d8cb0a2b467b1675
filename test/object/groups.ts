// The objects that the tests of this room read: those of installed packages, and our own samples.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FoundObject, OBJECT_PACKAGES, objectsIn, packageObjects } from '../support/objects.ts';

export interface Group {
  readonly group: string;
  readonly objects: readonly FoundObject[];
}

const SAMPLES = new URL('../../samples/built/', import.meta.url).pathname;

export const GROUPS: readonly Group[] = [
  ...OBJECT_PACKAGES.map((name) => ({ group: name, objects: packageObjects(name) })),
  { group: 'samples', objects: ['bpfel', 'bpfeb'].flatMap((order) => objectsBelow(join(SAMPLES, order))) },
];

export const LITTLE_GROUPS: readonly Group[] = GROUPS.map(({ group, objects }) => ({
  group,
  objects: objects.filter(({ little }) => little),
}));

/** An object of our samples, in either byte order, in memory of its own. */
export function sample(name: string, order: 'bpfel' | 'bpfeb' = 'bpfel'): Uint8Array {
  const [found] = objectsIn(join(SAMPLES, order, `${name}.bpf.o`));
  if (found === undefined) throw new Error(`no sample ${name}`);
  return new Uint8Array(found.bytes);
}

function objectsBelow(directory: string): FoundObject[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => objectsIn(join(directory, name)));
}
