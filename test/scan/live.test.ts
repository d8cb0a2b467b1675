// Live programs and their origins on this very kernel: what was loaded from an object is explained, and nothing else is.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { live } from '../../src/scan/live.ts';
import type { ExplainedProgram, LiveReport } from '../../src/scan/live-report.ts';

const SAMPLES = new URL('../../samples/', import.meta.url).pathname;
const OBJECTS = ['cgroup', 'filter', 'xdp', 'openat', 'core'].map((name) => `${SAMPLES}built/bpfel/${name}.bpf.o`);
const TOOLS =
  'bashreadline biopattern bitesize cpudist drsnoop execsnoop exitsnoop filelife gethostlatency hardirqs mountsnoop numamove offcputime oomkill opensnoop readahead runqlat runqlen runqslower softirqs statsnoop syscount tcpconnlat tcpstates'
    .split(' ')
    .map((name) => `/usr/sbin/${name}`);
const PINS = `/sys/fs/bpf/bpfcarve-live-${process.pid}`;

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  try {
    execFileSync('bpftool', ['version'], { stdio: 'ignore' });
    execFileSync('clang', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'needs bpftool and clang';
  }
  if (!readFileSync('/proc/mounts', 'utf8').includes(' /sys/fs/bpf bpf ')) {
    try {
      execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf'], { stdio: 'ignore' });
    } catch {
      return 'needs a bpffs';
    }
  }
  return undefined;
}

const missing = whyNot();

describe.skipIf(missing !== undefined)(`live programs${missing === undefined ? '' : ` (${missing})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-live-'));
  let children: ChildProcess[] = [];
  let known = new Set<number>();
  let report: LiveReport;

  beforeAll(async () => {
    known = new Set(ids());
    for (const [kind, at] of [
      ['tracefs', '/sys/kernel/tracing'],
      ['debugfs', '/sys/kernel/debug'],
    ] as const) {
      if (readdirSync(at).length === 0) execFileSync('mount', ['-t', kind, 'none', at]);
    }
    children = TOOLS.filter((tool) => existsSync(tool)).map((tool) => spawn(tool, [], { stdio: 'ignore' }));
    mkdirSync(PINS);
    for (const [index, object] of OBJECTS.entries()) load(object, `${PINS}/sample${index}`);
    load(recompiled(directory), `${PINS}/recompiled`);
    await setTimeout(5000);
    report = await live({ match: OBJECTS, jobs: 1 });
  });
  afterAll(() => {
    for (const child of children) child.kill();
    rmSync(PINS, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  });

  const ours = () => report.programs.filter(({ id }) => id !== undefined && !known.has(id));
  const pinned = (place: string) => ours().filter(({ pins }) => pins.some((pin) => pin.startsWith(`${PINS}/${place}`)));
  const heldBy = (program: ExplainedProgram) => program.holders.find(({ exe }) => exe && TOOLS.includes(exe))?.exe;

  test('of every running tool come from its file, section and program', () => {
    const programs = ours().filter(heldBy);
    const explained = programs.filter(({ origin }) => origin !== undefined);
    console.log(`${explained.length} of ${programs.length} programs of running tools explained`);
    expect(programs.length).toBeGreaterThan(0);
    for (const program of programs) {
      expect(program.origin, `${program.name} ${program.tag}`).toMatchObject({
        program: program.name,
        section: expect.stringMatching(/./),
        object: { source: { kind: 'file', path: heldBy(program) }, offset: expect.any(Number) },
      });
    }
  });

  test('loaded and pinned by bpftool come from the object that was given', () => {
    for (const [index, object] of OBJECTS.entries()) {
      const programs = pinned(`sample${index}`);
      expect(programs.length).toBeGreaterThan(0);
      for (const program of programs) {
        expect(program.origin).toMatchObject({
          program: program.name,
          object: { source: { path: object }, offset: 0 },
        });
      }
    }
  });

  test('of other code by the same names come from nowhere, and are told apart', () => {
    const programs = pinned('recompiled');
    expect(programs.map(({ name }) => name).sort()).toEqual(['account_egress', 'account_ingress']);
    for (const program of programs) {
      expect(program.origin).toBeUndefined();
      // Other tests may run programs with the same sample in them meanwhile.
      expect(program.nearMisses).toContainEqual(
        expect.objectContaining({
          program: program.name,
          object: expect.objectContaining({ source: expect.objectContaining({ path: OBJECTS[0] }) }),
        }),
      );
    }
  });

  test('leave no descriptor behind', async () => {
    const before = readdirSync('/proc/self/fd').length;
    await live({ searchOrigins: false });
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });
});

function ids(): number[] {
  const programs: { id: number }[] = JSON.parse(
    execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' }) || '[]',
  );
  return programs.map(({ id }) => id);
}

function load(object: string, pins: string): void {
  execFileSync('bpftool', ['prog', 'loadall', object, pins], { stdio: 'ignore' });
}

/** The cgroup sample with another answer: the same names, sections and maps, other instructions. */
function recompiled(directory: string): string {
  const source = readFileSync(`${SAMPLES}bpf/cgroup.bpf.c`, 'utf8');
  writeFileSync(join(directory, 'cgroup.bpf.c'), source.replace('traffic->packets++', 'traffic->packets += 2'));
  const object = join(directory, 'cgroup.bpf.o');
  const include = '/usr/include/x86_64-linux-gnu';
  execFileSync('clang', [
    '-O2',
    '-g',
    '-target',
    'bpf',
    `-I${include}`,
    '-c',
    join(directory, 'cgroup.bpf.c'),
    '-o',
    object,
  ]);
  return object;
}
