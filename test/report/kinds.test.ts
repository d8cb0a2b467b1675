import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderJson } from '../../src/report/json.ts';
import { renderNdjson } from '../../src/report/ndjson.ts';
import type { Style } from '../../src/report/style.ts';
import { renderText } from '../../src/report/text.ts';
import { displayWidth } from '../../src/report/width.ts';
import type { CarvedObject, CarvedTag } from '../../src/scan/events.ts';
import { render } from './render.ts';
import { btf, carved, FILTER, filter, instructions, program, scanOf, skeleton } from './sample.ts';

const rawTag = (tag: string, algorithm: CarvedTag['algorithm']): CarvedTag => ({
  tag,
  algorithm,
  exact: true,
  assumptions: [],
});

/** One of each kind, in one host. */
const HOST: readonly CarvedObject[] = [
  carved('/srv/agent', 0x1000, { rebuilt: true, license: 'GPL' }),
  skeleton('/srv/agent', 0x2000, { signed: true }),
  instructions(
    '/srv/agent',
    0x3000,
    29,
    { within: { section: '.rodata' } },
    {
      helpers: ['map_lookup_elem', 'skb_load_bytes'],
      live: [5, 6],
      tags: [rawTag('6144bc3db46d80b4', 'sha256'), rawTag('7dc8126e8768ea37', 'sha1')],
    },
  ),
  filter('/srv/agent', 0x4000, FILTER, { endianness: 'big' }),
  btf('/srv/agent', 0x5000),
];

const GOLDEN_80 = `\
/srv/agent  238.5 KiB
  #1  0x1000  3.2 KiB  a1a1a1a1a1a1  header rebuilt  GPL
      1 kprobe  handler
  #2  0x2000  3.2 KiB  d5d5d5d5d5d5  light skeleton, signed  GPL
      1 xdp  count
      1 map  packets
  #3  0x3000    232 B  e6e6e6e6e6e6  29 instructions, almost certain  in .rodata
      2 helpers     map_lookup_elem, skb_load_bytes
      2 loaded now  id 5, id 6
  #4  0x4000     64 B  f7f7f7f7f7f7  classic filter, 8 instructions  big-endian
      0  ldh [12]
      1  jeq #0x800 jt 2 jf 7
      2  ldb [23]
      3  jeq #0x1 jt 6 jf 4
         and 4 more; -v shows them
  #5  0x5000  3.2 KiB  787878787878  BTF without its object
      2 functions   enter, leave
      2 maps        start, events
      1 in .rodata  targ_pid

1 object, 1 light skeleton, 1 instruction array, 1 classic filter, 1 BTF blob
  (5 distinct) in 1 of 1 source, 1.0 KiB searched in 10 ms (100.0 KiB/s)
`;

const GOLDEN_40 = `\
/srv/agent  238.5 KiB
  #1  0x1000  3.2 KiB  a1a1a1a1a1a1
      header rebuilt  GPL
      1 kprobe  handler
  #2  0x2000  3.2 KiB  d5d5d5d5d5d5
      light skeleton, signed  GPL
      1 xdp  count
      1 map  packets
  #3  0x3000    232 B  e6e6e6e6e6e6
      29 instructions, almost certain
      in .rodata
      2 helpers     map_lookup_elem,
                    skb_load_bytes
      2 loaded now  id 5, id 6
  #4  0x4000     64 B  f7f7f7f7f7f7
      classic filter, 8 instructions
      big-endian
      0  ldh [12]
      1  jeq #0x800 jt 2 jf 7
      2  ldb [23]
      3  jeq #0x1 jt 6 jf 4
         and 4 more; -v shows them
  #5  0x5000  3.2 KiB  787878787878
      BTF without its object
      2 functions   enter, leave
      2 maps        start, events
      1 in .rodata  targ_pid

1 object, 1 light skeleton,
  1 instruction array, 1 classic filter,
  1 BTF blob (5 distinct)
  in 1 of 1 source, 1.0 KiB searched
  in 10 ms (100.0 KiB/s)
`;

