// A dump that cannot be written to its end costs the dump, not the report.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import { newTree } from '../source/tree.ts';
import { run, SAMPLES } from './run.ts';

const BUILT = `${SAMPLES}/built`;

describe.each(['1', '2'])('with --jobs %s, a scan whose dump fills the disk', (jobs) => {
  test('reports all it finds as JSON, says why the dump ended, and exits 1', async (ctx) => {
    const dump = `${mountedTmpfs(ctx, 'size=64k')}/dump`;
    const { status, stdout, stderr } = await run([BUILT, '-j', '--jobs', jobs, '--dump', dump]);
    const whole = JSON.parse((await run([BUILT, '-j'])).stdout);
    expect(JSON.parse(stdout).objects).toEqual(whole.objects);
    expect(stderr).toMatch(/^bpfcarve: cannot write .*\(ENOSPC\).*; the dump has no manifest\n$/);
    expect(status).toBe(1);
    expectWhole(dump);
  });
});

test('ndjson ends with the summary', async (ctx) => {
  const { status, stdout } = await run([BUILT, '-f', 'ndjson', '--dump', `${mountedTmpfs(ctx, 'size=64k')}/dump`]);
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ event: 'summary' });
  expect(status).toBe(1);
});

test('text is complete, and what --fail-on asks for does not hide the failure', async (ctx) => {
  const args = [BUILT, '--fail-on', 'found', '--dump', `${mountedTmpfs(ctx, 'size=64k')}/dump`];
  const { status, stdout, stderr } = await run(args);
  expect(stdout).toMatch(/\(\d+ distinct\) in/);
  expect(stderr).toContain('ENOSPC');
  expect(status).toBe(1);
});

test('a manifest that does not fit costs no report either', async (ctx) => {
  const tree = newTree();
  onTestFinished(() => tree.remove());
  const object = readFileSync(`${BUILT}/bpfel/allow.bpf.o`);
  // One file, and a manifest of many places.
  for (let index = 0; index < 100; index++) tree.file(`${index}`, object);
  const dump = `${mountedTmpfs(ctx, 'size=32k')}/dump`;
  const { status, stdout, stderr } = await run([tree.root, '-j', '--dump', dump]);
  expect(JSON.parse(stdout).objects).toHaveLength(100);
  expect(stderr).toMatch(/manifest\.json.*ENOSPC/);
  expect(status).toBe(1);
  expect(readdirSync(dump)).toEqual(['objects']);
  expectWhole(dump);
});

test('inspect prints its report too', async (ctx) => {
  const dump = `${mountedTmpfs(ctx, 'size=16k')}/dump`;
  const { status, stdout, stderr } = await run(['inspect', `${BUILT}/hosts/two-skeletons`, '-j', '--dump', dump]);
  expect(JSON.parse(stdout).objects).toHaveLength(2);
  expect(stderr).toMatch(/^bpfcarve: cannot write .*\(ENOSPC\).*; the dump has no manifest\n$/);
  expect(status).toBe(1);
  expectWhole(dump);
});

test('live prints its report too', async (ctx) => {
  const tree = newTree();
  onTestFinished(() => tree.remove());
  tree.file('capture.json', JSON.stringify([{ id: 1, type: 'kprobe', name: 'x', tag: '0123456789abcdef' }]));
  // Room for the directories, none for a manifest.
  const dump = `${mountedTmpfs(ctx, 'nr_inodes=3')}/dump`;
  const args = ['live', '--live', tree.at('capture.json'), '--no-match', '-j', '--dump', dump];
  const { status, stdout, stderr } = await run(args);
  expect(JSON.parse(stdout).programs).toHaveLength(1);
  expect(stderr).toMatch(/^bpfcarve: cannot create .*ENOSPC.*; the dump has no manifest\n$/);
  expect(status).toBe(1);
  expect(existsSync(`${dump}/manifest.json`)).toBe(false);
});

/** Every file has the digest of which its name tells, nothing is half-written, and there is no manifest. */
function expectWhole(dump: string): void {
  expect(readdirSync(dump)).toEqual(['objects']);
  for (const name of readdirSync(`${dump}/objects`)) {
    const digest = execFileSync('sha256sum', [`${dump}/objects/${name}`], { encoding: 'utf8' });
    expect(name).toContain(digest.slice(0, 12));
  }
}

/** A small file system of its own, gone when the test ends. */
function mountedTmpfs(ctx: TestContext, options: string): string {
  const tree = newTree();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', tree.root], { encoding: 'utf8' });
  onTestFinished(() => tree.remove());
  if (mounted.status !== 0) ctx.skip(`needs the right to mount a tmpfs: ${mounted.stderr?.trim()}`);
  onTestFinished(() => void execFileSync('umount', ['-l', tree.root]));
  return tree.root;
}
