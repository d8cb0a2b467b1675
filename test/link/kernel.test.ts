// Every program of every object, predicted and then loaded: the tag that the kernel gives it is the judge. What the kernel
// rejects has no tag; there the code that libbpf asked it with is compared.
import { afterAll, describe, expect, test } from 'vitest';
import type { Target } from '../../src/link/kernel.ts';
import { predictTags } from '../../src/link/predict.ts';
import { normaliseCode } from '../../src/link/tag.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine } from './host.ts';
import { type Loading, loadEach, UNABLE } from './load.ts';
import { GROUPS } from './objects.ts';
import { linkWith, loaderOf } from './one.ts';

interface Tally {
  loaded: number;
  right: number;
  'rejected by the kernel': number;
  'same code': number;
  'refused by libbpf': number;
}

/** The release that Debian 12 has, 1.1. */
const INSTALLED = loaderOf('libbpf', '1.0');

const table: Record<string, Tally> = {};
afterAll(() => console.table(table));

describe.each(GROUPS)('programs of $group', ({ group, objects }) => {
  const reason = UNABLE ?? NO_BTF ?? (objects.length === 0 ? `${group} is not installed` : undefined);

  test.skipIf(reason !== undefined)(
    `get the tags that were predicted${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const target = thisMachine();
      const tally: Tally = {
        loaded: 0,
        right: 0,
        'rejected by the kernel': 0,
        'same code': 0,
        'refused by libbpf': 0,
      };
      table[group] = tally;
      const misses: string[] = [];
      for (const [index, loadings] of loadEach(objects.map(({ bytes }) => bytes)).entries()) {
        const found = objects[index];
        if (found) misses.push(...compare(found.bytes, loadings, target, tally).map((miss) => `${found.name} ${miss}`));
      }
      expect(misses).toEqual([]);
    },
    600_000,
  );
});

function compare(bytes: Uint8Array, loadings: readonly Loading[], target: Target, tally: Tally): string[] {
  const object = openObject(bytes);
  const predicted = predictTags(object, target);
  const misses: string[] = [];
  for (const { name = '', phase, error, tag, code } of loadings) {
    const linked = linkWith(INSTALLED, object, target, name);
    const mine = 'code' in linked ? Buffer.from(normaliseCode(linked.code, true)).toString('hex') : linked.reason;
    if (phase !== 'load') {
      tally['refused by libbpf']++;
      if ('code' in linked) misses.push(`${name}: predicted, but libbpf gives up (${phase}, error ${error})`);
    } else if (tag !== undefined) {
      tally.loaded++;
      const tags = predicted.find((each) => each.name === name)?.tags.map((each) => each.tag) ?? [];
      if ('code' in linked && tags.includes(tag)) tally.right++;
      else misses.push(`${name}: loaded as ${tag}, predicted ${tags.join(' ')} ${'code' in linked ? '' : mine}`);
    } else if (code !== undefined) {
      tally['rejected by the kernel']++;
      const theirs = Buffer.from(normaliseCode(Buffer.from(code, 'hex'), true)).toString('hex');
      if (mine === theirs) tally['same code']++;
      else
        misses.push(`${name}: rejected by the kernel (error ${error}), and libbpf's code is not ${mine.slice(0, 200)}`);
    }
  }
  return misses;
}
