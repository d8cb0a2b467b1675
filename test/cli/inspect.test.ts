// `bpfcarve inspect` as it is called, and what it says of CO-RE against what libbpf logs while it loads the same object.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CoreRelocationRecord, InspectReport } from '../../src/index.ts';
import { bpfcarve, NOT_BUILT } from '../support/cli.ts';
import { packageObjects } from '../support/objects.ts';

const SAMPLES = new URL('../../samples/built/', import.meta.url).pathname;
const XDP = join(SAMPLES, 'bpfel/xdp.bpf.o');
const CORE = join(SAMPLES, 'bpfel/core.bpf.o');
const HOST = join(SAMPLES, 'hosts/two-skeletons');
const work = mkdtempSync(join(tmpdir(), 'inspect-'));
afterAll(() => rmSync(work, { recursive: true }));

function inspectJson(...args: string[]): InspectReport {
  return JSON.parse(bpfcarve(['inspect', '-j', ...args]).stdout);
}

describe.skipIf(NOT_BUILT)(`bpfcarve inspect${NOT_BUILT ? ` (${NOT_BUILT})` : ''}`, () => {
  test('shows one object on a screen', () => {
    const { status, stdout, stderr } = bpfcarve(['inspect', XDP, '--btf', 'none']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n').length).toBeLessThan(36);
    for (const word of ['GPL', 'xdp_firewall', 'parse_ethernet', 'percpu_array', '58 types', '8,392 bytes']) {
      expect(stdout).toContain(word);
    }
  });

  test('lists several objects, and shows one of them by its offset, decimal or hexadecimal', () => {
    const list = bpfcarve(['inspect', HOST]);
    expect(list.stdout).toContain('0x205e');
    expect(list.stdout).toContain('--at');
    const one = bpfcarve(['inspect', HOST, '--at', '0x397f']);
    expect(one.stdout).toContain('sha256    9ddded0d33c0');
    expect(bpfcarve(['inspect', HOST, '--at', String(0x397f)]).stdout).toBe(one.stdout);
  });

  test('a file without an object is no failure', () => {
    const path = join(work, 'plain');
    writeFileSync(path, 'nothing here');
    expect(bpfcarve(['inspect', path])).toEqual({
      status: 0,
      stdout: 'No eBPF object found in 12 B.\n',
      stderr: '',
    });
  });

  test.each([
    [[], 'name one file'],
    [['/nonexistent'], 'no such file'],
    [[SAMPLES], 'is a directory'],
    [[HOST, '--at', '5'], 'no object begins at 0x5'],
    [[HOST, '--at', 'x'], '--at: expected an offset'],
    [[XDP, '--program', 'nope'], 'no object has a program or subprogram "nope"'],
    [[XDP, '--types=x'], '--types: expected raw or c'],
    [[XDP, '--btf', '/nonexistent'], 'no such file'],
    [[XDP, '--btf', 'a', '--btf', 'b'], 'one kernel at a time'],
    [[XDP, '--disassembel'], 'disassembel'],
  ])('%j fails and says why', (args, reason) => {
    const { status, stderr, stdout } = bpfcarve(['inspect', ...args]);
    expect(status).toBe(1);
    expect(`${stderr}${stdout}`).toContain(reason);
  });

  test('shows code only when asked, and of one program when named', () => {
    expect(bpfcarve(['inspect', XDP]).stdout).not.toContain('exit');
    const { stdout } = bpfcarve(['inspect', XDP, '-d', '--program', 'xdp_count']);
    expect(stdout).toContain('; map counters');
    expect(stdout).toContain('; helper map_lookup_elem');
    expect(stdout).toContain('; calls parse_ethernet');
    expect(stdout).not.toContain('xdp_sum');
  });

  test.each([
    [['--btf', 'raw']],
    [['--btf=raw']],
    [['--btf']],
    [['--types']],
    [['--types=raw']],
    [['--btf', 'raw', '--btf', 'none']],
  ])('%j lists the types as bpftool does', (words) => {
    const { status, stdout } = bpfcarve(['inspect', XDP, ...words]);
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line.startsWith('['))).toHaveLength(58);
    expect(stdout.startsWith("[1] PTR '(anon)' type_id=3\n")).toBe(true);
  });

  test('--btf c prints a header and nothing else; ./c is a file', () => {
    const header = bpfcarve(['inspect', XDP, '--btf', 'c']).stdout;
    expect(header.startsWith('#ifndef __VMLINUX_H__\n')).toBe(true);
    expect(header).toContain('\nstruct xdp_md {\n\t__u32 data;\n');
    expect(header.endsWith('#endif /* __VMLINUX_H__ */\n')).toBe(true);
    expect(bpfcarve(['inspect', '--types', XDP]).stdout).toContain('[58]');
    const { stderr } = bpfcarve(['inspect', XDP, '--btf', './c'], { directory: work });
    expect(stderr).toContain('./c');
  });

  test('JSON carries everything, code and types on request', () => {
    const [object] = inspectJson(XDP).objects;
    expect(object).toMatchObject({ kind: 'object', license: 'GPL', btf: { types: 58, coreRelocations: 0 } });
    for (const key of ['sections', 'symbols', 'relocations', 'externs', 'callGraph', 'coreRelocations'] as const) {
      expect(Array.isArray(object?.[key]), key).toBe(true);
    }
    expect(object?.programs[0]).not.toHaveProperty('code');
    const [whole] = inspectJson(XDP, '-d', '--types').objects;
    expect(whole?.btf?.types).toHaveLength(58);
    expect(whole?.programs[0]?.code?.[0]).toMatchObject({ index: 0, bytes: expect.any(String), annotations: [] });
  });

  test('ndjson has one record a line', () => {
    const { stdout } = bpfcarve(['inspect', HOST, '-f', 'ndjson', '-d']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    expect(events).toEqual(['start', 'object', 'object', 'summary']);
  });

  test('reads standard input and writes to a file', () => {
    const path = join(work, 'report.json');
    const { status, stdout } = bpfcarve(['inspect', '-', '-j', '-o', path], { input: readFileSync(XDP) });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(JSON.parse(readFileSync(path, 'utf8')).objects).toHaveLength(1);
  });

  test('--dump keeps the bytes of the objects in the report, as verify finds them', () => {
    const directory = join(work, 'evidence');
    expect(bpfcarve(['inspect', HOST, '--at', '0x397f', '--dump', directory, '-d']).status).toBe(0);
    const [name = ''] = readdirSync(join(directory, 'objects'));
    const bytes = readFileSync(join(directory, 'objects', name));
    expect(createHash('sha256').update(bytes).digest('hex').slice(0, 12)).toBe('9ddded0d33c0');
    expect(bpfcarve(['verify', directory]).status).toBe(0);
    expect(bpfcarve(['inspect', HOST, '--dump', directory]).status).toBe(1);
  });

  test('every table can be shown', () => {
    const { stdout } = bpfcarve(['inspect', CORE, '--sections', '--symbols', '--relocations', '--maps', '--core']);
    for (const title of ['sections', 'symbols', 'relocations', '1 map', 'CO-RE: 49 relocations']) {
      expect(stdout).toContain(title);
    }
  });
});

