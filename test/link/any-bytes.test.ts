// Damage of every kind to objects of our own: an answer or a reason, never anything else.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../src/diagnostics.ts';
import { predictTags } from '../../src/link/predict.ts';
import { openObject } from '../../src/object/open.ts';
import { BtfBuilder } from '../btf/build.ts';
import { kernelWith } from './build.ts';

const SAMPLES = new URL('../../samples/built/', import.meta.url).pathname;
const kernel = new BtfBuilder();
const int = kernel.int('int', 4, 1);
kernel.struct('task_struct', 64, [
  { name: 'pid', type: int, at: 32 },
  { name: 'tgid', type: int, at: 64 },
]);

describe.each(['bpfel/core', 'bpfel/externs', 'bpfel/xdp', 'bpfel/globals', 'bpfeb/core', 'bpfeb/xdp'])(
  '%s',
  (name) => {
    const whole = new Uint8Array(readFileSync(`${SAMPLES}${name}.bpf.o`));
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });

    test('with some bytes changed gets an answer or a reason for each program', () => {
      fc.assert(
        fc.property(damage, fc.nat(whole.length), (changes, cut) => {
          const bytes = whole.slice(0, cut % 4 === 0 ? cut : whole.length);
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
          const object = attempt([], name, () => openObject(bytes));
          for (const { tags, reason } of object ? predictTags(object, kernelWith(kernel)) : []) {
            expect(tags.length > 0 || reason !== undefined).toBe(true);
            for (const { tag } of tags) expect(tag).toHaveLength(16);
          }
        }),
        { numRuns: 60 },
      );
    });
  },
);

test('records about types that libbpf cannot read are no reason for a tag', () => {
  const bytes = new Uint8Array(readFileSync(`${SAMPLES}bpfel/core.bpf.o`));
  // libbpf goes on without the types, and so without the records, when the first string is not empty.
  bytes[3216] = 192;
  expect(predictTags(openObject(bytes), kernelWith(kernel)).flatMap(({ tags }) => tags)).toEqual([]);
});

test('code for a big-endian machine has tags of its own', () => {
  const predict = (order: string) =>
    predictTags(openObject(new Uint8Array(readFileSync(`${SAMPLES}${order}/cgroup.bpf.o`))), { release: '6.1.0' });
  const [little, big] = [predict('bpfel'), predict('bpfeb')];
  expect(big.map(({ name, state }) => [name, state])).toEqual(little.map(({ name, state }) => [name, state]));
  expect(big[0]?.tags[0]?.tag).not.toBe(little[0]?.tags[0]?.tag);
});
