// Programs, maps and links out of what bpf(2) answers: both byte orders, kernels of any age, refusals.
import { beforeEach, describe, expect, test } from 'vitest';
import { Bpf } from '../../src/host/bpf.ts';
import { BtfObjects } from '../../src/host/btf-objects.ts';
import { readObjects } from '../../src/host/objects.ts';
import { ProgramArrays } from '../../src/host/program-arrays.ts';
import { type ProgramReader, readProgram } from '../../src/host/programs.ts';
import { FakeKernel, type FakeOptions, Struct } from './fake-kernel.ts';
import {
  ADDRESSES,
  btfObject,
  cgroupLink,
  eventsMap,
  FUNCTION_TAGS,
  MAP_IDS,
  schedSwitch,
  TAG,
  tracepointLink,
} from './records.ts';

const BOOT = Date.parse('2026-01-01T00:00:00Z');

function kernelWith(options: FakeOptions = {}): FakeKernel {
  const kernel = new FakeKernel(options);
  const { little = true } = options;
  kernel.objects.program.set(175, schedSwitch(little));
  kernel.objects.btf.set(78, btfObject(little));
  kernel.objects.map.set(69, eventsMap(little));
  kernel.objects.link.set(104, cgroupLink(little));
  kernel.objects.link.set(105, tracepointLink(little));
  return kernel;
}

function readerOf(kernel: FakeKernel): ProgramReader {
  const bpf = new Bpf(kernel);
  return { bpf, btfs: new BtfObjects(bpf, () => undefined), arrays: new ProgramArrays(bpf), bootTime: BOOT };
}

describe.each([
  { order: 'little', little: true },
  { order: 'big', little: false },
])('a $order-endian kernel', ({ little }) => {
  const kernel = kernelWith({ little });
  const { programs, maps, links, view } = readObjects(readerOf(kernel));

  test('is read to the end', () => {
    expect(view).toEqual({ status: 'ok' });
    expect(kernel.open.size).toBe(0);
  });

  test('tells all of a program', () => {
    expect(programs).toEqual([
      {
        id: 175,
        type: 'tracing',
        name: 'sched_switch',
        tag: TAG,
        subprogramTags: [FUNCTION_TAGS[1]],
        functions: [
          { name: 'sched_switch', tag: FUNCTION_TAGS[0], offset: 0, address: `0x${ADDRESSES[0]?.toString(16)}` },
          { name: 'handle_switch', tag: FUNCTION_TAGS[1], offset: 5, address: `0x${ADDRESSES[1]?.toString(16)}` },
        ],
        loadedAt: '2026-01-01T00:32:10.124Z',
        uid: 1000,
        gplCompatible: true,
        xlatedLength: 1632,
        jitedLength: 926,
        address: '0xffffffffc0025f14',
        memlock: 4096,
        verifiedInstructions: 815,
        runTimeNs: 5000,
        runCount: 7,
        mapIds: MAP_IDS,
        btfId: 78,
        sourceFile: '/build/runqlat.bpf.c',
        sourceLine: 146,
        holders: [],
        attachments: [],
        pins: [],
        knownFrom: 'bpf',
      },
    ]);
  });

  test('tells all of a map, what only fdinfo has as well', () => {
    expect(maps).toMatchObject([
      { id: 69, type: 'perf_event_array', name: 'events', keySize: 4, valueSize: 4, maxEntries: 8, flags: 0 },
    ]);
    expect(maps).toMatchObject([{ memlock: 344, frozen: true, ownerProgramType: 'raw_tracepoint', ownerJited: true }]);
  });

  test('tells where links attach', () => {
    expect(links.map(({ attachment }) => attachment)).toEqual([
      { kind: 'cgroup', target: 'cgroup 44', cgroupId: 44, attachType: 'cgroup_inet_egress', linkId: 104 },
      { kind: 'raw_tracepoint', target: 'sched_switch', cookie: '0x1122334455667788', linkId: 105 },
    ]);
  });
});

describe('a kernel that knows less of bpf_prog_info', () => {
  const read = (infoSize: number) => {
    const program = readProgram(readerOf(kernelWith({ infoSize })), 175);
    if (typeof program === 'number') throw new Error(`errno ${program}`);
    return program;
  };

  test.each([
    ['4.13', 40, ['gplCompatible', 'loadedAt', 'uid', 'name', 'btfId', 'verifiedInstructions', 'sourceFile']],
    ['4.15', 80, ['gplCompatible', 'btfId', 'verifiedInstructions']],
    ['4.16', 104, ['gplCompatible', 'btfId', 'verifiedInstructions']],
    ['4.18', 128, ['btfId', 'functions', 'sourceFile', 'verifiedInstructions']],
    ['5.1', 208, ['verifiedInstructions']],
  ])('%s says %i bytes, and the rest is absent', (_, size, absent) => {
    const program = read(size);
    for (const key of absent) expect(program).not.toHaveProperty(key);
    expect(program).toMatchObject({ id: 175, type: 'tracing', tag: TAG, xlatedLength: 1632 });
  });

  test('a kernel of the future says more, and nothing is lost', () => {
    expect(read(240)).toMatchObject({ verifiedInstructions: 815 });
  });
});

