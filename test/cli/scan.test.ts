import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newTree, type Tree } from '../source/tree.ts';
import { run, runShell, SAMPLES } from './run.ts';

const OBJECT = `${SAMPLES}/built/bpfel/allow.bpf.o`;
const OTHER = `${SAMPLES}/built/bpfeb/filter.bpf.o`;
const isRoot = process.getuid?.() === 0;

let tree: Tree;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => tree.remove());

describe('the exit status is', () => {
  test('0 when something was found, and when nothing was', async () => {
    tree.file('empty');
    expect((await run([OBJECT])).status).toBe(0);
    expect((await run([tree.root])).status).toBe(0);
  });

  test('2 with --fail-on found when something was, else 0', async () => {
    tree.file('empty');
    expect((await run([OBJECT, '--fail-on', 'found'])).status).toBe(2);
    expect((await run([tree.root, '--fail-on', 'found'])).status).toBe(0);
  });

  test('1 when a target cannot be read at all, though others were', async () => {
    const { status, stdout, stderr } = await run([OBJECT, tree.at('nope'), '-j']);
    expect(status).toBe(1);
    expect(stderr).toContain(tree.at('nope'));
    expect(JSON.parse(stdout)).toMatchObject({ objects: [{}], diagnostics: [{ code: 'ENOENT', severity: 'error' }] });
  });

  test.skipIf(!isRoot)('0 when a file below a directory cannot be read, 3 with --strict', async () => {
    tree.file('closed', 'x');
    copyFileSync(OBJECT, tree.at('open.o'));
    chmodSync(tree.at('closed'), 0);
    chmodSync(tree.root, 0o755);
    const plain = await run([tree.root, '-j'], { uid: 65_534 });
    expect(plain.status).toBe(0);
    expect(JSON.parse(plain.stdout)).toMatchObject({
      objects: [{ source: { path: tree.at('open.o') } }],
      diagnostics: [{ severity: 'warning', code: 'EACCES', where: tree.at('closed') }],
      summary: { unreadable: 1, objects: 1 },
    });
    expect((await run([tree.root, '--strict'], { uid: 65_534 })).status).toBe(3);
    expect((await run([tree.root, '--strict', '--fail-on', 'found'], { uid: 65_534 })).status).toBe(3);
    expect((await run([tree.at('closed')], { uid: 65_534 })).status).toBe(1);
  });

  test('0 with --strict when all could be read', async () => {
    expect((await run([OBJECT, '--strict'])).status).toBe(0);
  });

  test('1 when the report cannot be written', async () => {
    const missing = await run([OBJECT, '-o', tree.at('no/such/directory')]);
    expect(missing).toMatchObject({ status: 1, stdout: '' });
    expect(missing.stderr).toContain('no/such/directory');
    expect((await run([OBJECT, '-o', tree.root])).status).toBe(1);
  });

  test('1 when the device of the report is full', async () => {
    for (const script of [
      '$bpfcarve scan "$O" > /dev/full',
      '$bpfcarve scan "$O" -o /dev/full',
      '$bpfcarve "$O" -f ndjson > /dev/full',
    ]) {
      const { status, stderr } = await runShell(script, { env: { O: OBJECT } });
      expect(stderr).toMatch(/cannot write.*ENOSPC/);
      expect(stderr).not.toMatch(/bug|^ +at /m);
      expect(status).toBe(1);
    }
  });

  test.each(['text', 'json', 'ndjson'])('0 when the reader of %s leaves', async (format) => {
    const piped = await runShell(
      `{ $bpfcarve scan "$S" -f ${format}; echo "status $?" >&2; } | head -c 100 > /dev/null`,
      { env: { S: SAMPLES } },
    );
    expect(piped.stderr).toBe('status 0\n');
  });

  test('1 for a dump into a directory that is not empty, which stays as it was', async () => {
    tree.file('dump/mine', 'x');
    const { status, stderr } = await run([OBJECT, '--dump', tree.at('dump')]);
    expect(status).toBe(1);
    expect(stderr).toContain('dump');
    expect(readdirSync(tree.at('dump'))).toEqual(['mine']);
  });
});

