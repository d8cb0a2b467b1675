// Ctrl-C, a kill and the end of a session: what was found is reported, the evidence is closed, and the program ends whatever it waits for.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
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
  signals: readonly NodeJS.Signals[] = ['SIGINT'],
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
    for (const [index, signal] of signals.entries()) setTimeout(() => child.kill(signal), 300 + 5 * index);
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

test.each([[['SIGTERM']], [['SIGHUP']], [['SIGHUP', 'SIGHUP']]] as const)(
  '%j is as Ctrl-C: a report, a closed dump, 130',
  async (signals) => {
    tree.file('in/0', object);
    const args = ['-', tree.at('in'), '-f', 'ndjson', '--dump', tree.at('dump')];
    const { status, stdout } = await interrupted(args, new Uint8Array(100), signals);
    expect(summaryOf(stdout)).toMatchObject({ event: 'summary', interrupted: true, objects: 1 });
    expect(status).toBe(130);
    expect((await run(['verify', tree.at('dump')])).status).toBe(0);
  },
);

describe.each([0, 80])('on a terminal of %i columns', (columns) => {
  test.for(['text', 'ndjson'])(
    'that is gone, the dump of a scan with its report as %s is closed',
    async (format, ctx) => {
      if (spawnSync('script', ['--version']).status !== 0) ctx.skip('needs script of util-linux');
      tree.file('in/0', object);
      const scan = `'${process.execPath}' '${BIN}' scan - in -f ${format} --dump dump --btf none`;
      // As a shell does that is told of the hangup, this one tells its job; and outlives it, to say how it ended.
      const session = `stty rows 25 cols ${columns}; mkfifo idle; exec 3<>idle; trap 'kill -HUP $!' HUP
      ${scan} <&3 & wait $!; wait $!; echo $? > status`;
      child = spawn('script', ['-qc', session, '/dev/null'], { cwd: tree.root, stdio: ['pipe', 'ignore', 'ignore'] });
      await isThere(tree.at('dump/objects'));
      await delay(1000);
      child.kill('SIGKILL');
      await isThere(tree.at('status'));
      expect(readFileSync(tree.at('status'), 'utf8')).toBe('130\n');
      expect((await run(['verify', tree.at('dump')])).status).toBe(0);
    },
  );
});

async function isThere(path: string): Promise<void> {
  while (!existsSync(path) || (statSync(path).isFile() && statSync(path).size === 0)) await delay(50);
}
