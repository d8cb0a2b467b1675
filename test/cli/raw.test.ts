// Code outside objects, as the built program finds and words it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { newTree, type Tree } from '../source/tree.ts';
import { run } from './run.ts';

/** Ten instructions with a helper call, as a program without any loader might hold them. */
const PROGRAM = Buffer.from(
  [
    'bf16000000000000', // r6 = r1
    'b702000000000000', // r2 = 0
    '7b2af8ff00000000', // *(u64 *)(r10 - 8) = r2
    '8500000005000000', // call ktime_get_ns
    '7b0af0ff00000000', // *(u64 *)(r10 - 16) = r0
    '6161000000000000', // r1 = *(u32 *)(r6 + 0)
    '79a0f0ff00000000', // r0 = *(u64 *)(r10 - 16)
    '0f10000000000000', // r0 += r1
    'b700000000000000', // r0 = 0
    '9500000000000000', // exit
  ].join(''),
  'hex',
);

/** `ip proto 17` on Ethernet, as struct sock_filter[]. */
const FILTER = Buffer.from(
  [
    '280000000c000000', // ldh [12]
    '1500000300080000', // jeq #0x800 jt 2 jf 5
    '3000000017000000', // ldb [23]
    '1500000111000000', // jeq #0x11 jt 4 jf 5
    '0600000000000400', // ret #262144
    '0600000000000000', // ret #0
  ].join(''),
  'hex',
);

/** Bytes that are neither code nor zero stand before and behind. */
function hosting(...codes: readonly Uint8Array[]): Buffer {
  const padding = Buffer.alloc(64, 0xcc);
  return Buffer.concat([padding, ...codes.flatMap((code) => [code, padding])]);
}

let tree: Tree;
beforeEach(() => {
  tree = newTree();
  tree.file('host', hosting(PROGRAM, FILTER));
});
afterEach(() => tree.remove());

const kindsOf = (stdout: string) => JSON.parse(stdout).objects.map(({ kind }: { kind: string }) => kind);

describe('scan of files', () => {
  test('passes over code outside objects', async () => {
    expect(kindsOf((await run(['scan', '-j', tree.at('host')])).stdout)).toEqual([]);
    expect(kindsOf((await run(['scan', '-j', '--no-raw', tree.at('host')])).stdout)).toEqual([]);
  });

  test('finds it with --raw', async () => {
    const { status, stdout } = await run(['scan', '-j', '--raw', tree.at('host')]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      objects: [
        {
          kind: 'instructions',
          trust: 'almost-certain',
          endianness: 'little',
          offset: 64,
          size: PROGRAM.length,
          programs: [{ instructions: 10, helpers: ['ktime_get_ns'], tags: [{}, {}] }],
        },
        { kind: 'classic-filter', offset: 64 + PROGRAM.length + 64, size: FILTER.length, instructions: 6 },
      ],
      summary: { objects: 2, distinct: 2 },
    });
  });

  test('says in words what it found', async () => {
    const { stdout } = await run(['scan', '--raw', tree.at('host')]);
    const lines = stdout.split('\n').slice(1);
    expect(lines[0]).toMatch(/^ {2}#1 {2}0x40 {2}80 B {2}[0-9a-f]{12} {2}10 instructions, almost certain$/);
    expect(lines[1]).toBe('      1 helper  ktime_get_ns');
    expect(lines[2]).toMatch(/^ {2}#2 {2}0xd0 {2}48 B {2}[0-9a-f]{12} {2}classic filter, 6 instructions$/);
    expect(lines.slice(3, 9)).toEqual([
      '      0  ldh [12]',
      '      1  jeq #0x800 jt 2 jf 5',
      '      2  ldb [23]',
      '      3  jeq #0x11 jt 4 jf 5',
      '      4  ret #262144',
      '      5  ret #0',
    ]);
    expect(lines[10]).toMatch(
      /^1 instruction array, 1 classic filter \(2 distinct\) in 1 of 1 source, 320 B searched /,
    );
  });

  test('--fail-on found counts every kind', async () => {
    expect((await run(['scan', '--raw', '--fail-on', 'found', tree.at('host')])).status).toBe(2);
    expect((await run(['scan', '--fail-on', 'found', tree.at('host')])).status).toBe(0);
  });

  test('--jobs 1 finds what several find, and so does standard input', async () => {
    const report = async (...args: readonly string[]) =>
      JSON.parse((await run(['scan', '-j', '--raw', ...args])).stdout);
    const several = (await report(tree.at('host'))).objects;
    expect((await report(tree.at('host'), '--jobs', '1')).objects).toEqual(several);
    const { stdout } = await run(['scan', '-j', '--raw', '-'], { stdin: hosting(PROGRAM, FILTER) });
    expect(JSON.parse(stdout).objects.map(({ sha256 }: { sha256: string }) => sha256)).toEqual(
      several.map(({ sha256 }: { sha256: string }) => sha256),
    );
  });
});

describe.skipIf(process.getuid?.() !== 0)('scan of processes (needs root to read the memory of another)', () => {
  /** The pid of a process that holds `content`. */
  async function holder(content: Uint8Array): Promise<string> {
    const script = `const held = Buffer.alloc(4096); Buffer.from(${JSON.stringify(Buffer.from(content).toString('hex'))}, 'hex').copy(held, 64);
      process.stdin.resume(); process.stdin.on('end', () => held.length); console.log('ready');`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return String(child.pid);
  }

  const arraysIn = (stdout: string) =>
    JSON.parse(stdout).objects.filter(
      ({ kind, size }: { kind: string; size: number }) => kind === 'instructions' && size === PROGRAM.length,
    );

  test('finds code outside objects, and not with --no-raw', async () => {
    const pid = await holder(PROGRAM);
    const [first] = arraysIn((await run(['scan', '-j', '--pid', pid])).stdout);
    expect(first).toMatchObject({
      source: { kind: 'process', pid: Number(pid) },
      address: expect.stringMatching(/^0x/),
      trust: 'almost-certain',
    });
    expect(arraysIn((await run(['scan', '-j', '--pid', pid, '--no-raw'])).stdout)).toEqual([]);
  });
});
