// Code outside objects wherever a source may hold it: across the pieces of a scan, in streams and core files, beside and inside objects.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tagCode } from '../../src/link/tag.ts';
import { SEGMENT } from '../../src/scan/segments.ts';
import { bpfcarve, NOT_BUILT } from '../support/cli.ts';
import { codeOf, FILTER, hostOfCode, sampleBytes } from '../support/every-kind.ts';
import { comparable, type Scanned, scanned } from './collect.ts';
import { compilePrograms, start, whyNot } from './holders.ts';

const work = mkdtempSync(join(tmpdir(), 'outside-'));
afterAll(() => rmSync(work, { recursive: true }));

const PROGRAM = codeOf('bpfel/exits', 'do_exit');

function file(name: string, ...pieces: readonly Uint8Array[]): string {
  const path = join(work, name);
  writeFileSync(path, Buffer.concat(pieces));
  return path;
}

function kinds({ objects }: Scanned): string[] {
  return objects.map(({ kind, offset, size }) => `${kind} ${offset}+${size}`);
}

/** Neither code nor zero. */
function padding(size: number): Buffer {
  return Buffer.alloc(size, 0xcc);
}

describe('a program that lies across the border of two pieces of a scan', () => {
  const before = SEGMENT - 24;
  const path = file('border', padding(before), PROGRAM, padding(4096));
  const place = `instructions ${before}+${PROGRAM.length}`;

  test('is found once in a file', async () => {
    expect(kinds(await scanned([path], { raw: true }))).toEqual([place]);
  });

  test.skipIf(NOT_BUILT)('and once in a stream', () => {
    const input = Uint8Array.from(Buffer.concat([padding(before), PROGRAM, padding(4096)]));
    const { stdout } = bpfcarve(['scan', '--raw', '-j', '--btf', 'none', '-'], { input });
    const { objects } = JSON.parse(stdout);
    expect(kinds({ objects } as Scanned)).toEqual([place]);
  });
});

test('a file large enough to be split gives the same with one thread and with several', async () => {
  const path = file('large', padding(3 * SEGMENT + 5), hostOfCode().bytes);
  truncateSync(path, 12 * SEGMENT);
  const [one, many] = await Promise.all([1, 3].map((jobs) => scanned([path], { raw: true, jobs })));
  expect(comparable(many as Scanned)).toEqual(comparable(one as Scanned));
  expect(new Set(one?.objects.map(({ kind }) => kind))).toEqual(
    new Set(['instructions', 'classic-filter', 'object', 'btf']),
  );
});

test('nothing is reported from inside an object, and what stands beside it is', async () => {
  const object = sampleBytes('bpfel/exits');
  const path = file('beside', object, padding(8), PROGRAM, padding(64));
  expect(kinds(await scanned([path], { raw: true }))).toEqual([
    `object 0+${object.length}`,
    `instructions ${object.length + 8}+${PROGRAM.length}`,
  ]);
});

test('without being asked a scan of files finds an object without its header, and no lone instructions', async () => {
  const host = hostOfCode();
  const path = file('host', host.bytes);
  const found = await scanned([path]);
  expect(found.objects).toMatchObject([
    { kind: 'object', rebuilt: true, offset: host.at.headerless, completeness: 'whole', elf: { endianness: 'little' } },
  ]);
});

test('an object without its header is byte for byte what it was', async () => {
  const object = sampleBytes('bpfel/xdp');
  const path = file('headerless', padding(100), new Uint8Array(object).fill(0x5a, 0, 64), padding(64));
  const { events } = await scanned([path], { content: true });
  const contents = events.flatMap((event) => (event.event === 'object' ? [event.content] : []));
  expect(contents).toHaveLength(1);
  expect(Buffer.from(contents[0] ?? []).equals(object)).toBe(true);
});

test('instructions have the tags of exactly their bytes, by both algorithms', async () => {
  const path = file('tagged', padding(64), PROGRAM, padding(64));
  const { sha1, sha256 } = tagCode(PROGRAM, true);
  const { objects } = await scanned([path], { raw: true, kernel: '6.18.0' });
  expect(objects[0]?.programs[0]?.tags).toEqual([
    { tag: sha256, algorithm: 'sha256', exact: true, assumptions: [] },
    { tag: sha1, algorithm: 'sha1', exact: true, assumptions: [] },
  ]);
});

