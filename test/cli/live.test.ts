import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { run } from './run.ts';

const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-live-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const write = (name: string, text: string) => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

/** What bpftool 7 prints of two programs. */
const PROGRAMS = [
  { id: 12, type: 'kprobe', name: 'uprobe', tag: '2a8c45c2f0e905b1', gpl_compatible: true, uid: 0, bytes_xlated: 64 },
  {
    id: 13,
    type: 'kprobe',
    name: 'uretprobe',
    tag: '10e060f1f65ee396',
    gpl_compatible: true,
    uid: 0,
    bytes_xlated: 56,
  },
];
const CAPTURE = write('capture.json', JSON.stringify(PROGRAMS));
const NOTHING = write('nothing.json', '[]');
/** Programs from a file, and no search of this machine. */
const CAPTURED = ['live', '--live', CAPTURE, '--no-match'];

describe('a call that cannot be carried out exits 1 and says why:', () => {
  const calls: [string, string[], RegExp][] = [
    ['a word for an id', ['live', 'opensnoop'], /program id: expected a whole number .* not "opensnoop"/],
    ['id 0', ['live', '0'], /program id: expected a whole number from 1/],
    ['an id that no program can have', ['live', '2147483648'], /program id: expected/],
    [
      'a tag too short',
      ['live', '--tag', '7dc8126e8768ea3'],
      /--tag: expected 16 hexadecimal digits .* not "7dc8126e8768ea3"/,
    ],
    ['a tag that is no number', ['live', '--tag', 'cgroup_skb_prog1'], /--tag: expected 16 hexadecimal digits/],
    ['no tag', ['live', '--tag'], /--tag: expected a value/],
    ['an id that is not there', [...CAPTURED, '12', '999'], /no program with id 999 was seen/],
    [
      'a tag that is not there',
      [...CAPTURED, '--tag', '7dc8126e8768ea37'],
      /no program with tag 7dc8126e8768ea37 was seen/,
    ],
    ['a capture that is not there', ['live', '--live', join(directory, 'gone')], /--live: ENOENT/],
    ['a directory for a capture', ['live', '--live', directory], /--live: EISDIR/],
    [
      'a capture that is no JSON',
      ['live', '--live', write('text', '12: kprobe  name x\n')],
      /--live: .*text: not JSON/,
    ],
    [
      'a capture of an error',
      ['live', '--live', write('error', '{"error":"no"}')],
      /--live: .*error: .* error instead/,
    ],
    ['paths to match and none', ['live', '--match', directory, '--no-match'], /contradict each other/],
    ['0 jobs', ['live', '--jobs', '0'], /--jobs: expected a whole number from 1 to 256/],
    ['an option of another verb', ['live', '--follow'], /unknown option: --follow/],
  ];
  test.each(calls)('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(stderr.split('\n').length).toBeLessThanOrEqual(3);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });
});

test('captured programs are reported as text', async () => {
  const { status, stdout, stderr } = await run(CAPTURED);
  expect(stdout).toMatch(/^2 unexplained programs: .*\n {2}12 {2}kprobe {2}uprobe {5}2a8c45c2f0e905b1\n/);
  expect(stdout).toContain('captured programs');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('captured programs come on standard input too', async () => {
  const { status, stdout } = await run(['live', '--live', '-', '--no-match', '-j'], {
    stdin: new TextEncoder().encode(JSON.stringify(PROGRAMS)),
  });
  expect(JSON.parse(stdout)).toMatchObject({
    command: 'live',
    programs: PROGRAMS.map(({ id, tag }) => ({ id, tag })),
    summary: { programs: 2, explained: 0, unexplained: 2 },
  });
  expect(status).toBe(0);
});

test('our own document is a capture, and says the same again', async () => {
  const first = await run([...CAPTURED, '-j']);
  const second = await run(['live', '--live', write('own.json', first.stdout), '--no-match', '-j']);
  expect(JSON.parse(second.stdout).programs).toEqual(JSON.parse(first.stdout).programs);
});

test('ids and tags pick programs, which are shown in full', async () => {
  const picked = await run([...CAPTURED, '13', '--tag', '2A8C45C2F0E905B1', '-f', 'ndjson']);
  const lines = picked.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.filter(({ event }) => event === 'program').map(({ id }) => id)).toEqual([12, 13]);
  const one = await run([...CAPTURED, '13']);
  expect(one.stdout).toContain('1 unexplained program');
  expect(one.stdout).toContain('read by    capture');
});

test('of programs that were picked alone the holders are searched', async () => {
  const [first, second] = PROGRAMS;
  const held = [first, { ...second, pids: [{ pid: process.pid, comm: 'node' }] }];
  const capture = write('held.json', JSON.stringify(held));
  const sources = async (...picked: string[]) => {
    const { stdout } = await run(['live', '--live', capture, '--no-memory', '-j', ...picked]);
    return JSON.parse(stdout).summary.sources;
  };
  expect(await sources('12')).toBe(0);
  expect(await sources('--tag', '2a8c45c2f0e905b1')).toBe(0);
  expect(await sources('13')).toBeGreaterThan(0);
  expect(await sources('12', '13')).toBe(await sources());
});

test('a BTF that cannot be read is an error, as of a scan', async () => {
  const wrong = join(directory, 'gone');
  const { status, stdout, stderr } = await run(['live', '--live', CAPTURE, '--match', CAPTURE, '--btf', wrong, '-j']);
  expect(JSON.parse(stdout).diagnostics).toMatchObject([{ severity: 'error', code: 'ENOENT', where: wrong }]);
  expect(stderr).toContain(`${wrong}: `);
  expect(status).toBe(1);
});

test('the report goes into a file', async () => {
  const path = join(directory, 'report.json');
  const { status, stdout } = await run([...CAPTURED, '-j', '-o', path]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  const { default: report } = await import(path, { with: { type: 'json' } });
  expect(report.summary.programs).toBe(2);
});

test('no programs are told in a sentence', async () => {
  const { status, stdout } = await run(['live', '--live', NOTHING, '--no-match']);
  expect(stdout).toMatch(/^No BPF program .*\.\n/);
  expect(status).toBe(0);
});

test('a report that cannot be written is one', async () => {
  const { status, stderr } = await run([...CAPTURED, '-o', '/dev/full']);
  expect(status).toBe(1);
  expect(stderr).toContain('cannot write');
});