describe('what a kernel refuses', () => {
  test.each([
    [1, 'EPERM', 'denied'],
    [22, 'EINVAL', 'unsupported'],
    [38, 'ENOSYS', 'unsupported'],
  ])('errno %i (%s) to the list of programs makes the view %s', (errno, name, status) => {
    const { view, programs } = readObjects(readerOf(kernelWith({ refuse: { 11: errno } })));
    expect(view).toMatchObject({ status, reason: expect.stringContaining(name) });
    expect(programs).toEqual([]);
  });

  test('no links before 5.8: the rest is there', () => {
    const { view, programs, maps } = readObjects(readerOf(kernelWith({ refuse: { 31: 22 } })));
    expect(view).toEqual({ status: 'partial', reason: 'links: listing ended with EINVAL' });
    expect([programs.length, maps.length]).toEqual([1, 1]);
  });

  test('addresses without CAP_SYSLOG', () => {
    const kernel = kernelWith();
    kernel.objects.program.set(175, schedSwitch(true, true));
    const [program] = readObjects(readerOf(kernel)).programs;
    expect(program).not.toHaveProperty('address');
    expect(program?.functions?.map(({ tag }) => tag)).toEqual(FUNCTION_TAGS);
  });

  test.each([
    [24, 'EMFILE'],
    [1, 'EPERM'],
  ])('errno %i opening a program is said and costs the maps nothing', (errno, name) => {
    const kernel = kernelWith({ refuse: { 13: errno } });
    const { view, programs, maps, diagnostics } = readObjects(readerOf(kernel));
    expect(view).toEqual({ status: 'partial', reason: `1 of 1 program could not be read: ${name}` });
    expect(diagnostics).toMatchObject([{ code: name, where: 'program 175' }]);
    expect([programs.length, maps.length, kernel.open.size]).toEqual([0, 1, 0]);
  });

  test('errno on the info of an open program leaks no descriptor', () => {
    const kernel = kernelWith({ refuse: { 15: 19 } });
    expect(readObjects(readerOf(kernel)).view.status).toBe('partial');
    expect(kernel.open.size).toBe(0);
  });
});

test('a program that vanishes between list and look is no failure', () => {
  const kernel = kernelWith();
  kernel.vanishing.add(176);
  const { view, programs, listed } = readObjects(readerOf(kernel));
  expect(view).toEqual({ status: 'ok' });
  expect(programs.map(({ id }) => id)).toEqual([175]);
  expect([...listed.program]).toEqual([175, 176]);
});

test('a link of an unknown type keeps its bytes', () => {
  const kernel = new FakeKernel();
  kernel.objects.program.set(175, schedSwitch());
  kernel.objects.link.set(9, { info: new Struct(64).u32(0, 99, 9, 175).u32(16, 0x01020304).bytes });
  expect(readObjects(readerOf(kernel)).links).toMatchObject([{ id: 9, type: 99, raw: `04030201${'00'.repeat(44)}` }]);
});

describe('after one program, room for as much is at hand', () => {
  const INFO = 15;
  const kernel = kernelWith();
  kernel.objects.program.set(176, schedSwitch());
  kernel.objects.program.set(177, { info: new Struct(232).u32(0, 26, 177).bytes });
  const reader = readerOf(kernel);
  const first = readProgram(reader, 175);
  const questions = (id: number) => {
    const before = kernel.commands.length;
    const program = readProgram(reader, id);
    return { program, asked: kernel.commands.slice(before).filter((each) => each === INFO).length };
  };

  test('so that one like it takes a single question', () => {
    expect(questions(176)).toEqual({ program: first, asked: 1 });
  });

  test('and nothing of it shows in one that has less', () => {
    expect(questions(177)).toEqual({ program: readProgram(readerOf(kernel), 177), asked: 1 });
    expect(questions(177).program).toMatchObject({ id: 177, mapIds: [], subprogramTags: [] });
  });
});

describe('the name of a program', () => {
  let kernel: FakeKernel;
  beforeEach(() => {
    kernel = kernelWith();
  });
  const named = (name: string) => {
    const program = schedSwitch();
    new Struct(16).raw(0, name).bytes.forEach((byte, index) => {
      program.info[64 + index] = byte;
    });
    kernel.objects.program.set(175, program);
    return readObjects(readerOf(kernel)).programs[0]?.name;
  };

  test('is completed by BTF', () => expect(named('sched_s')).toBe('sched_switch'));
  test('is the kernel’s where the loader chose another', () => expect(named('other')).toBe('other'));
  test('comes from BTF where the kernel has none', () => expect(named('')).toBe('sched_switch'));
});
