import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DescribeOptions } from '../../src/object/describe.ts';
import { describeCode } from '../../src/object/describe-code.ts';
import { openObject } from '../../src/object/open.ts';
import type { MapSummary } from '../../src/object/summarize.ts';
import { wrapCode } from '../../src/object/wrap.ts';

interface Program {
  readonly name?: string;
  readonly code: Uint8Array;
}

const MAPS: readonly MapSummary[] = [
  { name: 'counters', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 },
  { name: 'jumps', type: 'prog_array', keySize: 4, valueSize: 4, maxEntries: 8, flags: 0 },
];

const EXIT = '9500000000000000';
/** `r1 = map 0 of the list`, `r2 = data of map 1, +16`, `call tail_call`. */
const USES_MAPS = ['1851000000000000', '0000000000000000', '1862000001000000', '0000000010000000', '850000000c000000'];
/** A call of what follows the program's end, as loaders append subprograms. */
const CALLS = ['8510000001000000', EXIT, 'b700000007000000', EXIT];

function details(programs: readonly Program[], options: DescribeOptions = {}, littleEndian = true) {
  const wrapped = openObject(wrapCode({ littleEndian, license: 'GPL', programs }));
  const known = {
    license: 'GPL',
    programs: programs.map(({ name, code }) => {
      const numbers = { instructions: code.length / 8, subprograms: [], helpers: [] };
      return { ...numbers, ...(name !== undefined && { name }), tags: ['kept'] };
    }),
    maps: MAPS,
  };
  return describeCode(wrapped, known, options);
}

function slots(...words: readonly string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(words.join(''), 'hex'));
}

describe('programs outside any object', () => {
  test('without a name stay so, and have no place in a section', () => {
    const [program] = details([{ code: slots(EXIT) }]).programs;
    expect(program).toEqual({
      instructions: 1,
      subprograms: [],
      helpers: [],
      tags: ['kept'],
      maps: [],
      externs: [],
      tailCallMaps: [],
    });
  });

  test('leave the tables of an ELF that never was empty', () => {
    const { sections, symbols, relocations, callGraph, subprograms } = details([{ code: slots(...CALLS) }]);
    expect([sections, symbols, relocations, callGraph, subprograms]).toEqual([[], [], [], [], []]);
  });

  test('refer to maps by their place in the list', () => {
    const { programs, maps } = details([{ name: 'f', code: slots(...USES_MAPS, EXIT) }], { disassemble: true });
    expect(programs[0]).toMatchObject({ maps: ['counters', 'jumps'], tailCallMaps: ['jumps'] });
    expect(programs[0]?.code?.map(({ annotations }) => annotations)).toEqual([
      ['map counters'],
      ['data jumps+0x10'],
      ['helper tail_call'],
      [],
    ]);
    expect(maps).toEqual(MAPS);
  });

  test('refer to a map that is not in the list by number alone', () => {
    const [program] = details([{ code: slots('1851000009000000', '0000000000000000', EXIT) }], {
      disassemble: true,
    }).programs;
    expect(program?.code?.[0]?.annotations).toEqual(["map 9 of the loader's list"]);
  });

  test('call the subprograms behind them by instruction', () => {
    const [program] = details([{ name: 'f', code: slots(...CALLS) }], { disassemble: true }).programs;
    expect(program?.code?.[0]?.annotations).toEqual(['calls instruction 2']);
  });

  test('narrow to one by the name it was found with, and to its maps', () => {
    const programs = [
      { name: 'a b', code: slots(...USES_MAPS, EXIT) },
      { name: 'a_b', code: slots(EXIT) },
    ];
    const wanted = details(programs, { program: 'a b' });
    expect(wanted.programs.map(({ name, instructions }) => [name, instructions])).toEqual([['a b', 6]]);
    expect(wanted.maps.map(({ name }) => name)).toEqual(['counters', 'jumps']);
    expect(details(programs, { program: 'a_b' }).maps).toEqual([]);
    expect(details(programs, { program: 'code' }).programs).toEqual([]);
  });

  test('of any bytes are described, each with its own code', () => {
    const program = fc.record(
      {
        name: fc.string(),
        code: fc.uint8Array({ maxLength: 96 }).map((bytes) => bytes.slice(0, bytes.length & ~7)),
      },
      { requiredKeys: ['code'] },
    );
    fc.assert(
      fc.property(fc.array(program, { maxLength: 6 }), fc.boolean(), (programs, little) => {
        const found = details(programs, { disassemble: true }, little).programs;
        expect(found.map(({ name }) => name)).toEqual(programs.map(({ name }) => name));
        const bytes = found.map(({ code = [] }) => code.map((line) => line.bytes).join(''));
        expect(bytes).toEqual(programs.map(({ code }) => Buffer.from(code).toString('hex')));
      }),
    );
  });
});