test('a live program with the tag proves them', async () => {
  const path = file('proved', padding(64), PROGRAM, padding(64));
  const { sha256 } = tagCode(PROGRAM, true);
  const capture = JSON.stringify([{ id: 7, type: 'kprobe', tag: sha256, gpl_compatible: true, loaded_at: 1 }]);
  const { objects } = await scanned([path], { raw: true, live: { capture } });
  expect(objects).toMatchObject([{ kind: 'instructions', trust: 'proved', programs: [{ live: [7] }] }]);
});

test('a flood of what looks like programs is cut short, and said to be', async () => {
  const flood = Buffer.alloc(12 * SEGMENT, PROGRAM);
  const { objects, diagnostics } = await scanned([file('flood', flood)], { raw: true });
  expect(objects.length).toBeGreaterThan(1000);
  expect(objects.length).toBeLessThan(1 << 18);
  expect(diagnostics).toContainEqual(expect.objectContaining({ severity: 'warning', code: 'work-limit' }));
});

test('a flood uses up the limits of work for itself only', async () => {
  const exit = Buffer.from('9500000000000000', 'hex');
  const before = 5 * SEGMENT;
  const path = file('behind', Buffer.alloc(before, exit), padding(1 << 20), hostOfCode().bytes);
  const { objects } = await scanned([path], { raw: true });
  const { at } = hostOfCode();
  const offsets = objects.map(({ offset = 0 }) => offset - before - (1 << 20));
  expect(offsets).toEqual(expect.arrayContaining([at.instructions, at.bigEndian, at.filter, at.headerless]));
});

test('functions have the byte order of the BTF behind them, where their bytes make sense in both', async () => {
  // r1 = 1; r2 = 0 ll; lock *(u64 *)(r2 + 0) += r1; r0 = 0; exit
  const slots = ['b701000001000000', '1802000000000000', '0000000000000000', 'db12000000000000', 'b700000000000000'];
  const code = Buffer.from([...slots, '9500000000000000'].join(''), 'hex');
  const { bytes, at } = hostOfCode();
  const btf = bytes.subarray(at.tableless + 64);
  const path = file('counting', padding(64), code, padding(8), btf);
  const { objects } = await scanned([path], { raw: true });
  expect(objects[0]).toMatchObject({ kind: 'instructions', offset: 64, size: code.length, endianness: 'little' });
});

describe('a process', () => {
  const reason = whyNot();
  const noCore = reason ?? (spawnSync('gcore', ['--version']).error ? 'needs gcore (gdb)' : undefined);
  let remove: (() => void) | undefined;
  beforeAll(() => {
    if (reason === undefined) remove = compilePrograms().remove;
  });
  afterAll(() => remove?.());

  // The holder puts what it reads one byte past what malloc gives it.
  const holder = () =>
    start('holder', 'heap', file('held', padding(7), PROGRAM, padding(4), FILTER), join(work, 'scratch'));
  const kindsAt = ({ objects }: Scanned) => objects.map(({ kind, address, size }) => `${kind} ${address}+${size}`);
  const expected = (address: string) => {
    const behind = (bytes: number) => `0x${(Number(address) + bytes).toString(16)}`;
    return [
      `instructions ${behind(7)}+${PROGRAM.length}`,
      `classic-filter ${behind(7 + PROGRAM.length + 4)}+${FILTER.length}`,
    ];
  };

  test.skipIf(reason)(`has code in its heap${reason ? ` (${reason})` : ''}`, async () => {
    const { pid, address } = await holder();
    const found = await scanned([], { pids: [pid] });
    expect(kindsAt(found)).toEqual(expected(address));
    expect(found.objects[0]?.region).toMatchObject({ path: '[heap]' });
    expect(kindsAt(await scanned([], { pids: [pid], raw: false }))).toEqual([]);
  });

  test.skipIf(noCore)(`has the same addresses in its core file${noCore ? ` (${noCore})` : ''}`, async () => {
    const { pid, address } = await holder();
    execFileSync('gcore', ['-o', join(work, 'core'), String(pid)], { stdio: 'ignore' });
    expect(kindsAt(await scanned([join(work, `core.${pid}`)], { raw: true }))).toEqual(expected(address));
  });
});
