import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/diagnostics.ts';
import { describeObject, type ObjectDetails } from '../../src/object/describe.ts';
import { openObject } from '../../src/object/open.ts';
import { summarize } from '../../src/object/summarize.ts';
import { wide } from '../../src/object/wide.ts';
import { ElfBuilder, words } from '../support/elf-builder.ts';
import { GROUPS, sample } from './groups.ts';

function details(bytes: Uint8Array, options: Parameters<typeof describeObject>[2] = {}): ObjectDetails {
  const object = openObject(bytes);
  return describeObject(object, summarize(object), options);
}

const WHOLE = { disassemble: true, types: 'records' } as const;

describe('the details of an object', () => {
  test('narrow to one program and what it reaches', () => {
    const { programs, subprograms, maps, callGraph } = details(sample('xdp'), { program: 'xdp_count' });
    expect(programs.map(({ name }) => name)).toEqual(['xdp_count']);
    expect(subprograms.map(({ name }) => name).sort()).toEqual(['bump', 'hash', 'is_ipv4', 'parse_ethernet']);
    expect(maps.map(({ name }) => name)).toEqual(['counters']);
    expect(callGraph.map(({ name }) => name)).toContain('xdp_count');
    expect(callGraph.map(({ name }) => name)).not.toContain('xdp_sum');
  });

  test('have no code and no types that nobody asked for', () => {
    const { programs, subprograms, btf } = details(sample('xdp'));
    expect([...programs, ...subprograms].filter((each) => 'code' in each)).toEqual([]);
    expect(btf?.types).toBe(58);
  });

  test('say of a poisoned CO-RE record that it is, and of the others what they become', () => {
    // On a kernel that has exactly the object's own types nothing moves.
    const { btf } = openObject(sample('exits'));
    const { coreRelocations } = details(sample('exits'), { ...(btf && { kernel: btf }) });
    expect(coreRelocations).toHaveLength(10);
    for (const { local, target } of coreRelocations) expect(target).toEqual(local);
    // A kernel that has none of them.
    const nothing = openObject(sample('uprobe'));
    const lost = details(sample('core'), { ...(nothing.btf && { kernel: nothing.btf }) }).coreRelocations;
    expect(new Set(lost.filter(({ kind }) => kind === 'byte_off').map(({ target }) => JSON.stringify(target)))).toEqual(
      new Set(['{"poison":true}']),
    );
    expect(lost.filter(({ kind }) => kind === 'type_exists').map(({ target }) => target)).toEqual(
      expect.arrayContaining([{ type: 0, value: 0 }]),
    );
  });

  test('keep what the summary knows beyond the bytes', () => {
    const object = openObject(sample('uprobe'));
    const summary = summarize(object);
    const tagged = {
      ...summary,
      programs: summary.programs.map((program) => ({ ...program, tags: ['2a8c45c2f0e905b1'] })),
    };
    expect(describeObject(object, tagged).programs[0]?.tags).toEqual(['2a8c45c2f0e905b1']);
  });

  test('are plain JSON for every object there is', () => {
    for (const { name, bytes } of GROUPS.flatMap(({ objects }) => objects)) {
      expect(() => JSON.stringify(details(bytes, WHOLE)), name).not.toThrow();
    }
  });
});

describe('damage costs only its part', () => {
  const intact = { little: sample('core', 'bpfel'), big: sample('core', 'bpfeb') };

  test.each(['little', 'big'] as const)('flipped bytes of a %s-endian object give details or FormatError', (order) => {
    const flips = fc.array(fc.record({ at: fc.nat(intact[order].length - 1), to: fc.nat(255) }), { maxLength: 8 });
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = new Uint8Array(intact[order]);
        for (const { at, to } of changes) bytes[at] = to;
        survives(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test('an object may end anywhere', () => {
    for (let size = 0; size < intact.little.length; size += 97) survives(intact.little.slice(0, size));
  });

  function survives(bytes: Uint8Array): void {
    try {
      JSON.stringify(details(bytes, { ...WHOLE, ...(intactKernel && { kernel: intactKernel }) }));
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
  const intactKernel = openObject(intact.little).btf;
});

test('many references to one long name do not make many copies of it', () => {
  const name = 'n'.repeat(4000);
  const builder = new ElfBuilder().section('data', { content: words('little', [0]) }).symbol(name, { section: 'data' });
  for (let at = 0; at < 20_000; at++) builder.relocation('data', at, name);
  const { relocations, diagnostics } = details(builder.build());
  expect(relocations).toHaveLength(20_000);
  expect(relocations.reduce((sum, { symbol }) => sum + symbol.length, 0)).toBeLessThan(20_000_000);
  expect(diagnostics.map(({ code }) => code)).toContain('text-allowance');
});

test('numbers stay numbers up to 2^53 and become text beyond', () => {
  expect([wide(2n ** 53n - 1n), wide(2n ** 53n), wide(-1n), wide(-(2n ** 63n))]).toEqual([
    9007199254740991,
    '0x20000000000000',
    -1,
    '-0x8000000000000000',
  ]);
});
