import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scan } from '../../src/scan/scan.ts';
import { libc, whyNoLibc } from '../../src/sys/libc.ts';
import { object } from '../carve/bytes.ts';
import { newTree, type Tree } from '../source/tree.ts';
import { collected, comparable, places, scanned } from './collect.ts';

const root = join(import.meta.dirname, '../..');
const SAMPLES = join(root, 'samples/built');
const MIB = 2 ** 20;
const whole = object('little', 'GPL'.padEnd(700));

let tree: Tree;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => tree.remove());

/** A file of `size` bytes, none of them in a hole, with an object at each place. */
function large(name: string, size: number, places: readonly number[]): void {
  const descriptor = openSync(tree.at(name), 'w');
  const filler = Buffer.alloc(MIB, 'A');
  for (let at = 0; at < size; at += MIB) writeSync(descriptor, filler, 0, Math.min(MIB, size - at), at);
  for (const place of places) writeSync(descriptor, whole, 0, Math.min(whole.length, size - place), place);
  closeSync(descriptor);
}

describe('the events of a scan', () => {
  test.each([1, 2])('begin with start and end with summary, with %d jobs', async (jobs) => {
    const { events, objects, summary } = await scanned([SAMPLES], { jobs });
    expect(events[0]).toMatchObject({ event: 'start', schemaVersion: 1, command: 'scan' });
    expect(events.filter(({ event }) => event === 'start' || event === 'summary')).toHaveLength(2);
    expect(summary).toMatchObject({
      objects: objects.length,
      distinct: new Set(objects.map(({ sha256 }) => sha256)).size,
    });
  });

  test('of nothing are those two', async () => {
    const { events, summary } = await scanned([]);
    expect(events.map(({ event }) => event)).toEqual(['start', 'summary']);
    expect(summary).toMatchObject({ sources: 0, bytes: 0, objects: 0, unreadable: 0 });
  });

  test('carry the bytes of an object the first time only, and only when asked', async () => {
    const { events } = await scanned([SAMPLES], { content: true, jobs: 2 });
    const seen = new Set<string>();
    for (const event of events) {
      if (event.event !== 'object') continue;
      const { sha256, size } = event.object;
      expect(event.content?.length).toBe(seen.has(sha256) ? undefined : size);
      if (event.content) expect(createHash('sha256').update(event.content).digest('hex')).toBe(sha256);
      seen.add(sha256);
    }
    const without = await scanned([SAMPLES], { jobs: 2 });
    expect(without.events.every((event) => event.event !== 'object' || event.content === undefined)).toBe(true);
  });
});

describe('any number of jobs gives the same answer', () => {
  test('for a tree', async () => {
    for (let index = 0; index < 700; index++) tree.file(`d${index % 7}/f${index}`, index % 5 === 0 ? whole : 'nothing');
    const [one, two, five] = await Promise.all([1, 2, 5].map((jobs) => scanned([tree.root, SAMPLES], { jobs })));
    expect(one?.objects.length).toBeGreaterThan(140);
    expect(two && comparable(two)).toEqual(one && comparable(one));
    expect(five && comparable(five)).toEqual(one && comparable(one));
  });

  test('for a file that is split, objects astride every border of its pieces', async () => {
    const offsets = Array.from({ length: 9 }, (_, index) => (index + 1) * 8 * MIB - 1 - index * 63);
    const size = 80 * MIB;
    large('large', size, [...offsets, size - whole.length]);
    const expected = [...offsets, size - whole.length].map((offset) => `${tree.at('large')} ${offset}+${whole.length}`);
    const [one, two] = [await scanned([tree.at('large')], { jobs: 1 }), await scanned([tree.root], { jobs: 2 })];
    expect(places(one)).toEqual(expected);
    expect(comparable(two)).toEqual(comparable(one));
    expect(one.summary).toMatchObject({ sources: 1, bytes: size, unreadable: 0 });
  });

  test('for a file that ends inside an object', async () => {
    large('large', 80 * MIB, [80 * MIB - 100]);
    for (const jobs of [1, 2]) {
      expect((await scanned([tree.at('large')], { jobs })).objects).toMatchObject([
        { size: 100, completeness: 'truncated' },
      ]);
    }
  });
});

describe('a sparse file', () => {
  const sys = libc();
  const GIB = 2 ** 30;

  test.skipIf(sys === undefined)(
    `of 100 GiB with an object at 50 GiB is read where it has bytes${sys ? '' : ` (${whyNoLibc()})`}`,
    async () => {
      const descriptor = openSync(tree.at('sparse'), 'w');
      ftruncateSync(descriptor, 100 * GIB);
      writeSync(descriptor, whole, 0, whole.length, 50 * GIB + 13);
      closeSync(descriptor);
      for (const jobs of [1, 2]) {
        const result = await scanned([tree.root], { jobs });
        expect(places(result)).toEqual([`${tree.at('sparse')} ${50 * GIB + 13}+${whole.length}`]);
        expect(result.objects[0]?.source).toMatchObject({ size: 100 * GIB });
        expect(result.summary.bytes).toBeLessThan(64 * MIB);
      }
    },
  );

  test.skipIf(sys === undefined)('with objects astride 2^31 and 2^32', async () => {
    const descriptor = openSync(tree.at('sparse'), 'w');
    ftruncateSync(descriptor, 5 * GIB);
    for (const border of [2 * GIB, 4 * GIB]) writeSync(descriptor, whole, 0, whole.length, border - 30);
    closeSync(descriptor);
    expect(places(await scanned([tree.root]))).toEqual(
      [2 * GIB, 4 * GIB].map((border) => `${tree.at('sparse')} ${border - 30}+${whole.length}`),
    );
  });
});