const SMALL = { sources: 1, bytes: 1024, elapsedMs: 10, rejected: {}, unreadable: 0 };
const textOf = (objects: readonly CarvedObject[], style: Partial<Style> = {}) =>
  render(renderText, scanOf(objects, [], SMALL), style);

describe('code without an ELF in the report', () => {
  test('on 80 columns', async () => {
    expect(await textOf(HOST, { width: 80 })).toBe(GOLDEN_80);
  });

  test('on 40 columns', async () => {
    expect(await textOf(HOST, { width: 40 })).toBe(GOLDEN_40);
  });

  test('is the same in whatever order it was found', async () => {
    expect(await textOf(HOST.toReversed(), { width: 80 })).toBe(GOLDEN_80);
  });

  test('piped: a filter is whole', async () => {
    const text = await textOf([filter('/srv/agent', 0, FILTER)]);
    expect(text).toContain('      7  ret #0\n');
    expect(text).not.toContain('-v');
  });

  test.each([40, 80, 120])('stays within %i columns', async (width) => {
    for (const verbose of [0, 1]) {
      const lines = (await textOf(HOST, { width, verbose })).split('\n');
      for (const line of lines) if (!line.includes('sha256')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    }
  });
});

/** What stands below the row of the only record. */
const below = async (object: CarvedObject, style: Partial<Style> = {}) =>
  (await textOf([object], { quiet: true, ...style })).split('\n').slice(2, -2);
const rowOf = async (object: CarvedObject) => (await textOf([object], { quiet: true })).split('\n')[1];

describe('instructions', () => {
  test('of which little is known take one line', async () => {
    expect(await below(instructions('/x', 0, 5))).toEqual([]);
  });

  test.each([
    ['possible', '5 instructions, possible'],
    ['probable', '5 instructions, probable'],
    ['almost-certain', '5 instructions, almost certain'],
    ['proved', '5 instructions, proved'],
  ] as const)('that are %s say so', async (trust, words) => {
    expect(await rowOf(instructions('/x', 0x40, 5, { trust }))).toBe(`  #1  0x40  40 B  e6e6e6e6e6e6  ${words}`);
  });

  test('with -v have tags, ids and helpers, and no name', async () => {
    const [, , array] = HOST;
    expect(await below(array as CarvedObject, { verbose: 1 })).toEqual([
      `      sha256  ${'e6'.repeat(32)}`,
      '      program  29 instructions  tag 6144bc3db46d80b4  loaded now: ids 5, 6',
      '      2 helpers  map_lookup_elem, skb_load_bytes',
    ]);
  });

  test('in memory say where, and which file has the same', async () => {
    const region = { start: '0x55d000', end: '0x55e000', permissions: 'rw-p', offset: 0, path: '[heap]', inode: 0 };
    const source = { kind: 'process', pid: 1, startTime: '2026-01-02T03:04:05.670Z', comm: 'systemd' } as const;
    const { offset: _, ...array } = instructions('', 0, 29, { source, region, address: '0x55d0c8' });
    const text = await textOf([array, instructions('/srv/agent', 0x3000, 29)]);
    expect(text).toContain(
      '  #1    0x3000  232 B  e6e6e6e6e6e6  29 instructions, almost certain\n      in 1 process  systemd (1)\n',
    );
    expect(text).toContain(
      '  0x55d0c8  232 B  e6e6e6e6e6e6  29 instructions, almost certain  in [heap] rw-p  same as #1  on disk as /srv/agent 0x3000\n',
    );
  });
});

describe('a light skeleton', () => {
  test('of which only the loader is there says that', async () => {
    const { data: _, ...loader } = skeleton('/x', 0x40, { completeness: 'truncated', programs: [], maps: [] });
    expect(await rowOf(loader)).toContain('truncated  light skeleton  GPL');
    expect(await below(loader)).toEqual(['      only the loader: its programs and maps lie elsewhere']);
  });

  test('with -v lists its loader among its programs', async () => {
    const loader = { offset: 0, instructions: 377, tags: [rawTag('2a8c45c2f0e905b1', 'sha256')] };
    expect((await below(skeleton('/x', 0, { loader }), { verbose: 1 })).slice(1)).toEqual([
      '      loader  377 instructions  tag 2a8c45c2f0e905b1',
      '      xdp     count             12 instructions',
      '      map     packets           array  key 4 B  value 8 B  max 1',
    ]);
  });

  test('of programs without names tells them by their length', async () => {
    const programs = [{ type: 'xdp', instructions: 12, subprograms: [], helpers: [], live: [7] }];
    expect(await below(skeleton('/x', 0, { programs, maps: [] }))).toEqual([
      '      1 xdp         12 instructions',
      '      1 loaded now  12 instructions (id 7)',
    ]);
  });
});

describe('BTF without its object', () => {
  test('folds its functions on a terminal, and not with -v', async () => {
    const functions = Array.from({ length: 200 }, (_, at) => `function_${at}`);
    const found = btf('/x', 0, { functions, variables: {} });
    expect((await below(found, { width: 60 })).at(-1)).toMatch(/ and \d+ more$/);
    expect((await below(found, { width: 60, verbose: 1 })).at(-1)).toMatch(/ function_199$/);
  });

  test('names its maps before its other variables', async () => {
    const variables = { '.bss': ['dropped'], '.maps': ['calls'] };
    expect(await below(btf('/x', 0, { functions: [], variables }))).toEqual([
      '      1 map      calls',
      '      1 in .bss  dropped',
    ]);
  });

  test('may name nothing', async () => {
    expect(await below(btf('/x', 0, { functions: [], variables: {} }))).toEqual(['      no functions or variables']);
  });
});

test.each([
  [[instructions('/x', 0, 5)], '1 instruction array in 1 of 1 source,'],
  [
    [instructions('/x', 0, 5), instructions('/x', 64, 5), carved('/x', 128)],
    '1 object, 2 instruction arrays (2 distinct) in 1 of 1 source,',
  ],
  [[btf('/x', 0), btf('/x', 9)], '2 BTF blobs (1 distinct) in 1 of 1 source,'],
])('the summary counts each kind by its name', async (objects, words) => {
  expect((await textOf(objects)).split('\n').at(-2)).toMatch(new RegExp(`^${words.replace(/[()]/g, '\\$&')}`));
});

test('the formats for programs carry the records as they are', async () => {
  const events = () => scanOf(HOST, [], SMALL);
  expect(JSON.parse(await render(renderJson, events())).objects).toEqual(HOST);
  const lines = (await render(renderNdjson, events())).trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'object');
  expect(records).toEqual(HOST.map((object) => ({ event: 'object', ...object })));
});

