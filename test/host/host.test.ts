// The whole of the room over a kernel made of records and a /proc made of files.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { liveTags, readHost } from '../../src/host/host.ts';
import { FakeKernel, nativeOf } from './fake-kernel.ts';
import { btfObject, cgroupLink, eventsMap, FUNCTION_TAGS, schedSwitch, TAG } from './records.ts';

let proc: string;
let kernel: FakeKernel;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'bpfcarve-proc-'));
  mkdirSync(`${proc}/self`);
  writeFileSync(`${proc}/self/mountinfo`, '');
  writeFileSync(`${proc}/uptime`, '100.00 200.00\n');
  writeFileSync(
    `${proc}/kallsyms`,
    symbols(TAG, 'ffffffffc0025f14') + symbols(FUNCTION_TAGS[1] ?? '', 'ffffffffc0026000'),
  );
  kernel = new FakeKernel();
  kernel.objects.program.set(175, schedSwitch());
  kernel.objects.btf.set(78, btfObject());
  for (const id of [65, 66, 69]) kernel.objects.map.set(id, eventsMap());
});
afterEach(() => rmSync(proc, { recursive: true }));

const read = () => readHost({ native: nativeOf(kernel), proc, recheckDelay: 10, kernelBtf: () => undefined });

function symbols(tag: string, address: string): string {
  return `${address} t bpf_prog_${tag}_name\t[bpf]\n`;
}

/** A process that holds one descriptor. */
function processHolding(pid: number, comm: string, target: string, fdinfo: string): void {
  mkdirSync(`${proc}/${pid}/fd`, { recursive: true });
  mkdirSync(`${proc}/${pid}/fdinfo`);
  writeFileSync(`${proc}/${pid}/comm`, `${comm}\n`);
  writeFileSync(`${proc}/${pid}/stat`, `${pid} (${comm}) S ${Array.from({ length: 18 }, () => 0).join(' ')} 4242 0\n`);
  symlinkSync(`/usr/bin/${comm}`, `${proc}/${pid}/exe`);
  symlinkSync(target, `${proc}/${pid}/fd/7`);
  writeFileSync(`${proc}/${pid}/fdinfo/7`, fdinfo);
}

const heldProgram = (id: number, tag = TAG) => `pos:\t0\nprog_type:\t26\nprog_tag:\t${tag}\nprog_id:\t${id}\n`;

test('a holder is found by descriptor', async () => {
  processHolding(812, 'a ) b', 'anon_inode:bpf-prog', heldProgram(175));
  const { programs, inconsistencies } = await read();
  expect(programs[0]?.holders).toEqual([
    { pid: 812, comm: 'a ) b', exe: '/usr/bin/a ) b', startTime: '4242', via: ['prog-fd'] },
  ]);
  expect(inconsistencies).toEqual([]);
});

test('views that have nothing to look at say so, and cost the programs nothing', async () => {
  rmSync(`${proc}/kallsyms`);
  const { views, programs } = await read();
  expect(views.kallsyms).toEqual({ status: 'unsupported', reason: `${proc}/kallsyms: ENOENT` });
  expect(views.cgroup).toEqual({ status: 'unsupported', reason: 'no cgroup2 is mounted' });
  expect(programs).toHaveLength(1);
});