describe('a scan that is ended early', () => {
  test('by its signal before it began finds nothing and says so', async () => {
    const { objects, summary } = await scanned([SAMPLES], { signal: AbortSignal.abort() });
    expect(objects).toEqual([]);
    expect(summary.interrupted).toBe(true);
  });

  test.each([1, 2])('by its signal ends with a summary of what was found so far, with %d jobs', async (jobs) => {
    for (let index = 0; index < 3000; index++) tree.file(`f${index}`, whole);
    const controller = new AbortController();
    const events = [];
    for await (const event of scan([tree.root], { jobs, btf: 'none', signal: controller.signal })) {
      events.push(event);
      if (event.event === 'object') controller.abort();
    }
    const { objects, summary } = collected(events);
    expect(summary.interrupted).toBe(true);
    expect(objects.length).toBeGreaterThan(0);
    expect(summary.objects).toBe(objects.length);
    expect(objects.length).toBeLessThan(3000);
  });

  test('is not said of one that was not', async () => {
    expect((await scanned([SAMPLES])).summary).not.toHaveProperty('interrupted');
  });

  test.each([1, 2])('by its reader leaves nothing running: the program ends by itself, with %d jobs', (jobs) => {
    for (let index = 0; index < 2000; index++) tree.file(`f${index}`, whole);
    const script = `
      import { scan } from ${JSON.stringify(join(root, 'dist/index.js'))};
      let objects = 0;
      for await (const event of scan([${JSON.stringify(tree.root)}], { jobs: ${jobs}, btf: 'none' })) {
        if (event.event === 'object' && ++objects === 3) break;
      }
      console.log(objects);`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: '3\n', stderr: '', status: 0 });
  });
});

describe('a thread that dies', () => {
  const bin = join(root, 'bin/bpfcarve.js');
  /** Makes the examination of every file called `poison` end its thread, as a lack of memory would. */
  const poison = `
    const fs = require('node:fs');
    const { openSync } = fs;
    fs.openSync = (path, ...rest) => {
      if (!require('node:worker_threads').isMainThread && String(path).endsWith('poison')) throw new Error('poisoned');
      return openSync(path, ...rest);
    };
    require('node:module').syncBuiltinESMExports();`;

  function poisoned(...args: readonly string[]) {
    writeFileSync(tree.at('preload.cjs'), poison);
    const { stdout, status } = spawnSync(process.execPath, [bin, ...args, '-j', '--jobs', '2', '--btf', 'none'], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: { ...process.env, NODE_OPTIONS: `--require ${tree.at('preload.cjs')}` },
    });
    return { ...JSON.parse(stdout), status };
  }

  test('is a diagnostic on its file, and all others are scanned', () => {
    for (let index = 0; index < 400; index++) tree.file(`in/d${index % 20}/f${index}`, whole);
    for (const name of ['in/d3/poison', 'in/d9/poison', 'in/d19/poison']) tree.file(name, whole);
    const { objects, diagnostics, summary, status } = poisoned(tree.at('in'));
    expect(objects).toHaveLength(400);
    expect(
      diagnostics.map(({ code, severity, where }: Record<string, string>) => `${severity} ${code} ${where}`).sort(),
    ).toEqual(['in/d19/poison', 'in/d3/poison', 'in/d9/poison'].map((name) => `warning worker-died ${tree.at(name)}`));
    expect(summary.unreadable).toBe(3);
    expect(status).toBe(0);
  });

  test('does not lose the large files that it had set aside', () => {
    large('in-large', 80 * MIB, [50 * MIB]);
    for (let index = 0; index < 40; index++) tree.file(`in/f${index}`, whole);
    spawnSync('mv', [tree.at('in-large'), tree.at('in/a-large')]);
    tree.file('in/poison');
    const { objects } = poisoned(tree.at('in'));
    expect(objects).toHaveLength(41);
  });

  test('that cannot even start ends the scan with an error instead of trying for ever', () => {
    tree.file('in/a', whole);
    tree.file('in2/b', whole);
    writeFileSync(
      tree.at('preload.cjs'),
      "if (!require('node:worker_threads').isMainThread) throw new Error('no thread for you');",
    );
    const { status, stderr, signal } = spawnSync(
      process.execPath,
      [bin, tree.at('in'), tree.at('in2'), ...many(), '--jobs', '2'],
      {
        encoding: 'utf8',
        timeout: 30_000,
        env: { ...process.env, NODE_OPTIONS: `--require ${tree.at('preload.cjs')}` },
      },
    );
    expect({ status, signal }).toEqual({ status: 70, signal: null });
    expect(stderr).toContain('no thread for you');
  });

  function many(): string[] {
    for (let index = 0; index < 100; index++) tree.file(`many/${index}`, whole);
    return [tree.at('many')];
  }
});

test('a file of the kernel that says it is empty is read to its end', async ({ skip }) => {
  if (!existsSync('/proc/kallsyms')) skip('/proc/kallsyms is not there');
  const size = readFileSync('/proc/kallsyms').length;
  const { summary } = await scanned(['/proc/kallsyms'], { jobs: 1 });
  expect(summary).toMatchObject({ bytes: size, sources: 1, unreadable: 0 });
});