describe('formats', () => {
  test('json is one document on stdout, and nothing on stderr', async () => {
    const { stdout, stderr } = await run([OBJECT, '-j']);
    expect(stderr).toBe('');
    expect(Object.keys(JSON.parse(stdout))).toEqual([
      'schemaVersion',
      'tool',
      'command',
      'startedAt',
      'finishedAt',
      'host',
      'objects',
      'diagnostics',
      'summary',
    ]);
    expect(stdout.endsWith('\n')).toBe(true);
  });

  test('-j is --format json', async () => {
    const [short, long] = await Promise.all([run([OBJECT, '-j']), run([OBJECT, '--format', 'json'])]);
    expect(timeless(short.stdout)).toEqual(timeless(long.stdout));
  });

  test('ndjson is one event a line: start first, summary last', async () => {
    const { stdout, stderr } = await run([SAMPLES, '-f', 'ndjson']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(stderr).toBe('');
    expect(events[0]).toMatchObject({ event: 'start', command: 'scan', schemaVersion: 1 });
    expect(events.at(-1)).toMatchObject({ event: 'summary' });
    expect(new Set(events.slice(1, -1).map(({ event }) => event))).toEqual(new Set(['object', 'diagnostic']));
    expect(events.filter(({ event }) => event === 'object')).toHaveLength(events.at(-1).objects);
  });

  test('-o writes the same report into a file, and stdout stays empty', async () => {
    const direct = await run([OBJECT, '-j']);
    const filed = await run([OBJECT, '-j', '-o', tree.at('report.json')]);
    expect(filed).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(timeless(readFileSync(tree.at('report.json'), 'utf8'))).toEqual(timeless(direct.stdout));
  });

  test('-o - is stdout', async () => {
    expect(timeless((await run([OBJECT, '-j', '-o', '-'])).stdout).objects).toHaveLength(1);
  });

  test('text has no colour when piped, with NO_COLOR, and with --color never; it has with --color always', async () => {
    const plain = await run([OBJECT, '-q'], { env: { NO_COLOR: '' } });
    expect(plain.stdout).not.toContain('\x1b');
    expect((await run([OBJECT, '-q', '--color', 'never'])).stdout).toBe(plain.stdout);
    const coloured = (await run([OBJECT, '-q', '--color', 'always'])).stdout;
    expect(coloured).toContain('\x1b[');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those of SGR
    expect(coloured.replaceAll(/\x1b\[[0-9;]*m/g, '')).toBe(plain.stdout);
  });

  test('machine formats are never coloured', async () => {
    expect((await run([OBJECT, '-j', '--color', 'always'])).stdout).not.toContain('\x1b');
  });

  test('-q leaves what was found; -v lists every refused candidate', async () => {
    const damaged = `${SAMPLES}/built/damaged`;
    const [quiet, normal, verbose] = await Promise.all([run([damaged, '-q']), run([damaged]), run([damaged, '-v'])]);
    expect(normal.stdout.startsWith(quiet.stdout.trimEnd())).toBe(true);
    expect(quiet.stdout.length).toBeLessThan(normal.stdout.length);
    expect(verbose.stdout).toContain('unsupported-class');
    expect(normal.stdout).not.toContain('note ');
  });
});

test('the samples hold exactly the objects expected of them, and the candidates to be refused', async () => {
  const { stdout } = await run([SAMPLES, '-j']);
  const report = JSON.parse(stdout);
  const expected: readonly Record<string, unknown>[] = JSON.parse(readFileSync(`${SAMPLES}/expected.json`, 'utf8'));
  const found = report.objects.map((object: { source: { path: string } } & Record<string, unknown>) => ({
    kind: object.kind,
    host: object.source.path.slice(SAMPLES.length + 1),
    offset: object.offset,
    size: object.size,
    sha256: object.sha256,
    completeness: object.completeness,
  }));
  const isObject = ({ kind }: { kind: string }) => kind === 'object';
  expect(found.filter(isObject)).toEqual(expected.map(({ object: _, ...place }) => ({ kind: 'object', ...place })));
  expect(found.filter((record: { kind: string }) => !isObject(record))).toMatchObject([
    { kind: 'light-skeleton', host: 'built/hosts/light-skeleton', completeness: 'whole' },
  ]);
  const rejected: { host: string; offset: number }[] = JSON.parse(readFileSync(`${SAMPLES}/rejected.json`, 'utf8'));
  const refused = report.diagnostics.map(
    ({ where, severity }: { where: string; severity: string }) => `${severity} ${where}`,
  );
  expect(refused.sort()).toEqual(
    rejected.map(({ host, offset }) => `info ${SAMPLES}/${host} 0x${offset.toString(16)}`).sort(),
  );
  expect(report.summary.candidates).toBe(found.length + rejected.length);
});

describe('standard input', () => {
  const object = readFileSync(OBJECT);

  test('is scanned as -, and told apart from files', async () => {
    const { status, stdout } = await run(['-', '-j'], { stdin: Buffer.concat([Buffer.alloc(1001), object, object]) });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).objects).toMatchObject([
      { source: { kind: 'stdin' }, offset: 1001, sha256: sha256(object) },
      { source: { kind: 'stdin' }, offset: 1001 + object.length },
    ]);
  });

  test('may stand beside files', async () => {
    const { stdout } = await run(['scan', '-', OTHER, '-j'], { stdin: object });
    expect(
      JSON.parse(stdout)
        .objects.map(({ source }: { source: { kind: string } }) => source.kind)
        .sort(),
    ).toEqual(['file', 'stdin']);
  });

  test('may be a file, and read from where it stands', async () => {
    writeFileSync(tree.at('in'), Buffer.concat([Buffer.alloc(100), object]));
    const whole = await runShell('$bpfcarve - -j < in', { cwd: tree.root });
    expect(JSON.parse(whole.stdout).objects).toMatchObject([{ offset: 100 }]);
    const rest = await runShell('{ head -c 60 > /dev/null; $bpfcarve - -j; } < in', { cwd: tree.root });
    expect(JSON.parse(rest.stdout).objects).toHaveLength(1);
  });

  test('may be empty, and may be closed', async () => {
    expect((await run(['-'], { stdin: new Uint8Array(0) })).status).toBe(0);
    const { stderr } = await runShell('$bpfcarve - -j <&-; true');
    expect(stderr).not.toMatch(/bug/);
  });

  test('of more than 8 MiB is read to its end, objects astride every border of chunks', async () => {
    const size = 18 * 2 ** 20;
    const content = Buffer.alloc(size);
    const places = [2 ** 20 - 100, 2 ** 21 - 1, 8 * 2 ** 20 - 300, 16 * 2 ** 20 - 63, size - object.length];
    for (const place of places) content.set(object, place);
    const { stdout } = await run(['-', '-j'], { stdin: content });
    const { objects, summary } = JSON.parse(stdout);
    expect(objects.map(({ offset }: { offset: number }) => offset)).toEqual(places);
    expect(new Set(objects.map(({ sha256 }: { sha256: string }) => sha256))).toEqual(new Set([sha256(object)]));
    expect(summary).toMatchObject({ bytes: size, sources: 1 });
  });
});