describe('views that disagree', () => {
  test('A, B, C: an id that is not listed but opens, has symbols and is held', async () => {
    kernel.hidden.add(175);
    processHolding(812, 'hider', 'anon_inode:bpf-prog', heldProgram(175));
    const { inconsistencies, programs, diagnostics } = await read();
    expect(inconsistencies).toMatchObject([{ object: 'program', id: 175, checks: ['A', 'B', 'C'] }]);
    expect(programs).toMatchObject([{ id: 175, name: 'sched_switch', unlisted: true, holders: [{ comm: 'hider' }] }]);
    expect(diagnostics.map(({ code }) => code)).toContain('inconsistent-views');
  });

  test('B: a symbol of a program that nobody lists', async () => {
    writeFileSync(`${proc}/kallsyms`, symbols('0123456789abcdef', 'ffffffffc0030000'), { flag: 'a' });
    expect((await read()).inconsistencies).toEqual([
      {
        object: 'program',
        tag: '0123456789abcdef',
        checks: ['B'],
        evidence: ['kallsyms lists bpf_prog_0123456789abcdef_name at 0xffffffffc0030000'],
      },
    ]);
  });

  test('D: a link whose program is not listed', async () => {
    kernel.objects.program.delete(175);
    kernel.objects.link.set(104, cgroupLink());
    writeFileSync(`${proc}/kallsyms`, '');
    expect((await read()).inconsistencies).toMatchObject([
      { id: 175, checks: ['D'], evidence: ['link 104 belongs to program 175'] },
    ]);
  });

  test('E: a map that its program uses and the list lacks', async () => {
    kernel.hidden.add(66);
    expect((await read()).inconsistencies).toMatchObject([{ object: 'map', id: 66, checks: ['E'] }]);
  });

  test('F: fdinfo and bpf(2) tell two tags', async () => {
    processHolding(812, 'edited', 'anon_inode:bpf-prog', heldProgram(175, 'ffffffffffffffff'));
    const { inconsistencies, diagnostics } = await read();
    expect(inconsistencies).toMatchObject([{ id: 175, checks: ['F'] }]);
    expect(diagnostics.at(-1)?.message).toBe(
      `inconsistent views (check F): two tags, but descriptor 7 of process 812 (edited) says tag ffffffffffffffff, bpf(2) says ${TAG}`,
    );
  });
});

describe('views that agree in the end', () => {
  test('a program that was held and ends', async () => {
    processHolding(812, 'gone', 'anon_inode:bpf-prog', heldProgram(999));
    setTimeout(() => rmSync(`${proc}/812`, { recursive: true }), 2);
    expect((await read()).inconsistencies).toEqual([]);
  });

  test('a symbol that was there once', async () => {
    writeFileSync(`${proc}/kallsyms`, symbols('0123456789abcdef', 'ffffffffc0030000'), { flag: 'a' });
    setTimeout(() => writeFileSync(`${proc}/kallsyms`, symbols(TAG, 'ffffffffc0025f14')), 2);
    expect((await read()).inconsistencies).toEqual([]);
  });

  test('links that the kernel cannot list are no link that it hides', async () => {
    kernel = new FakeKernel({ refuse: { 31: 22 } });
    writeFileSync(`${proc}/kallsyms`, '');
    processHolding(812, 'old', 'anon_inode:bpf_link', 'link_type:\tcgroup\nlink_id:\t5\nprog_id:\t0\n');
    expect((await read()).inconsistencies).toEqual([]);
  });
});

test('without privilege descriptors and symbols are put together', async () => {
  kernel = new FakeKernel({ refuse: { 11: 1, 12: 1, 31: 1 } });
  processHolding(812, 'own', 'anon_inode:bpf-prog', heldProgram(175));
  processHolding(
    813,
    'maps',
    'anon_inode:bpf-map',
    'map_type:\t3\nkey_size:\t4\nmap_flags:\t0x80\nmap_id:\t245\nfrozen:\t0\n',
  );
  const { programs, maps, views } = await read();
  expect(views.bpf).toEqual({
    status: 'denied',
    reason:
      'EPERM: listing programs takes CAP_SYS_ADMIN in the initial user namespace; names and tags are from kallsyms; subprograms are among them',
  });
  expect(programs).toMatchObject([
    { id: 175, type: 'tracing', tag: TAG, name: 'name', knownFrom: 'fdinfo', holders: [{ pid: 812 }] },
    { tag: FUNCTION_TAGS[1], knownFrom: 'kallsyms' },
  ]);
  expect(maps).toMatchObject([{ id: 245, type: 'prog_array', flags: 128, frozen: false, holders: [{ pid: 813 }] }]);
});

describe('the tags of what is loaded', () => {
  test('with the ids', () => {
    kernel.objects.program.set(180, schedSwitch());
    expect(liveTags({ native: nativeOf(kernel) })).toEqual({ tags: new Map([[TAG, [175, 180]]]), diagnostics: [] });
  });

  test('or why there are none', () => {
    const denied = nativeOf(new FakeKernel({ refuse: { 11: 1 } }));
    expect(liveTags({ native: denied }).diagnostics).toMatchObject([{ code: 'EPERM' }]);
    expect(liveTags({ native: { missing: 'koffi cannot be used' } }).diagnostics).toMatchObject([
      { code: 'unsupported' },
    ]);
  });
});
