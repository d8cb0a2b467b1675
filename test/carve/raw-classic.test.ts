// Filters of classic BPF: their text against tcpdump's, and where they are found.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { carveClassicFilters } from '../../src/carve/classic-filters.ts';
import { Finder } from '../../src/carve/search.ts';
import { classicText } from '../../src/insn/classic.ts';

const finder = new Finder();

function filtersIn(bytes: Uint8Array) {
  const reader = memoryReader(bytes);
  const anchors = new AnchorList({ classic: true });
  finder.search(reader, { from: 0, to: bytes.length }, anchors);
  return carveClassicFilters(reader, anchors.returns);
}

interface Row {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

function encode(rows: readonly Row[], little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * rows.length));
  for (const [index, { code, jt, jf, k }] of rows.entries()) {
    view.setUint16(8 * index, code, little);
    view.setUint8(8 * index + 2, jt);
    view.setUint8(8 * index + 3, jf);
    view.setUint32(8 * index + 4, k, little);
  }
  return new Uint8Array(view.buffer);
}

/** `-ddd` prints numbers, `-d` the text of the same filter. */
function tcpdump(flag: '-d' | '-ddd', expression: string): string[] {
  const run = spawnSync('tcpdump', ['-y', 'EN10MB', flag, expression], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout.trimEnd().split('\n');
}

const NO_TCPDUMP = spawnSync('tcpdump', ['--version']).error ? 'no tcpdump' : undefined;

function compile(expression: string): Row[] {
  return tcpdump('-ddd', expression)
    .slice(1)
    .map((line) => {
      const [code = 0, jt = 0, jf = 0, k = 0] = line.split(' ').map(Number);
      return { code, jt, jf, k };
    });
}

const EXPRESSIONS = [
  'ip and tcp port 22',
  'udp[8:4] = 0x7255 or (icmp[8:2] = 0x7255) or (tcp[((tcp[12] & 0xf0) >> 2):2] = 0x5293)',
  'vlan 10 and ip6',
  'len > 1000 and ether[0] & 1 != 0',
  'ip[2:2] - 20 * 2 + 7 > 99 and tcp[13] | 2 = 3 and ip[0] ^ 5 = 6',
  'tcp[0:2] / 3 = 4 and tcp[0:2] % 5 = 1 and (tcp[4:4] << 3) >> 2 = 16',
  'ip host 10.0.0.1 and not arp and portrange 1000-2000',
  'ether proto 0x88cc and ether dst 01:80:c2:00:00:0e',
];

describe.skipIf(NO_TCPDUMP !== undefined)(`filters of tcpdump${NO_TCPDUMP ? ` (skipped: ${NO_TCPDUMP})` : ''}`, () => {
  test.each(EXPRESSIONS)('%s: the same text', (expression) => {
    const theirs = tcpdump('-d', expression).map((line) =>
      line
        .replace(/^\(\d+\)/, '')
        .trim()
        .split(/\s+/)
        .join(' '),
    );
    expect(compile(expression).map(classicText)).toEqual(theirs);
  });

  test.each(EXPRESSIONS)('%s: found in both byte orders, anywhere', (expression) => {
    const rows = compile(expression);
    for (const little of [true, false]) {
      for (const before of [16, 21, 4091]) {
        const bytes = new Uint8Array(before + 8 * rows.length + 100);
        bytes.set(encode(rows, little), before);
        expect(filtersIn(bytes).filters).toMatchObject([
          { offset: before, instructions: rows.length, endianness: little ? 'little' : 'big' },
        ]);
      }
    }
  });
});

const LOAD = { code: 0x20, jt: 0, jf: 0, k: 4 };
const JEQ = { code: 0x15, jt: 0, jf: 1, k: 7 };
const RET = { code: 0x06, jt: 0, jf: 0, k: 0 };
const find = (rows: readonly Row[]) => filtersIn(encode(rows, true)).filters.map(({ instructions }) => instructions);

test('a load, a comparison and two verdicts are a filter', () => {
  expect(find([LOAD, JEQ, { ...RET, k: 1 }, RET])).toEqual([4]);
});

test.each([
  ['a jump past the end', [LOAD, { ...JEQ, jf: 3 }, RET, RET]],
  ['both jumps to one place', [LOAD, { ...JEQ, jt: 1 }, RET, RET]],
  ['X is compared but not set', [LOAD, { ...JEQ, code: 0x1d }, RET, RET]],
  ['memory is read that nothing wrote', [{ ...LOAD, code: 0x60, k: 3 }, JEQ, RET, RET]],
  ['word 16 of memory', [LOAD, { code: 2, jt: 0, jf: 0, k: 16 }, JEQ, RET, RET]],
  ['a division by zero', [LOAD, { code: 0x34, jt: 0, jf: 0, k: 0 }, JEQ, RET, RET]],
  ['an instruction that nothing reaches', [LOAD, JEQ, RET, RET, LOAD]],
  ['no verdict', [LOAD, JEQ, LOAD, LOAD]],
  ['no load', [{ ...JEQ, jf: 0, jt: 1 }, RET, RET]],
])('%s: no filter with it', (_, rows) => {
  expect(find(rows)).not.toContain(rows.length);
});

test('zeros before a filter are not part of it', () => {
  const bytes = new Uint8Array([...new Uint8Array(64), ...encode([LOAD, JEQ, { ...RET, k: 1 }, RET], true)]);
  expect(filtersIn(bytes).filters).toMatchObject([{ offset: 64, instructions: 4 }]);
});

test('a flood of verdicts costs bounded work', () => {
  const row = encode([RET], true);
  const bytes = new Uint8Array(1 << 22).map((_, at) => row[at % 8] as number);
  expect(filtersIn(bytes).filters).toEqual([]);
});

test('any bytes give filters that lie in them', () => {
  const rows = fc.constantFrom(
    LOAD,
    JEQ,
    RET,
    { ...JEQ, jt: 1, jf: 0 },
    { code: 7, jt: 0, jf: 0, k: 0 },
    { code: 5, jt: 0, jf: 0, k: 1 },
  );
  fc.assert(
    fc.property(
      fc.array(rows, { maxLength: 30 }),
      fc.uint8Array({ maxLength: 9 }),
      fc.boolean(),
      (code, junk, little) => {
        const bytes = new Uint8Array([...junk, ...encode(code, little)]);
        for (const { offset, instructions, text } of filtersIn(bytes).filters) {
          expect(offset + 8 * instructions).toBeLessThanOrEqual(bytes.length);
          expect(text).toHaveLength(instructions);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