describe('names', () => {
  test('with a leading dash are targets behind --', async () => {
    copyFileSync(OBJECT, tree.at('-rf'));
    copyFileSync(OBJECT, tree.at('scan'));
    for (const args of [['--', '-rf'], ['scan', '--', '-rf'], ['--', 'scan'], ['./-rf']]) {
      const { status, stdout } = await run(['-j', ...args], { cwd: tree.root });
      expect(status).toBe(0);
      expect(JSON.parse(stdout).objects).toHaveLength(1);
    }
  });

  test('that are not UTF-8 are found as arguments, each by its own bytes', async () => {
    for (const name of ['\xff', '\xfe'])
      tree.file(Buffer.from(name, 'latin1'), readFileSync(name === '\xff' ? OBJECT : OTHER));
    const { stdout, status } = await runShell(`$bpfcarve -j "$(printf '\\377')" "$(printf '\\376')"`, {
      cwd: tree.root,
    });
    expect(status).toBe(0);
    expect(
      JSON.parse(stdout).objects.map(({ source, size }: { source: object; size: number }) => [source, size]),
    ).toMatchObject([
      [{ path: '\\xfe', pathBase64: '/g==' }, readFileSync(OTHER).length],
      [{ path: '\\xff', pathBase64: '/w==' }, readFileSync(OBJECT).length],
    ]);
  });

  test('that cannot be read are reported by their exact bytes', async () => {
    const { status, stdout, stderr } = await runShell(`$bpfcarve -j "$(printf 'a\\377')"`, { cwd: tree.root });
    expect(status).toBe(1);
    expect(JSON.parse(stdout).diagnostics).toMatchObject([{ where: 'a\\xff', pathBase64: 'Yf8=', code: 'ENOENT' }]);
    expect(stderr).toContain('xff');
  });

  test('that speak to a terminal are escaped in text, on stdout and stderr', async () => {
    const name = '\x1b]0;title\x07\x1b[2J\u202e\n.o';
    copyFileSync(OBJECT, tree.at(name));
    const found = await run([tree.root]);
    const lost = await run([tree.at(`${name}lost`), '-j']);
    for (const output of [found.stdout, found.stderr, lost.stderr]) expect(output).not.toMatch(UNSAFE);
    expect(found.stdout).toContain('\\x1b]0;title\\x07');
    expect(JSON.parse((await run([tree.root, '-j'])).stdout).objects[0].source.path).toBe(tree.at(name));
  });
});

