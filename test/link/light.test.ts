// Light skeletons hand other bytes to the kernel than libbpf does: numbers of maps stay in them and are hashed.
import { afterAll, describe, expect, test } from 'vitest';
import { predictTags } from '../../src/link/predict.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine } from './host.ts';
import { loadLight, NO_SKELETONS } from './light.ts';
import { GROUPS } from './objects.ts';

interface Tally {
  objects: number;
  'not loadable': number;
  'programs loaded': number;
  right: number;
}

const table: Record<string, Tally> = {};
afterAll(() => console.table(table));

describe.each(GROUPS)('light skeletons of $group', ({ group, objects }) => {
  const reason = NO_SKELETONS ?? NO_BTF ?? (objects.length === 0 ? `${group} is not installed` : undefined);

  test.skipIf(reason !== undefined)(
    `get the tags that were predicted${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const target = thisMachine();
      const tally: Tally = { objects: objects.length, 'not loadable': 0, 'programs loaded': 0, right: 0 };
      table[group] = tally;
      const misses: string[] = [];
      for (const { name: object, bytes } of objects) {
        const loaded = loadLight(bytes);
        if (loaded === undefined || loaded.size === 0) {
          tally['not loadable']++;
          continue;
        }
        const predicted = predictTags(openObject(bytes), target);
        for (const [name, tag] of loaded) {
          tally['programs loaded']++;
          const tags = predicted.find((each) => each.name === name)?.tags ?? [];
          const light = tags.filter(({ loaders }) => loaders.some((words) => words.includes('light skeleton')));
          if (light.some((each) => each.tag === tag)) tally.right++;
          else misses.push(`${object} ${name}: loaded as ${tag}, predicted ${light.map((each) => each.tag)}`);
        }
      }
      expect(misses).toEqual([]);
    },
    600_000,
  );
});