describe('whatever names an input has', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('\u001b[2J', 'a  b', '', '日本'.repeat(40), '29 instructions', '__proto__'),
  );
  const names = fc.array(name, { maxLength: 8 });
  const records = fc.record({ names, path: name, place: fc.nat() }).map(({ names: said, path, place }) => [
    skeleton(path, place, {
      license: said[0] ?? '',
      programs: said.map((each) => program(each, 'xdp', { section: each, attachTo: each, helpers: [each] })),
      maps: said.map((each) => ({ name: each })),
    }),
    instructions(path, place, 12, { within: { section: said[0] ?? '' } }, { helpers: said, attachTo: said[1] ?? '' }),
    filter(path, place, said.length > 0 ? said : ['ret #0']),
    btf(path, place, { functions: said, variables: Object.fromEntries(said.map((each) => [each, said])) }),
  ]);
  const style = fc.record({ width: fc.constantFrom(60, 80, 120), verbose: fc.nat({ max: 1 }) });

  test('nothing is printed but what shows, and no line is longer than the terminal', async () => {
    await fc.assert(
      fc.asyncProperty(records, style, async (objects, { width, verbose }) => {
        const text = await textOf(objects, { width, verbose });
        expect(text).toMatch(/^([ \n]|[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])*$/u);
        for (const line of text.split('\n')) {
          if (!line.includes('sha256')) expect(displayWidth(line)).toBeLessThanOrEqual(width);
        }
      }),
      { numRuns: 100 },
    );
  });
});
