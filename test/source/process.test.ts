import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, readSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { existingPages, PAGE } from '../../src/source/pagemap.ts';
import { listProcesses, OpenProcess, openProcess } from '../../src/source/process.ts';
import { ProcessMemory } from '../../src/source/process-memory.ts';
import { libc } from '../../src/sys/libc.ts';

const unprivileged = process.geteuid?.() === 0 ? undefined : 'needs root';

function sleeper(command = 'exec sleep 1000') {
  const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, pid: child.pid ?? 0 };
}

async function open(pid: number): Promise<OpenProcess> {
  const process = openProcess(pid);
  if (!(process instanceof OpenProcess)) throw new Error(process.message);
  onTestFinished(() => process.close());
  return process;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe.skipIf(unprivileged !== undefined)(
  `a process${unprivileged === undefined ? '' : ` (${unprivileged})`}`,
  () => {
    test('is known by its pid, start, name and program', async () => {
      const { pid } = sleeper();
      await until(() => readlinkSync(`/proc/${pid}/exe`).endsWith('sleep'));
      const { source } = await open(pid);
      expect(source).toMatchObject({ kind: 'process', pid, comm: 'sleep', exe: readlinkSync(`/proc/${pid}/exe`) });
      // The boot time is known to the second.
      expect(Math.abs(Date.parse(source.startTime) - Date.now())).toBeLessThan(60_000);
      expect(listProcesses()).toContain(pid);
    });

    test('whose name is made to mislead is told right', async () => {
      const { child } = sleeper('printf "x) R 1 1 1 (" > /proc/$$/comm; echo ready; exec cat');
      await once(child.stdout, 'data');
      const { child: other, pid } = sleeper('printf ") S 1\\n2 (" > /proc/$$/comm; echo ready; read line');
      await once(other.stdout, 'data');
      expect((await open(pid)).source).toMatchObject({ pid, comm: ') S 1\n2 (' });
    });

    test('that still is what it was has not changed', async () => {
      const { pid } = sleeper();
      await until(() => readlinkSync(`/proc/${pid}/exe`).endsWith('sleep'));
      expect((await open(pid)).changed()).toBeUndefined();
    });

    test('that executes another program, or its own again, is told, and its old memory reads as nothing', async () => {
      const { child, pid } = sleeper('echo ready; read line; exec sh -c "echo again; read line"');
      await once(child.stdout, 'data');
      const process = await open(pid);
      const memory = new ProcessMemory(process, libc());
      const [page] = memory.pages;
      child.stdin.write('\n');
      await once(child.stdout, 'data');
      expect(process.changed()).toMatchObject({ reason: 'exec' });
      expect(memory.readInto(new Uint8Array(16), page?.from ?? 0)).toBe(0);
      expect(memory.gone).toBe(true);
    });

    test('that executes another program before its pages were looked up has none', async () => {
      const { child, pid } = sleeper('echo ready; read line; exec sh -c "echo again; read line"');
      await once(child.stdout, 'data');
      const memory = new ProcessMemory(await open(pid), libc());
      child.stdin.write('\n');
      await once(child.stdout, 'data');
      expect(memory.pages).toEqual([]);
      expect(memory.gone).toBe(true);
    });

    test('that ends is told, and its memory reads as nothing', async () => {
      const { child, pid } = sleeper();
      const process = await open(pid);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(process.changed()).toMatchObject({ reason: 'gone', code: 'ESRCH' });
      expect(readSync(process.memory, new Uint8Array(16), 0, 16, process.mappings[0]?.start ?? 0)).toBe(0);
    });

    test.skipIf(!existsSync('/proc/sys/kernel/ns_last_pid'))('whose pid another one got is told from it', async () => {
      const { child, pid } = sleeper();
      const process = await open(pid);
      child.kill('SIGKILL');
      await once(child, 'exit');
      // Start times are told to a hundredth of a second.
      await new Promise((resolve) => setTimeout(resolve, 30));
      let next = 0;
      for (let attempt = 0; attempt < 50 && next !== pid; attempt++) {
        writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
        next = sleeper().pid;
      }
      expect(next).toBe(pid);
      expect(process.changed()).toMatchObject({ reason: 'gone', message: expect.stringContaining('another process') });
      expect((await open(pid)).identity).not.toBe(process.identity);
    });

    test('is not one of its threads', async () => {
      const { child } = sleeper('exec node -e "console.log(1); setInterval(() => {}, 1e6)"');
      await once(child.stdout, 'data');
      const thread = Number(readFileSync(`/proc/${child.pid}/status`, 'latin1').match(/Threads:\t(\d+)/)?.[1] ?? 0);
      expect(thread).toBeGreaterThan(1);
      const other =
        readdirSync(`/proc/${child.pid}/task`)
          .map(Number)
          .find((tid) => tid !== child.pid) ?? 0;
      expect(openProcess(other)).toMatchObject({ reason: 'thread', message: expect.stringContaining(`${child.pid}`) });
    });

    test.skipIf(libc() === undefined)('has the same pages with PAGEMAP_SCAN and page by page', async () => {
      const { pid } = sleeper();
      await until(() => readlinkSync(`/proc/${pid}/exe`).endsWith('sleep'));
      const { pagemap, mappings } = await open(pid);
      const mapped = mappings.map(({ start, end }) => ({ from: start, to: end }));
      const pagesOf = (ranges: ReturnType<typeof existingPages>) =>
        ranges.flatMap(({ from, to, shared }) =>
          Array.from({ length: (to - from) / PAGE }, (_, index) => `${from + index * PAGE} ${shared}`),
        );
      const asked = pagesOf(existingPages(pagemap, mapped, libc()));
      const read = pagesOf(existingPages(pagemap, mapped, undefined));
      expect(asked.length).toBeGreaterThan(10);
      // The page of zeros is told only by the request; [vdso] is the kernel's page, which the two call differently.
      expect(read).toEqual(expect.arrayContaining(asked));
    });
  },
);
