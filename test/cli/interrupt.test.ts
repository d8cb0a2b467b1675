// Ctrl-C, a kill and the end of a session: what was found is reported, the evidence is closed, and the program ends whatever it waits for.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newTree, type Tree } from '../source/tree.ts';
import { BIN, run, SAMPLES } from './run.ts';

const object = readFileSync(`${SAMPLES}/built/bpfel/allow.bpf.o`);

let tree: Tree;
let child: ChildProcess;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => {
  child.kill('SIGKILL');
  tree.remove();
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs until its first object is reported, interrupts, and waits for the end. */
function interrupted(
  args: readonly string[],
  stdin: 'ignore' | Uint8Array = 'ignore',
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Ended> {
  child = spawn(process.execPath, [BIN, ...args, '--btf', 'none'], {
    stdio: [stdin === 'ignore' ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  // Never ended: the program must not wait for more.
  if (stdin !== 'ignore') child.stdin?.write(stdin);
  let stdout = '';
  let stderr = '';
  let isSent = false;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (isSent || !stdout.includes('"event"')) return;
    isSent = true;
    setTimeout(() => child.kill(signal), 300);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

const summaryOf = (stdout: string) => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');

describe.each(['1', '2'])('with --jobs %s', (jobs) => {
  test('a scan that waits for its standard input ends with 130 and a summary', async () => {
    const { status, stdout, stderr } = await interrupted(['-', '-f', 'ndjson', '--jobs', jobs], object);
    expect(summaryOf(stdout)).toMatchObject({ event: 'summary', interrupted: true });
    expect({ status, stderr }).toEqual({ status: 130, stderr: '' });
  });

  test('the evidence of a scan that was ended is closed, and verifies', async () => {
    for (let index = 0; index < 10; index++) tree.file(`in/${index}`, object);
    const args = ['-', tree.at('in'), '-f', 'ndjson', '--jobs', jobs, '--dump', tree.at('dump')];
    const { status } = await interrupted(args, new Uint8Array(100));
    expect(status).toBe(130);
    expect((await run(['verify', tree.at('dump')])).status).toBe(0);
    const manifest = JSON.parse(readFileSync(tree.at('dump/manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({ summary: { interrupted: true, objects: 10 }, files: [{ size: object.length }] });
  });
});

test('what had come of standard input is carved', async () => {
  const { stdout } = await interrupted(['-', '-f', 'ndjson'], Buffer.concat([Buffer.alloc(77), object]));
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.filter(({ event }) => event === 'object')).toMatchObject([{ offset: 77, size: object.length }]);
});

test.each(['SIGTERM', 'SIGHUP'] as const)('%s is as Ctrl-C: a report, a closed dump, 130', async (signal) => {
  tree.file('in/0', object);
  const args = ['-', tree.at('in'), '-f', 'ndjson', '--dump', tree.at('dump')];
  const { status, stdout } = await interrupted(args, new Uint8Array(100), signal);
  expect(summaryOf(stdout)).toMatchObject({ event: 'summary', interrupted: true, objects: 1 });
  expect(status).toBe(130);
  expect((await run(['verify', tree.at('dump')])).status).toBe(0);
});
