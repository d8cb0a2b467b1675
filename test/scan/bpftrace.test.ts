// What bpftrace compiles comes from its memory.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { live } from '../../src/index.ts';
import { type Bpftrace, PROGRAMS, startBpftrace, UNABLE } from './bpftrace.ts';
import { heldPrograms } from './programs.ts';

describe.skipIf(UNABLE !== undefined)(`the programs of bpftrace${UNABLE ? ` (skipped: ${UNABLE})` : ''}`, () => {
  let bpftrace: Bpftrace;
  beforeAll(async () => {
    bpftrace = await startBpftrace();
  });
  afterAll(() => bpftrace?.stop());

  test('come from its memory', async () => {
    const { programs, summary } = await live({ jobs: 1 });
    const ours = programs.filter(({ holders }) => holders.some(({ pid }) => pid === bpftrace.pid));
    console.log(`${ours.length} programs of bpftrace, ${summary.programs} in all: ${summary.elapsedMs} ms`);
    expect(ours).toHaveLength(PROGRAMS);
    expect(ours.map(({ id }) => id).sort()).toEqual(heldPrograms(bpftrace.pid).sort());
    for (const { name, origin } of ours) {
      expect(origin, name).toMatchObject({
        evidence: 'tag',
        relation: 'origin',
        // LLVM puts objects together, of which bpftrace takes the instructions: both may still be there.
        object: {
          kind: expect.stringMatching(/^(object|instructions)$/),
          source: { kind: 'process', pid: bpftrace.pid, comm: 'bpftrace' },
        },
      });
    }
  });
});
