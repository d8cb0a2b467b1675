// A stage on the running kernel: programs loaded by bpftool below a directory of its own in /sys/fs/bpf, tools of
// libbpf-tools, a network namespace and cgroups. Everything is taken away again.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const SAMPLES = new URL('../../samples/built/bpfel/', import.meta.url).pathname;
const BPFFS = '/sys/fs/bpf';
const TRACEFS = '/sys/kernel/tracing/events/syscalls';

/** Why the tests that need a kernel cannot run here. */
export const UNABLE: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  if (spawnSync('bpftool', ['version']).status !== 0) return 'bpftool is not installed';
  if (!/ \/sys\/fs\/bpf bpf /.test(output('cat', ['/proc/self/mounts']))) return 'no bpffs at /sys/fs/bpf';
  if (spawnSync('bpftool', ['-j', 'prog', 'show']).status !== 0) return 'bpf(2) is not allowed';
  return undefined;
})();

export function title(text: string, reason = UNABLE): string {
  return reason === undefined ? text : `${text} (skipped: ${reason})`;
}

export function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

export function hasTracefs(): boolean {
  return spawnSync('test', ['-d', TRACEFS]).status === 0;
}

export function output(command: string, args: readonly string[]): string {
  const { stdout, status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

export function bpftool(...args: readonly string[]): unknown {
  return JSON.parse(output('bpftool', ['-j', ...args]) || 'null');
}

export class Machine {
  readonly pins: string;
  readonly directory: string;
  readonly #children: ChildProcess[] = [];
  readonly #cleanups: (() => void)[] = [];
  #cgroups: string | undefined;

  constructor(name: string) {
    this.pins = `${BPFFS}/bpfcarve-${name}-${process.pid}`;
    this.directory = mkdtempSync(join(tmpdir(), 'bpfcarve-host-'));
    mkdirSync(this.pins);
  }

  /** Loads every program of a sample and returns the directory of its pins; `undefined` where the kernel refuses it. */
  load(sample: string, as = sample): string | undefined {
    const pins = `${this.pins}/${as}`;
    const { status } = spawnSync('bpftool', ['prog', 'loadall', `${SAMPLES}${sample}.bpf.o`, pins]);
    return status === 0 ? pins : undefined;
  }

  idOf(pin: string): number {
    const shown = bpftool('prog', 'show', 'pinned', pin);
    if (typeof shown !== 'object' || shown === null || !('id' in shown)) throw new Error(`${pin} is no program`);
    return Number(shown.id);
  }

  /** Many bpftool commands in one process. */
  batch(commands: readonly string[]): void {
    const file = join(this.directory, 'batch');
    writeFileSync(file, `${commands.join('\n')}\n`);
    output('bpftool', ['batch', 'file', file]);
  }

  /** Starts a tool that loads programs; it lives until `close`. */
  async tool(command: string, ...args: readonly string[]): Promise<number> {
    const before = programCount();
    const child = spawn(command, args, { stdio: 'ignore' });
    this.#children.push(child);
    for (let wait = 0; wait < 50 && programCount() === before; wait++) await sleep(100);
    await sleep(300);
    return child.pid ?? 0;
  }

  /** A network namespace with a veth pair, v0 and v1. */
  netns(): string {
    const name = `bpfcarve-${process.pid}`;
    output('ip', ['netns', 'add', name]);
    this.#cleanups.push(() => spawnSync('ip', ['netns', 'del', name]));
    output('ip', ['-n', name, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1']);
    return name;
  }

  /** A directory of its own in a cgroup2 that is mounted for the purpose. */
  cgroup(name: string): string {
    this.#cgroups ??= this.#mountCgroups();
    const path = join(this.#cgroups, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  #mountCgroups(): string {
    const mount = join(this.directory, 'cgroup');
    mkdirSync(mount);
    output('mount', ['-t', 'cgroup2', 'none', mount]);
    const root = join(mount, `bpfcarve-${process.pid}`);
    mkdirSync(root);
    this.#cleanups.push(() => {
      removeCgroups(root);
      spawnSync('umount', [mount]);
    });
    return root;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const cleanup of this.#cleanups.reverse()) cleanup();
    rmSync(this.pins, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function programCount(): number {
  const shown = bpftool('prog', 'show');
  return Array.isArray(shown) ? shown.length : 0;
}

function removeCgroups(path: string): void {
  for (const name of readdirSync(path)) {
    if (statSync(join(path, name)).isDirectory()) removeCgroups(join(path, name));
  }
  rmdirSync(path);
}

/** The names of samples that this kernel may load. */
export function sampleNames(): string[] {
  return readdirSync(SAMPLES).map((name) => basename(name, '.bpf.o'));
}
