import { describe, expect, test } from 'vitest';
import { BIN, run, SAMPLES } from './run.ts';

const OBJECT = `${SAMPLES}/built/bpfel/allow.bpf.o`;

describe('a call that cannot be carried out exits 1, names what is wrong and what was expected:', () => {
  const calls: [string, string[], RegExp][] = [
    ['no target', ['scan'], /name what to scan/],
    ['nothing at all', [], /name what to scan/],
    ['an unknown option', ['scan', OBJECT, '--frmat', 'json'], /unknown option: --frmat/],
    ['an unknown option of two words', ['verify', 'x', '--max-size', '3'], /unknown option: --max-size\n/],
    ['unknown options', ['verify', 'x', '--one-file-system', '--follow'], /: --one-file-system, --follow\n/],
    ['an unknown option as a property', ['scan', OBJECT, '--fooBar'], /unknown option: --foo-bar\n/],
    ['an unknown letter', ['scan', OBJECT, '-Z'], /unknown option: -Z/],
    ['an unknown format', ['scan', OBJECT, '-f', 'xml'], /--format: expected text, json or ndjson, not "xml"/],
    ['an unknown colour', ['scan', OBJECT, '--color', 'pink'], /--color: expected auto, always or never, not "pink"/],
    ['an unknown failure', ['scan', OBJECT, '--fail-on', 'lost'], /--fail-on: expected found, not "lost"/],
    ['a flag with a value', ['scan', OBJECT, '--raw=all'], /--raw takes no value/],
    ['a denied flag with a value', ['scan', OBJECT, '--no-progress=1'], /--no-progress takes no value/],
    ['no value', ['scan', OBJECT, '--dump'], /--dump: expected a value/],
    ['no value before another option', ['scan', OBJECT, '-o', '-j'], /-o: expected a value|--output: expected a value/],
    ['no pattern', ['scan', OBJECT, '--include'], /--include: expected a value/],
    ['0 jobs', ['scan', OBJECT, '--jobs', '0'], /--jobs: expected a whole number from 1 to 256, not "0"/],
    ['-1 jobs', ['scan', OBJECT, '--jobs=-1'], /--jobs: expected a whole number from 1 to 256, not "-1"/],
    ['257 jobs', ['scan', OBJECT, '--jobs', '257'], /--jobs: expected .* not "257"/],
    ['1e1 jobs', ['scan', OBJECT, '--jobs', '1e1'], /--jobs: expected .* not "1e1"/],
    ['no size', ['scan', OBJECT, '--max-size', 'big'], /--max-size: expected a number of bytes .* not "big"/],
    ['a negative size', ['scan', OBJECT, '--max-size=-1'], /--max-size: expected/],
    ['an endless size', ['scan', OBJECT, '--max-size', '99999999999T'], /--max-size: expected/],
    ...['scan', 'inspect', 'live'].flatMap((verb): [string, string[], RegExp][] =>
      ['', 'garbage', '6', '6.', 'v6.1', '-6.1', ' 6.1', '.6.1', '6.x'].map((release) => [
        `${verb} for the kernel "${release}"`,
        [verb, ...(verb === 'live' ? ['--no-match'] : [OBJECT]), `--kernel=${release}`],
        /--kernel: expected a release such as 6\.1 or 6\.1\.0-28-amd64, not "/,
      ]),
    ),
    ['two values', ['scan', OBJECT, '--jobs', '1', '--jobs', '2'], /--jobs was given more than once/],
    ['nothing to verify', ['verify'], /expected a target/],
    ['two directories to verify', ['verify', 'a', 'b'], /more targets than expected: b/],
  ];
  test.each(calls)('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(stderr.split('\n').length).toBeLessThanOrEqual(3);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });

  test('control characters of an argument do not reach the terminal', async () => {
    const { status, stderr } = await run(['scan', OBJECT, '--format', '\x1b]0;pwned\x07']);
    expect(status).toBe(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all but newline
    expect(stderr).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
  });
});

test.each([['--help'], ['-h'], ['scan', '--help'], ['verify', '--help']])(
  '%s %s explains on stdout',
  async (...args) => {
    const { status, stdout, stderr } = await run(args.filter((argument) => argument !== undefined));
    expect(stdout).toMatch(/bpfcarve/);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  },
);

test.each(['6.1', '5.10.0', '6.1.0-28-amd64', '6.18.44+deb14-amd64', '4.4.0-22621-Microsoft'])(
  'a kernel may be %s',
  async (release) => {
    for (const verb of ['scan', 'inspect']) {
      expect(await run([verb, OBJECT, '--kernel', release])).toMatchObject({ status: 0, stderr: '' });
    }
  },
);

test('--version is that of the package', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
  expect(await run(['--version'])).toMatchObject({ status: 0, stdout: `${manifest.version}\n` });
});

describe('a target', () => {
  test('without a verb is scanned', async () => {
    const plain = await run([OBJECT, '-j']);
    expect(plain.status).toBe(0);
    expect(JSON.parse(plain.stdout)).toMatchObject({ command: 'scan', objects: [{ source: { path: OBJECT } }] });
  });

  test.each([
    [['-j', OBJECT]],
    [[OBJECT, '-j']],
    [['scan', '-j', OBJECT]],
    [['-j', 'scan', OBJECT]],
    [['-j', '--strict', 'scan', OBJECT]],
    [['-f', 'json', 'scan', OBJECT]],
    [['-j', '--raw', 'scan', OBJECT]],
    [['-j', '--no-raw', OBJECT]],
    [['--jobs', '1', '-j', 'scan', OBJECT]],
    [['--jobs=1', '--no-progress', 'scan', OBJECT, '--format=json']],
  ])('may stand anywhere among the options: %j', async (args) => {
    expect(JSON.parse((await run(args)).stdout).objects).toHaveLength(1);
  });

  test('the program itself is not one of them', async () => {
    const { status, stdout } = await run([BIN, '-j']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).objects).toEqual([]);
  });
});