describe('what is scanned', () => {
  test('--include and --exclude may be repeated', async () => {
    for (const name of ['a.x', 'b.y', 'c.z', 'sub/d.x']) tree.file(name, readFileSync(OBJECT));
    const paths = async (...args: string[]) =>
      JSON.parse((await run([tree.root, '-j', ...args])).stdout).objects.map(
        ({ source }: { source: { path: string } }) => source.path.slice(tree.root.length + 1),
      );
    expect(await paths('--include', '*.x', '--include', '*.y')).toEqual(['a.x', 'b.y']);
    expect(await paths('--exclude', '*.x', '--exclude', 'sub/**')).toEqual(['b.y', 'c.z']);
    expect(await paths('--include=**/*.x', '--exclude=sub/**')).toEqual(['a.x']);
  });

  test('--max-size passes over what is larger, and says so as a note', async () => {
    tree.file('large', Buffer.concat([readFileSync(OBJECT), Buffer.alloc(1000)]));
    copyFileSync(OBJECT, tree.at('small'));
    const { status, stdout } = await run([tree.root, '--max-size', '1k', '-j', '--strict']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      objects: [{ source: { path: tree.at('small') } }],
      diagnostics: [{ severity: 'info', code: 'max-size', where: tree.at('large') }],
      summary: { unreadable: 0, sources: 1 },
    });
  });

  test('--follow goes through links, once', async () => {
    tree.file('real/a.o', readFileSync(OBJECT));
    symlinkSync('.', tree.at('loop'));
    symlinkSync('real', tree.at('link'));
    expect(JSON.parse((await run([tree.root, '-j', '--follow'])).stdout).objects).toHaveLength(1);
    expect(JSON.parse((await run([tree.at('link'), '-j'])).stdout).objects).toHaveLength(1);
  });

  test('a place that is named twice is scanned once, however it is spelled', async () => {
    copyFileSync(OBJECT, tree.at('a'));
    copyFileSync(OBJECT, tree.at('b'));
    tree.directory('sub');
    const once = { objects: 1, sources: 1, bytes: readFileSync(OBJECT).length };
    const summary = async (...args: string[]) =>
      JSON.parse((await run(['scan', '-j', ...args], { cwd: tree.root })).stdout).summary;
    expect(await summary('a', 'a')).toMatchObject(once);
    expect(await summary('./a', 'a', tree.at('a'), 'sub/../a', './/a')).toMatchObject(once);
    expect(await summary('a', '--', './a')).toMatchObject(once);
    expect(await summary('.', './', tree.root, 'sub/..')).toMatchObject({ objects: 2, sources: 2 });
    expect(await summary('a', 'b')).toMatchObject({ objects: 2, sources: 2 });
  });

  test('what only looks the same is scanned too: a link, and .. behind one', async () => {
    copyFileSync(OBJECT, tree.at('a'));
    tree.file('far/away/a', readFileSync(OTHER));
    tree.directory('far/away/sub');
    symlinkSync('far/away/sub', tree.at('link'));
    symlinkSync('a', tree.at('same'));
    const paths = async (...args: string[]) =>
      JSON.parse((await run(['scan', '-j', ...args], { cwd: tree.root })).stdout).objects.map(
        ({ source }: { source: { path: string } }) => source.path,
      );
    expect(await paths('a', 'link/../a')).toEqual(['a', 'link/../a']);
    expect(await paths('a', 'same')).toEqual(['a', 'same']);
  });

  test('a place that is named twice and is not there is one error', async () => {
    const { status, stdout } = await run(['scan', '-j', 'nope', './nope'], { cwd: tree.root });
    expect(status).toBe(1);
    expect(JSON.parse(stdout).diagnostics).toHaveLength(1);
  });

  test('--jobs 1 finds what several find', async () => {
    const [one, two, many] = await Promise.all(
      ['1', '2', '7'].map(async (jobs) => timeless((await run([SAMPLES, '-j', '--jobs', jobs])).stdout)),
    );
    expect(two).toEqual(one);
    expect(many).toEqual(one);
  });
});

