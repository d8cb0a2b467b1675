// Processes to measure on, and what a scan of them takes. Everything started here ends here.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { table } from './measure.js';

const PYTHONS = 200;
const ROUNDS = 5;
const OBJECT = new URL('../../samples/built/bpfel/core.bpf.o', import.meta.url).pathname;

/** 200 Python processes: bytes and time with shared files read once, beside every resident page of each. */
export async function manyProcesses() {
  const python = ['/usr/bin/python3', 'python3'].find((name) => !spawnSync(name, ['--version']).error);
  if (python === undefined) return console.log('200 Python processes: skipped, python3 is not installed');
  const script = 'import json, http.server, sys; print("up", flush=True); sys.stdin.read()';
  const children = Array.from({ length: PYTHONS }, () =>
    spawn(python, ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] }),
  );
  try {
    await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
    await setTimeout(500);
    const pids = children.map(({ pid }) => String(pid));
    const resident = [process.execPath, [new URL('resident.js', import.meta.url).pathname, ...pids]];
    const shared = scan(...pids.flatMap((pid) => ['--pid', pid]));
    const rows = [['200 Python processes', 'bytes read', 'wall, start-up included', 'CPU']];
    for (const [name, command, bytesOf] of [
      ['every resident page of each', resident, ({ bytes }) => bytes],
      ['bpfcarve', shared, ({ summary }) => summary.bytes],
    ]) {
      const runs = Array.from({ length: ROUNDS }, () => measure(command));
      const wall = median(runs.map((run) => run.wall));
      const cpu = median(runs.map((run) => run.cpu));
      const bytes = bytesOf(JSON.parse(runs[0].stdout));
      rows.push([name, `${(bytes / 1e6).toFixed(0)} MB`, `${wall.toFixed(2)} s`, `${cpu.toFixed(2)} s`]);
    }
    table(rows);
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

/** A tebibyte reserved with a thousand pages touched: time, and what it did to the target. */
export async function hugeReservation() {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-bench-'));
  const holder = join(directory, 'holder');
  const source = new URL('../scan/holder.c', import.meta.url).pathname;
  execFileSync('gcc', ['-O1', '-w', '-o', holder, source]);
  copyFileSync(OBJECT, join(directory, 'object'));
  const child = spawn(holder, ['reserved', join(directory, 'object')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    await setTimeout(200);
    const before = memoryOf(child.pid);
    const runs = Array.from({ length: ROUNDS }, () => measure(scan('--pid', String(child.pid))));
    const after = memoryOf(child.pid);
    const inside = median(runs.map(({ stdout }) => JSON.parse(stdout).summary.elapsedMs));
    const wall = median(runs.map((run) => run.wall));
    console.log(
      `1 TiB reserved, 1,000 pages touched: ${inside} ms, ${wall.toFixed(2)} s with start-up; before ${before}, after ${after}`,
    );
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Every process of this machine. */
export function allProcesses() {
  const { wall, stdout } = measure(scan('--all-pids'));
  const { sources, bytes, elapsedMs } = JSON.parse(stdout).summary;
  console.log(
    `--all-pids on this machine: ${sources} processes, ${(bytes / 1e6).toFixed(0)} MB, ${elapsedMs} ms, ${wall.toFixed(2)} s with start-up`,
  );
}

function scan(...args) {
  return [process.execPath, ['bin/bpfcarve.js', 'scan', '-j', ...args]];
}

/** Wall and CPU seconds of one run; needs GNU time. */
function measure([command, args]) {
  const began = process.hrtime.bigint();
  const { stdout, stderr } = spawnSync('/usr/bin/time', ['-f', '%U %S', command, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  const [user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number);
  return { wall, cpu: user + system, stdout };
}

function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return ['VmRSS', 'VmPTE'].map((key) => `${key} ${/\d+ kB/.exec(status.slice(status.indexOf(key)))[0]}`).join(' ');
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