const VMLINUX = '/sys/kernel/btf/vmlinux';
const unable = NOT_BUILT
  ? NOT_BUILT
  : spawnSync('bpftool', ['version']).status !== 0
    ? 'needs bpftool'
    : !existsSync(VMLINUX) || process.getuid?.() !== 0
      ? `needs root and ${VMLINUX}`
      : undefined;

describe.skipIf(unable)(`CO-RE as libbpf logs it${unable ? ` (${unable})` : ''}`, () => {
  const own = ['core', 'core-clang19', 'exits'].map((name) => join(SAMPLES, `bpfel/${name}.bpf.o`));
  const tools = ['opensnoop', 'runqslower', 'biosnoop', 'tcplife'].flatMap((tool) => extract(tool));

  test.each([...own, ...tools].map((path) => [basename(path), path]))('%s', (_, path) => {
    const theirs = libbpfLog(path);
    const ours = ourLog(inspectJson(path, '--btf', VMLINUX).objects[0]?.coreRelocations ?? []);
    expect(theirs.size).toBeGreaterThan(0);
    expect(new Map([...theirs.keys()].map((key) => [key, ours.get(key)]))).toEqual(theirs);
  });
});

function extract(tool: string): string[] {
  if (unable) return [];
  const [found] = packageObjects('libbpf-tools').filter(({ path }) => basename(path) === tool);
  if (found === undefined) return [];
  const path = join(work, `${tool}.bpf.o`);
  writeFileSync(path, found.bytes);
  return [path];
}

/** By section and number there: what is asked for, and what became of the instruction. */
function ourLog(records: readonly CoreRelocationRecord[]): Map<string, string> {
  const log = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const { section, text, local, target } of records) {
    const count = counts.get(section) ?? 0;
    counts.set(section, count + 1);
    const outcome =
      target === undefined || 'refused' in target ? 'refused' : 'poison' in target ? 'poisoned' : String(target.value);
    log.set(`${section} #${count}`, `[${local?.type}] ${words(text)} -> ${outcome}`);
  }
  return log;
}

/** libbpf has no sizes and ids behind types, and no accessors behind enumerators. */
function words(text: string): string {
  return text.replace(/ \((?:\d+ bytes|type \d+|\d+)\)$/, '').replace(/ \(\d+ = (-?\d+)\)$/, ' = $1');
}

function libbpfLog(object: string): Map<string, string> {
  // Some objects pin their maps: a BPF file system of our own goes away with its mount namespace.
  const load = 'mount -t bpf none /sys/fs/bpf && exec bpftool -d prog loadall "$0" /sys/fs/bpf/loaded';
  const { stderr } = spawnSync('unshare', ['-m', 'sh', '-c', load, object], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const log = new Map<string, string>();
  const specs = new Map<string, string>();
  let section = '';
  for (const line of stderr.split('\n')) {
    section = /^libbpf: sec '(.*)': found \d+ CO-RE relocations$/.exec(line)?.[1] ?? section;
    const [, number, said = ''] = /^libbpf: prog '.*': relo (#\d+): (.*)$/.exec(line) ?? [];
    const key = `${section} ${number}`;
    const spec = /^<(\w+)> \[(\d+)\] (.*)$/.exec(said);
    if (spec) specs.set(key, `[${spec[2]}] ${asOurs(spec[1] ?? '', spec[3] ?? '')}`);
    const outcome = said.startsWith('substituting insn') ? 'poisoned' : /^patched insn .* -> (\d+)/.exec(said)?.[1];
    // A change of width follows the change of value.
    if (outcome !== undefined && !log.has(key)) log.set(key, `${specs.get(key)} -> ${outcome}`);
  }
  return log;
}

/** `struct x.y (0:1 @ offset 8)` and `typedef x` of libbpf. */
function asOurs(kind: string, spec: string): string {
  const plain = spec.replace(/^typedef /, '').replace(' @ offset ', ' @ ');
  return `${kind} ${kind === 'enumval_exists' ? plain.replace(/ = -?\d+$/, '') : plain}`;
}
