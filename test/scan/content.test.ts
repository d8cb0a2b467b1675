// The bytes of objects wait for whoever takes them, so that memory stays bounded.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newExecutor } from '../../src/scan/pool.ts';
import type { Finding } from '../../src/scan/tasks.ts';
import { newTree, type Tree } from '../source/tree.ts';
import { ElfBuilder } from '../support/elf-builder.ts';

const MIB = 2 ** 20;
const FILES = 4;

let tree: Tree;
beforeEach(() => {
  tree = newTree();
  for (let index = 0; index < FILES; index++) tree.file(`f${index}`, largeObject(index));
});
afterEach(() => tree.remove());

function largeObject(seed: number): Uint8Array {
  return new ElfBuilder()
    .section('.rodata', { content: new Uint8Array(40 * MIB).fill(seed + 1) })
    .license()
    .build();
}

describe.each([1, 2])('with %d jobs', (jobs) => {
  test('not much more than 64 MiB wait at a time, and all come in the end', async () => {
    const sizes: number[] = [];
    const executor = newExecutor(
      jobs,
      { follow: false, content: true, raw: { files: false, processes: true }, kernel: { btf: 'none' } },
      (finding: Finding) => {
        if ('object' in finding && finding.content) sizes.push(finding.content.length);
      },
    );
    const paths = Array.from({ length: FILES }, (_, index) => tree.at(`f${index}`));
    const work = executor.run({ kind: 'files', batch: { paths, named: false, shortReads: false } }, false);
    let isDone = false;
    const ended = work.then(() => {
      isDone = true;
    });
    for (let taken = 0; taken < FILES; taken++) {
      while (sizes.length <= taken) await sleep(5);
      // Time for more to come, if it could: two make 80 MiB, after which none may.
      await sleep(100);
      expect(sizes.length).toBeLessThanOrEqual(taken + 2);
      executor.taken(sizes[taken] ?? 0);
    }
    await ended;
    expect(isDone).toBe(true);
    expect(sizes).toHaveLength(FILES);
    await executor.close();
  });

  test('whoever waits is let go when the scan is ended', async () => {
    const executor = newExecutor(
      jobs,
      { follow: false, content: true, raw: { files: false, processes: true }, kernel: { btf: 'none' } },
      () => {},
    );
    const paths = Array.from({ length: FILES }, (_, index) => tree.at(`f${index}`));
    const work = executor.run({ kind: 'files', batch: { paths, named: false, shortReads: false } }, false);
    await sleep(200);
    executor.cancel();
    expect((await work).large).toEqual([]);
    await executor.close();
    expect(
      await executor.run({ kind: 'files', batch: { paths, named: false, shortReads: false } }, false),
    ).toMatchObject({
      tally: { sources: 0 },
    });
  });
});
