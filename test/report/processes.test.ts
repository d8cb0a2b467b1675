import { expect, test } from 'vitest';
import { renderText } from '../../src/report/text.ts';
import type { CarvedObject } from '../../src/scan/events.ts';
import type { ProcessSource } from '../../src/source/source.ts';
import { render } from './render.ts';
import { carved, scanOf } from './sample.ts';

function inProcess(
  pid: number,
  address: string,
  more: Partial<ProcessSource> = {},
  sha256 = 'a1'.repeat(32),
): CarvedObject {
  const { offset: _, ...object } = carved('', 0, { sha256 });
  return {
    ...object,
    source: {
      kind: 'process',
      pid,
      startTime: '2026-01-02T03:04:05.670Z',
      comm: 'opensnoop',
      exe: '/usr/sbin/opensnoop',
      ...more,
    },
    address,
    region: {
      start: '0x55d000',
      end: '0x55e000',
      permissions: 'r--p',
      offset: 0,
      path: '/usr/sbin/opensnoop',
      inode: 7,
    },
  };
}

const texts = (objects: readonly CarvedObject[], verbose = 0) => render(renderText, scanOf(objects), { verbose });

test('a process is named by its pid, name, program, namespace and container', async () => {
  const text = await texts([inProcess(812, '0x55d4b8', { namespacePid: 7, container: 'ab'.repeat(32) })]);
  expect(text).toContain('pid 812  opensnoop  /usr/sbin/opensnoop  pid 7 in its namespace  container abababababab\n');
  expect(text).toContain('#1  0x55d4b8  3.2 KiB  a1a1a1a1a1a1  in /usr/sbin/opensnoop r--p\n');
});

test('-v tells when it started and its whole container', async () => {
  const text = await texts([inProcess(812, '0x55d4b8', { container: 'ab'.repeat(32), cgroup: '/x' })], 1);
  expect(text).toContain(`container ${'ab'.repeat(32)}  started 2026-01-02T03:04:05.670Z  cgroup /x\n`);
});

test('processes that hold the same are one group, which lists every place', async () => {
  const text = await texts([inProcess(9, '0x55a4b8'), inProcess(812, '0x55d4b8'), inProcess(813, '0x55e4b8')]);
  expect(text).toContain('pid 9  opensnoop  /usr/sbin/opensnoop  and 2 processes like it\n');
  expect(text).toContain('also in  opensnoop (812) 0x55d4b8, opensnoop (813) 0x55e4b8\n');
  expect(text).not.toContain('pid 812');
});

test('processes that hold more or less are groups of their own', async () => {
  const text = await texts([
    inProcess(9, '0x1000'),
    inProcess(10, '0x1000'),
    inProcess(10, '0x2000', {}, 'b2'.repeat(32)),
  ]);
  expect(text).toContain('pid 9 ');
  expect(text).toContain('pid 10 ');
  expect(text).toContain('same as #1');
});

test('an object in a file tells which processes hold it, and theirs that it is on disk', async () => {
  const text = await texts([
    carved('/usr/sbin/opensnoop', 0x384b8),
    inProcess(812, '0x55d4b8'),
    inProcess(813, '0x55e4b8'),
  ]);
  expect(text).toContain('in 2 processes  opensnoop (812), opensnoop (813)\n');
  expect(text).toContain('same as #1  on disk as /usr/sbin/opensnoop 0x384b8\n');
});

test('an object in a core file has an address beside its offset', async () => {
  const { address = '', region } = inProcess(1, '0x55d4b8');
  const text = await texts([carved('core.1', 0x38c30, { address, ...(region && { region }) })]);
  expect(text).toContain('0x38c30  3.2 KiB  a1a1a1a1a1a1  at 0x55d4b8 in /usr/sbin/opensnoop r--p\n');
});

test('a name that a process gave itself cannot pass for anything else', async () => {
  const text = await texts([inProcess(812, '0x1', { comm: 'x\n\x1b[2Jpid 1  ok' })]);
  expect(text).toContain('pid 812  "x\\n\\x1b[2Jpid 1  ok"');
});
