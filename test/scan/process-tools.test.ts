// Programs in the wild: what their memory holds is what their files hold, at the address where the file is mapped.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CarvedObject } from '../../src/scan/events.ts';
import { scanning } from './holders.ts';

const TOOLS =
  'bashreadline bindsnoop biolatency biosnoop capable cpudist drsnoop execsnoop exitsnoop filelife gethostlatency hardirqs mountsnoop oomkill opensnoop runqlat runqlen sigsnoop softirqs statsnoop syscount tcpconnect tcpconnlat tcplife tcpstates vfsstat'
    .split(' ')
    .map((name) => `/usr/sbin/${name}`);

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  if (!TOOLS.some((tool) => existsSync(tool))) return 'needs libbpf-tools';
  try {
    if (!existsSync('/sys/kernel/tracing/events'))
      execFileSync('mount', ['-t', 'tracefs', 'none', '/sys/kernel/tracing']);
    if (!existsSync('/sys/kernel/debug/tracing')) execFileSync('mount', ['-t', 'debugfs', 'none', '/sys/kernel/debug']);
  } catch {
    return 'needs tracefs';
  }
  return undefined;
}

function hasGcore(): boolean {
  try {
    accessSync('/usr/bin/gcore');
    return true;
  } catch {
    return false;
  }
}

interface Running {
  readonly tool: string;
  readonly pid: number;
  readonly child: ChildProcess;
}

const missing = whyNot();

describe.skipIf(missing !== undefined)(`running tools${missing === undefined ? '' : ` (${missing})`}`, () => {
  let running: readonly Running[] = [];
  let directory = '';

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bpfcarve-tools-'));
    const started = TOOLS.filter((tool) => existsSync(tool)).map((tool) => {
      const child = spawn(tool, [], { stdio: 'ignore' });
      return { tool, pid: child.pid ?? 0, child };
    });
    // Some cannot run on every kernel. Those that do have mapped what they need and wait for events.
    await setTimeout(6000);
    running = started.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  });

  afterAll(async () => {
    for (const { child } of running) child.kill('SIGINT');
    await setTimeout(500);
    for (const { child } of running) if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  const facts = ({ sha256, size, completeness }: CarvedObject) => `${sha256} ${size} ${completeness}`;

  test('hold the objects of their files, each at its address', async (context) => {
    if (running.length < 10) context.skip(`only ${running.length} tools run on this kernel`);
    const pids = running.map(({ pid }) => pid);
    const memory = await scanning({ pids, raw: false });
    const files = await scanning(
      {},
      running.map(({ tool }) => tool),
    );
    for (const { tool, pid } of running) {
      const inFile = files.objects.filter(({ source }) => source.kind === 'file' && source.path === tool);
      const inMemory = memory.objects.filter(({ source }) => source.kind === 'process' && source.pid === pid);
      expect(inFile.length, tool).toBeGreaterThan(0);
      expect(inMemory.map(facts).sort(), tool).toEqual(inFile.map(facts).sort());
      for (const { sha256, offset = 0 } of inFile) {
        const found = inMemory.find((object) => object.sha256 === sha256);
        expect(found?.address, tool).toBe(addressOf(pid, tool, offset));
      }
    }
  });

  test('are found among all processes as by themselves', async () => {
    const pids = new Set(running.map(({ pid }) => pid));
    const places = ({ objects }: { readonly objects: readonly CarvedObject[] }) =>
      objects
        .filter(({ source }) => source.kind === 'process' && pids.has(source.pid))
        .map(({ source, address, sha256 }) => `${source.kind === 'process' && source.pid} ${address} ${sha256}`)
        .sort();
    expect(places(await scanning({ allPids: true }))).toEqual(places(await scanning({ pids: [...pids] })));
  });

  test.skipIf(!hasGcore())('a core file holds what the memory held', { timeout: 120_000 }, async (context) => {
    const tool = running.find(({ tool: path }) => path.endsWith('opensnoop')) ?? running[0];
    if (tool === undefined) return context.skip('no tool runs on this kernel');
    // Private mappings of files are dumped too, core(5).
    writeFileSync(`/proc/${tool.pid}/coredump_filter`, '0x3f');
    execFileSync('gcore', ['-o', join(directory, 'core'), String(tool.pid)], { stdio: 'ignore' });
    const core = await scanning({ raw: true }, [join(directory, `core.${tool.pid}`)]);
    const memory = await scanning({ pids: [tool.pid] });
    const places = (objects: readonly CarvedObject[]) =>
      objects.map((found) => `${found.address} ${facts(found)}`).sort();
    expect(places(core.objects)).toEqual(places(memory.objects));
    // Of mappings a core file names files alone.
    const nameOf = (path = '') => (path.startsWith('[') ? undefined : path || undefined);
    expect(core.objects.map(({ region }) => region?.path)).toEqual(
      memory.objects.map(({ region }) => nameOf(region?.path)),
    );
    const file = readFileSync(join(directory, `core.${tool.pid}`));
    for (const { offset = 0, size, sha256 } of core.objects) {
      expect(file.subarray(offset, offset + size).equals(core.contents.get(sha256) ?? new Uint8Array())).toBe(true);
    }
  });
});

/** Where /proc/PID/maps says that a byte of a file lies. */
function addressOf(pid: number, path: string, offset: number): string | undefined {
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [, start = '', end = '', from = ''] = /^(\w+)-(\w+) \S+ (\w+)/.exec(line) ?? [];
    const first = Number.parseInt(from, 16);
    const length = Number.parseInt(end, 16) - Number.parseInt(start, 16);
    if (line.endsWith(path) && offset >= first && offset < first + length) {
      return `0x${(Number.parseInt(start, 16) + offset - first).toString(16)}`;
    }
  }
  return undefined;
}
