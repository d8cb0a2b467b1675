// A systemd that is PID 1 of namespaces of its own, with three services whose settings become BPF programs.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachedBelow, heldPrograms, loadedPrograms, readOr } from './programs.ts';
import { until } from './until.ts';

const SYSTEMD = '/usr/lib/systemd/systemd';
const SETUP = new URL('systemd-root.sh', import.meta.url).pathname;
const SERVICES = {
  account: ['IPAccounting=yes'],
  address: ['IPAccounting=yes', 'IPAddressAllow=10.0.0.0/8', 'IPAddressDeny=192.168.0.0/16'],
  device: ['DevicePolicy=closed', 'DeviceAllow=/dev/null rw'],
} as const;
/** Of each of the first two services one for either direction, and one device filter. */
const PROGRAMS = 5;
/** It ends with whoever started it, and may neither set the clock nor touch modules, whatever it finds to do. */
const CONFINED = ['--pdeathsig', 'KILL', '--bounding-set', '-sys_time,-sys_boot,-sys_module'];
const NAMESPACES = ['--mount', '--pid', '--cgroup', '--net', '--uts', '--ipc', '--fork', '--kill-child'];

/** Where the second version of control groups is mounted. */
const CGROUPS = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];

/** Its version; `undefined` when there is none. */
export const VERSION: number | undefined = existsSync(SYSTEMD)
  ? Number(/^systemd (\d+)/.exec(execFileSync(SYSTEMD, ['--version'], { encoding: 'latin1' }))?.[1])
  : undefined;

/** Why it cannot run here; `undefined` when it can. */
export const UNABLE: string | undefined = whyNot();

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  if (VERSION === undefined) return `needs ${SYSTEMD}`;
  if (CGROUPS === undefined) return 'needs a mounted cgroup2';
  const bpf = spawnSync('bpftool', ['prog', 'show'], { encoding: 'utf8' });
  if (bpf.status !== 0) return `needs BPF programs and bpftool: ${bpf.error?.message ?? bpf.stderr.trim()}`;
  const namespaces = [...CONFINED, 'unshare', ...NAMESPACES, 'mount', '-t', 'cgroup2', 'none', tmpdir()];
  const { status, error, stderr } = spawnSync('setpriv', namespaces, { encoding: 'utf8' });
  return status === 0 ? undefined : `needs namespaces: ${error?.message ?? stderr.trim()}`;
}

export interface Systemd {
  /** As everybody else sees it. */
  readonly pid: number;
  /** The directory of its control group. */
  readonly cgroup: string;
  /** Ids of the programs that it holds, ascending. */
  programs(): number[];
  /** Executes itself anew, and loads its programs again. */
  reexecute(): Promise<void>;
  /** Reads its configuration again, and loads its programs again. */
  reload(): Promise<void>;
  /** Ends it and everything in its namespaces, and waits until the kernel has forgotten its programs. */
  stop(): Promise<void>;
}

/** Resolves when all of its services run and their programs are attached. */
export async function startSystemd(): Promise<Systemd> {
  const root = mkdtempSync(join(tmpdir(), 'bpfcarve-systemd-'));
  const cgroup = mkdtempSync(join(CGROUPS ?? '', 'bpfcarve-systemd-'));
  writeConfiguration(root);
  const enter = `echo $$ > '${cgroup}/cgroup.procs'; exec setpriv ${CONFINED.join(' ')} unshare ${NAMESPACES.join(' ')} sh '${SETUP}' '${root}'`;
  const child = spawn('sh', ['-c', enter], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = once(child, 'close');
  try {
    const pid = await until('systemd to start', () => {
      if (child.exitCode !== null) throw new Error(`systemd did not start: ${said}`);
      return systemdOf(child);
    });
    const systemd = running(pid, cgroup);
    await settled(systemd, []);
    return { ...systemd, stop: () => stop(systemd, ended, root) };
  } catch (error) {
    const pid = systemdOf(child) ?? child.pid;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await ended;
    await removeCgroup(cgroup);
    rmSync(root, { recursive: true });
    throw new Error(`systemd said: ${said}`, { cause: error });
  }
}

function writeConfiguration(root: string): void {
  const etc = join(root, 'etc');
  const units = join(etc, 'systemd/system');
  mkdirSync(units, { recursive: true });
  writeFileSync(join(etc, 'machine-id'), `${'0123456789abcdef'.repeat(2)}\n`);
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  writeFileSync(join(etc, 'group'), 'root:x:0:\n');
  const unit = ['[Unit]', 'DefaultDependencies=no'];
  const write = (name: string, ...lines: readonly string[]) =>
    writeFileSync(join(units, name), `${[...unit, ...lines].join('\n')}\n`);
  const names = Object.keys(SERVICES).map((name) => `${name}.service`);
  write('default.target', `Wants=${names.join(' ')}`);
  for (const [name, settings] of Object.entries(SERVICES)) {
    write(`${name}.service`, '[Service]', 'ExecStart=/bin/sleep infinity', ...settings);
  }
}

/** PID 1 of the namespace, once it is systemd. */
function systemdOf({ pid }: ChildProcess): number | undefined {
  const [child] = readOr('', `/proc/${pid}/task/${pid}/children`).split(' ');
  return readOr('', `/proc/${child}/comm`) === 'systemd\n' ? Number(child) : undefined;
}

function running(pid: number, cgroup: string): Omit<Systemd, 'stop'> {
  const programs = () => heldPrograms(pid);
  const systemd = { pid, cgroup, programs };
  const signalled = async (signal: NodeJS.Signals) => {
    const before = programs();
    process.kill(pid, signal);
    await settled(systemd, before);
  };
  // systemd(1), "Signals".
  return { ...systemd, reexecute: () => signalled('SIGTERM'), reload: () => signalled('SIGHUP') };
}

/** It holds all of its programs, none of those before, and these are the ones that are attached. */
async function settled({ programs, cgroup }: Pick<Systemd, 'programs' | 'cgroup'>, before: readonly number[]) {
  await until('the programs of systemd', () => {
    const ids = programs();
    const isNew = ids.length === PROGRAMS && !ids.some((id) => before.includes(id));
    return isNew && attachedBelow(cgroup).join() === ids.join() ? ids : undefined;
  });
}

async function stop(
  { pid, cgroup, programs }: Pick<Systemd, 'pid' | 'cgroup' | 'programs'>,
  ended: Promise<unknown>,
  root: string,
) {
  const ids = programs();
  process.kill(pid, 'SIGKILL');
  await ended;
  await removeCgroup(cgroup);
  rmSync(root, { recursive: true });
  await until('the kernel to free the programs', () =>
    ids.some((id) => loadedPrograms().includes(id)) ? undefined : true,
  );
}

/** Processes leave their groups a moment after they end. */
async function removeCgroup(cgroup: string): Promise<void> {
  await until(`${cgroup} to be empty`, () => {
    const { populated } =
      /^populated (?<populated>\d)$/m.exec(readFileSync(join(cgroup, 'cgroup.events'), 'latin1'))?.groups ?? {};
    return populated === '0' ? true : undefined;
  });
  removeGroups(cgroup);
}

function removeGroups(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroups(join(cgroup, entry.name));
  }
  rmdirSync(cgroup);
}