describe('--dump', () => {
  test('writes every distinct object once, a manifest, and what verify accepts', async () => {
    const { status } = await run([`${SAMPLES}/built`, '--dump', tree.at('dump'), '-q']);
    expect(status).toBe(0);
    const expected: { sha256: string }[] = JSON.parse(readFileSync(`${SAMPLES}/expected.json`, 'utf8'));
    const names = readdirSync(tree.at('dump/objects'));
    const skeleton = names.filter((name) => name.startsWith('light-skeleton-'));
    const dumped = names
      .filter((name) => !skeleton.includes(name))
      .map((name) => sha256(readFileSync(tree.at(`dump/objects/${name}`))));
    expect(dumped.sort()).toEqual([...new Set(expected.map(({ sha256 }) => sha256))].sort());
    expect(skeleton.map((name) => name.slice(name.indexOf('.'))).sort()).toEqual(['.bpf.o', '.lskel']);
    expect((await run(['verify', tree.at('dump')])).status).toBe(0);
    expect((await runShell('cd dump && sha256sum -c manifest.json.sha256', { cwd: tree.root })).status).toBe(0);
  });

  test('with --jobs 1 writes the same files', async () => {
    await run([`${SAMPLES}/built/hosts`, '--dump', tree.at('one'), '-q', '--jobs', '1']);
    await run([`${SAMPLES}/built/hosts`, '--dump', tree.at('two'), '-q', '--jobs', '4']);
    expect(readdirSync(tree.at('one/objects')).sort()).toEqual(readdirSync(tree.at('two/objects')).sort());
  });

  test('into the scanned tree does not find itself', async () => {
    tree.file('in/a.o', readFileSync(OBJECT));
    const targets = [tree.root, '.', tree.at('in/..'), tree.at('in')];
    for (const [index, target] of targets.entries()) {
      const options = ['--dump', tree.at(`in/dump${index}`), '-j', '--jobs', '2'];
      const { stdout } = await run([target, ...options], { cwd: tree.root });
      expect(JSON.parse(stdout).objects).toHaveLength(1 + index);
    }
  });

  test('is complete although the reader of the report leaves', async () => {
    const script = '{ $bpfcarve scan "$S" -f ndjson --dump dump; echo "status $?" >&2; } | head -c 100 > /dev/null';
    const { stderr } = await runShell(script, { cwd: tree.root, env: { S: SAMPLES } });
    expect(stderr).toBe('status 0\n');
    expect((await run(['verify', tree.at('dump')])).status).toBe(0);
  });

  test.skipIf(!isRoot)('where it may not be written is exit 1 and leaves nothing', async () => {
    chmodSync(tree.root, 0o755);
    const { status, stderr } = await run([OBJECT, '--dump', tree.at('dump')], { uid: 65_534 });
    expect(status).toBe(1);
    expect(stderr).toContain('dump');
    expect(existsSync(tree.at('dump'))).toBe(false);
  });
});

describe('verify', () => {
  test('exits 4 and names a changed byte, a missing and an extra file', async () => {
    await run([`${SAMPLES}/built/hosts`, '--dump', tree.at('dump'), '-q']);
    const [first] = readdirSync(tree.at('dump/objects'));
    const path = tree.at(`dump/objects/${first}`);
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    writeFileSync(tree.at('dump/objects/extra'), 'x');
    const { status, stdout } = await run(['verify', tree.at('dump')]);
    expect(status).toBe(4);
    expect(stdout).toContain(first);
    expect(stdout).toContain('extra');
    expect((await run(['verify', tree.at('dump'), '-j'])).status).toBe(4);
  });

  test('of what is no directory is exit 1', async () => {
    expect((await run(['verify', tree.at('nope')])).status).toBe(1);
  });

  test('of a directory with a leading dash needs --', async () => {
    await run([OBJECT, '--dump', './-dump', '-q'], { cwd: tree.root });
    expect((await run(['verify', '--', '-dump'], { cwd: tree.root })).status).toBe(0);
  });
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: controls but newline, and a bidi override
const UNSAFE = /[\x00-\x09\x0b-\x1f\u202e]/;

/** A report without what differs from run to run. */
function timeless(text: string) {
  const { startedAt: _s, finishedAt: _f, summary, diagnostics, ...rest } = JSON.parse(text);
  const { elapsedMs: _e, ...counts } = summary;
  return {
    ...rest,
    summary: counts,
    diagnostics: diagnostics.map((diagnostic: unknown) => JSON.stringify(diagnostic)).sort(),
  };
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
