import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type InspectViews, renderInspect } from '../../src/report/inspect.ts';
import type { Style } from '../../src/report/style.ts';
import { displayWidth } from '../../src/report/width.ts';
import type { CarvedObject } from '../../src/scan/events.ts';
import type { InspectedObject, InspectReport } from '../../src/scan/inspect.ts';
import { PIPED } from './render.ts';
import { btf, carved, FILTER, filter, instructions, SUMMARY, skeleton } from './sample.ts';

const NO_VIEWS: InspectViews = { sections: false, symbols: false, relocations: false, maps: false, core: false };

const TABLES = {
  subprograms: [],
  externs: [],
  callGraph: [],
  sections: [],
  symbols: [],
  relocations: [],
  coreRelocations: [],
} as const;
const FACTS = { offset: 0, binding: 'global', maps: [], externs: [], tailCallMaps: [] } as const;

/** The record of an inspection that found nothing else. */
function inspected(object: CarvedObject): InspectedObject {
  const { btf: _btf, ...record } = object;
  const programs = object.programs.map((program) => ({ ...program, ...FACTS }));
  const maps = object.maps.map((map) => ({ ...map, origin: 'defined' as const }));
  return { ...record, ...TABLES, programs, maps };
}

function show(objects: readonly InspectedObject[], style: Partial<Style> = {}): string {
  const report: InspectReport = {
    schemaVersion: 1,
    tool: { name: 'bpfcarve', version: '0.1.0' },
    command: 'inspect',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:04:05.778Z',
    host: { hostname: 'lab', kernelRelease: '6.18.44', arch: 'x64' },
    objects,
    diagnostics: [],
    summary: { ...SUMMARY, objects: objects.length },
  };
  return [...renderInspect(report, NO_VIEWS, { ...PIPED, ...style })].join('');
}

const TAGGED = { tag: '6144bc3db46d80b4', algorithm: 'sha256', exact: true, assumptions: [] } as const;
const ARRAY = instructions('/srv/agent', 0x3000, 29, {}, { helpers: ['map_lookup_elem'], tags: [TAGGED] });
const SIGNED = skeleton('/srv/agent', 0x2000, {
  signed: true,
  digest: 'ab'.repeat(32),
  loader: { offset: 0, instructions: 377, tags: [TAGGED] },
});

test('instructions: how far they are to be trusted, and why', () => {
  expect(show([inspected(ARRAY)])).toBe(`\
/srv/agent  238.5 KiB
  found     at 0x3000, 232 bytes, whole
  sha256    ${'e6'.repeat(32)}
  kind      instructions outside any object, little-endian
  trust     almost certain: eight or more that make sense as a program and call helpers or load maps
  helpers   map_lookup_elem

  1 program
    insns  tag
       29  6144bc3db46d80b4
`);
});

test('a light skeleton: its loader, its data and what signed it', () => {
  expect(show([inspected(SIGNED)])).toBe(`\
/srv/agent  238.5 KiB
  found     at 0x2000, 3,304 bytes (3.2 KiB), whole
  sha256    ${'d5'.repeat(32)}
  kind      light skeleton, signed, little-endian
  loader    377 instructions from byte 0x0, tag 6144bc3db46d80b4 (sha256)
  data      288 B from byte 0xbc8
  digest    ${'ab'.repeat(32)} of the data
  license   GPL
  helpers   map_lookup_elem

  1 program
    name   type  insns
    count  xdp      12

  1 map
    name     type   key  value  max
    packets  array    4      8    1
`);
});

test('a classic filter: its text', () => {
  expect(show([inspected(filter('/srv/agent', 0x4000, FILTER, { endianness: 'big' }))])).toBe(`\
/srv/agent  238.5 KiB
  found     at 0x4000, 64 bytes, whole
  sha256    ${'f7'.repeat(32)}
  kind      classic filter, 8 instructions, big-endian

  8 instructions
    0  ldh [12]
    1  jeq #0x800 jt 2 jf 7
    2  ldb [23]
    3  jeq #0x1 jt 6 jf 4
    4  jeq #0x11 jt 6 jf 5
    5  jeq #0x6 jt 6 jf 7
    6  ret #262144
    7  ret #0
`);
});

test('BTF without its object: the names that are left', () => {
  expect(show([inspected(btf('/srv/agent', 0x5000))])).toBe(`\
/srv/agent  238.5 KiB
  found     at 0x5000, 3,304 bytes (3.2 KiB), partial
  sha256    ${'78'.repeat(32)}
  kind      BTF without its object, little-endian

  2 functions
    name
    enter
    leave

  3 variables
    name      section
    start     .maps
    events    .maps
    targ_pid  .rodata
`);
});

test('an object whose header was rebuilt says which bytes are not as found', () => {
  expect(show([inspected(carved('/srv/agent', 0, { rebuilt: true }))])).toContain(
    '  header    rebuilt: these 64 bytes were overwritten, all others are as found\n',
  );
});

test('code without a name is headed by its length', () => {
  const code = [{ index: 0, bytes: 'bf16000000000000', text: 'r6 = r1', annotations: [] }];
  const [program] = inspected(ARRAY).programs;
  const text = show([{ ...inspected(ARRAY), programs: program ? [{ ...program, code }] : [] }]);
  expect(text).toBe(`\
/srv/agent  238.5 KiB
  found     at 0x3000, 232 B, sha256 e6e6e6e6e6e6, 29 instructions, almost certain

29 instructions
     0  r6 = r1
`);
});

test('-v: what a program without a name refers to', () => {
  expect(show([inspected(ARRAY)], { verbose: 1 })).toContain(`
    29 instructions
      tags      6144bc3db46d80b4 (sha256)
      helpers   map_lookup_elem
`);
});

test('a long filter is folded on a terminal, and whole with -v', () => {
  const long = inspected(filter('/srv/agent', 0, [...Array.from({ length: 39 }, () => 'ld [0]'), 'ret #0']));
  expect(show([long], { width: 80 })).toContain('and 17 more; -v shows them\n');
  expect(show([long], { width: 80, verbose: 1 })).toContain('    39  ret #0\n');
});

test('several are listed as a scan lists them', () => {
  const text = show([ARRAY, SIGNED].map(inspected));
  expect(text).toContain('  29 instructions, almost certain\n');
  expect(text).toContain('  light skeleton, signed  GPL\n');
});

test.each([40, 80, 120])('lines stay within %i columns, but for digests', (width) => {
  for (const object of [ARRAY, SIGNED, filter('/srv/agent', 0, FILTER), btf('/srv/agent', 0)]) {
    for (const line of show([inspected(object)], { width }).split('\n')) {
      if (!/sha256 |digest/.test(line)) expect(displayWidth(line), line).toBeLessThanOrEqual(width);
    }
  }
});

test('no string of an input reaches the terminal as it is', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 24 }),
    fc.constantFrom('\u001b]0;owned\u0007', 'a\nb', '\u202egpj.exe', ''),
  );
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 6 }), fc.constantFrom(40, 80, 120), (names, width) => {
      const [name = ''] = names;
      const objects = [
        instructions('/x', 0, 12, {}, { name, section: name, attachTo: name, helpers: names }),
        skeleton('/x', 0, { license: name, digest: name, maps: names.map((each) => ({ name: each })) }),
        filter('/x', 0, names),
        btf('/x', 0, { functions: names, variables: Object.fromEntries(names.map((each) => [each, names])) }),
      ];
      for (const object of objects) {
        expect(show([inspected(object)], { width, verbose: 1 })).not.toMatch(/[^\n\P{C}]|[\u2028\u2029]/u);
      }
    }),
  );
});
