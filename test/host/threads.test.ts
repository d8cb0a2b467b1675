// Threads that do not share the descriptors of their process: which there are, and what they hold.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readHolders } from '../../src/host/holders.ts';
import { readHost } from '../../src/host/host.ts';
import { ERRNO, type Native, nativeSys } from '../../src/host/syscall.ts';
import { threadsWithOwnTable } from '../../src/host/threads.ts';
import { has, Machine, output, title, UNABLE } from './machine.ts';

describe('threads with a table of their own', () => {
  const PID = 100;
  let proc: string;
  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), 'bpfcarve-threads-'));
  });
  afterEach(() => rmSync(proc, { recursive: true }));

  /** Threads by number, each with the descriptors it shows. */
  function threads(descriptors: Readonly<Record<number, readonly number[]>>): void {
    for (const [tid, numbers] of Object.entries(descriptors)) {
      mkdirSync(`${proc}/${PID}/task/${tid}/fd`, { recursive: true });
      for (const number of numbers) writeFileSync(`${proc}/${PID}/task/${tid}/fd/${number}`, '');
    }
    mkdirSync(`${proc}/${PID}/fd`);
    for (const number of descriptors[PID] ?? []) writeFileSync(`${proc}/${PID}/fd/${number}`, '');
  }

  /** A kernel in which a thread's table lies at an address. */
  function kernel(addresses: ReadonlyMap<number, number>) {
    let calls = 0;
    return {
      compareTables(first: number, second: number): number {
        calls++;
        const difference = (addresses.get(first) ?? 0) - (addresses.get(second) ?? 0);
        return difference === 0 ? 0 : difference < 0 ? 1 : 2;
      },
      calls: () => calls,
    };
  }

  test('are one of each table but the leader’s, whatever the order of the tables', () => {
    mkdirSync(`${proc}/${PID}/task`, { recursive: true });
    fc.assert(
      fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 20 }), (tables) => {
        const addresses = new Map(tables.map((table, index) => [PID + index, table]));
        rmSync(`${proc}/${PID}/task`, { recursive: true });
        for (const tid of addresses.keys()) mkdirSync(`${proc}/${PID}/task/${tid}`, { recursive: true });
        const { tids } = threadsWithOwnTable(proc, PID, kernel(addresses));
        const found = tids.map((tid) => addresses.get(tid)).sort();
        expect(found).toEqual([...new Set(tables)].filter((table) => table !== tables[0]).sort());
      }),
      { numRuns: 50 },
    );
  });

  test('cost one question a thread where all share', () => {
    const tids = Array.from({ length: 50 }, (_, index) => PID + index);
    threads(Object.fromEntries(tids.map((tid) => [tid, [0]])));
    const { compareTables, calls } = kernel(new Map(tids.map((tid) => [tid, 1])));
    expect(threadsWithOwnTable(proc, PID, { compareTables })).toEqual({ tids: [], guessed: false });
    expect(calls()).toBe(49);
  });

  test('are those whose numbers differ where the kernel does not compare', () => {
    threads({ [PID]: [0, 1], 101: [0, 1], 102: [0, 1, 2], 103: [0, 1, 2], 104: [0] });
    const refused = { compareTables: () => -ERRNO.ENOSYS };
    expect(threadsWithOwnTable(proc, PID, refused)).toEqual({ tids: [102, 104], guessed: true });
    expect(threadsWithOwnTable(proc, PID)).toEqual({ tids: [102, 104], guessed: true });
  });

  test('are read where it is not known whether one of two has ended', () => {
    threads({ [PID]: [0], 101: [0] });
    expect(threadsWithOwnTable(proc, PID, { compareTables: () => -ERRNO.ESRCH })).toEqual({
      tids: [101],
      guessed: false,
    });
  });

  test('are none of a process with one thread, or of none', () => {
    threads({ [PID]: [0] });
    expect(threadsWithOwnTable(proc, PID)).toEqual({ tids: [], guessed: false });
    expect(threadsWithOwnTable(proc, 7)).toEqual({ tids: [], guessed: false });
  });
});

const reason = UNABLE ?? (has('gcc') ? undefined : 'no gcc');

describe.skipIf(reason !== undefined)(title('a program that only a thread holds', reason), () => {
  let machine: Machine;
  let pin: string;
  let id: number;
  const children: ChildProcess[] = [];

  beforeAll(() => {
    machine = new Machine('threads');
    pin = `${machine.load('cgroup')}/account_egress`;
    id = machine.idOf(pin);
    const source = new URL('own-descriptors.c', import.meta.url).pathname;
    output('gcc', ['-O1', '-pthread', '-o', `${machine.directory}/own`, source]);
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  afterAll(() => machine?.close());

  async function start(...args: readonly string[]): Promise<{ readonly pid: number; readonly tid: number }> {
    const child = spawn(`${machine.directory}/own`, [pin, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [line] = await once(child.stdout, 'data');
    return { pid: child.pid ?? 0, tid: Number(line) };
  }

  const holders = async (native: Native) =>
    (await readHost({ native })).programs.find((program) => program.id === id)?.holders;

  test('is held by its process, though the process’s own descriptors do not show it', async () => {
    const { pid, tid } = await start('3');
    const shown = readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
    expect(shown).not.toContain('anon_inode:bpf-prog');
    expect(await holders(nativeSys())).toMatchObject([{ pid, tid, comm: 'own', via: ['prog-fd'] }]);
  });

  test('is found where the kernel does not compare tables, and the view says how', async () => {
    const { pid, tid } = await start();
    const native = nativeSys();
    if ('missing' in native) throw new Error(native.missing);
    const sys = { ...native.sys, compareTables: () => -ERRNO.ENOSYS };
    expect(await holders({ ...native, sys })).toMatchObject([{ pid, tid }]);
    const { held, view } = await readHolders({ proc: '/proc', budget: 10_000 });
    expect(held).toContainEqual(expect.objectContaining({ tid, programId: id }));
    expect(view.reason).toMatch(/kcmp\(2\) is not to be had: threads of \d+ process(es)? are taken to share/);
  });

  test('is found where the first thread has ended', async () => {
    const { pid, tid } = await start('2', 'ends');
    const exe = `${machine.directory}/own`;
    const found = (await holders(nativeSys())) ?? [];
    expect(found).toMatchObject([{ pid, exe, via: ['prog-fd'] }]);
    // One of those that share the table.
    expect([tid - 2, tid - 1, tid]).toContain(found[0]?.tid);
  });

  test('is found among 2,000 threads', async () => {
    const { pid, tid } = await start('2000');
    expect(await holders(nativeSys())).toMatchObject([{ pid, tid }]);
  });
});
