// Standard input as it comes: what has arrived is reported, what has not is waited for.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NOT_BUILT } from '../support/cli.ts';
import { sampleBytes } from '../support/every-kind.ts';

const BIN = fileURLToPath(new URL('../../bin/bpfcarve.js', import.meta.url));
const OBJECT = sampleBytes('bpfel/cgroup');
/** Longer than the pause after which what is at hand is searched. */
const PAUSE = 300;

function scanStdin() {
  const child = spawn(process.execPath, [BIN, '-', '-f', 'ndjson', '--btf', 'none'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<{ event: string; offset?: number; size?: number; completeness?: string }> =>
    JSON.parse((await lines.next()).value);
  return { child, next };
}

describe.skipIf(NOT_BUILT)(`standard input${NOT_BUILT ? ` (${NOT_BUILT})` : ''}`, () => {
  test('gives an object while the stream is still open', async () => {
    const { child, next } = scanStdin();
    child.stdin.write(OBJECT);
    expect(await next()).toMatchObject({ event: 'start' });
    expect(await next()).toMatchObject({ event: 'object', offset: 0, size: OBJECT.length });
    child.stdin.end(OBJECT);
    expect(await next()).toMatchObject({ event: 'object', offset: OBJECT.length, size: OBJECT.length });
    expect(await next()).toMatchObject({ event: 'summary' });
    await once(child, 'close');
  });

  test.each([1, 30, 300, 2000, OBJECT.length - 1])('waits for an object of which %i bytes have come', async (first) => {
    const { child, next } = scanStdin();
    child.stdin.write(OBJECT.subarray(0, first));
    expect(await next()).toMatchObject({ event: 'start' });
    await setTimeout(PAUSE);
    child.stdin.end(OBJECT.subarray(first));
    expect(await next()).toMatchObject({ event: 'object', offset: 0, size: OBJECT.length, completeness: 'whole' });
    expect(await next()).toMatchObject({ event: 'summary' });
  });
});
