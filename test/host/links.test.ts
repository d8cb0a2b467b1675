// Every type of link, out of bpf_link_info written by hand.
import { describe, expect, test } from 'vitest';
import { Bpf } from '../../src/host/bpf.ts';
import { BtfObjects } from '../../src/host/btf-objects.ts';
import { readLink } from '../../src/host/links.ts';
import { FakeKernel, type FakeObject, Struct } from './fake-kernel.ts';
import { btfObject } from './records.ts';

const KINDS = { tracing: 2, cgroup: 3, iter: 4, netns: 5, xdp: 6, perf: 7, multi: 8, ops: 9, netfilter: 10, tcx: 11 };

function read(object: FakeObject, infoSize = 4096) {
  const kernel = new FakeKernel({ infoSize });
  kernel.objects.link.set(5, object);
  kernel.objects.btf.set(78, btfObject());
  const bpf = new Bpf(kernel);
  const link = readLink(bpf, new BtfObjects(bpf, () => undefined), 5);
  expect(kernel.open.size).toBe(0);
  return typeof link === 'number' ? link : link.attachment;
}

function info(type: number): Struct {
  return new Struct(64).u32(0, type, 5, 175);
}

function named(struct: Struct, pointer: number, count: number, name: string): FakeObject {
  return {
    info: struct.bytes,
    arrays: { [pointer]: { content: new TextEncoder().encode(`${name}\0`), count, size: 1 } },
  };
}

test.each([
  [
    'fentry',
    info(KINDS.tracing).u32(16, 24, 78, 3),
    { kind: 'fentry', target: 'handle_switch', attachType: 'trace_fentry' },
  ],
  ['lsm', info(KINDS.tracing).u32(16, 27, 78, 2), { kind: 'lsm', target: 'sched_switch', attachType: 'lsm_mac' }],
  ['a replaced function', info(KINDS.tracing).u32(16, 0, 78, 3), { kind: 'ext', target: 'handle_switch' }],
  [
    'what has no BTF',
    info(KINDS.tracing).u32(16, 25, 9, 3),
    { kind: 'fexit', target: 'type 3 of BTF 9', attachType: 'trace_fexit' },
  ],
  [
    'a network namespace',
    info(KINDS.netns).u32(16, 4026532177, 36),
    { kind: 'netns', target: 'net:[4026532177]', netns: 4026532177, attachType: 'sk_lookup' },
  ],
  ['xdp', info(KINDS.xdp).u32(16, 3), { kind: 'xdp', target: 'interface 3', ifindex: 3 }],
  ['tcx', info(KINDS.tcx).u32(16, 3, 47), { kind: 'tcx', target: 'interface 3', ifindex: 3, attachType: 'tcx_egress' }],
  [
    'netfilter',
    info(KINDS.netfilter).u32(16, 2, 1, 0xffff_ff80),
    { kind: 'netfilter', target: 'protocol family 2, hook 1, priority -128' },
  ],
  ['kprobe.multi', info(KINDS.multi).u32(24, 12, 1), { kind: 'kprobe_multi', target: '12 function returns' }],
  [
    'a perf event',
    info(KINDS.perf).u32(16, 6).u64(24, 0n).u32(32, 6),
    { kind: 'perf_event', target: 'type 6, config 0x0' },
  ],
])('%s', (_, struct, place) => {
  expect(read({ info: struct.bytes })).toEqual({ ...place, linkId: 5 });
});

test.each([
  [
    'uprobe',
    named(info(KINDS.perf).u32(16, 1).u32(36, 0xd54e0), 24, 32, '/lib/libc.so.6'),
    { kind: 'uprobe', target: '/lib/libc.so.6:0xd54e0' },
  ],
  [
    'kprobe',
    named(info(KINDS.perf).u32(16, 3).u32(36, 4), 24, 32, 'do_exit'),
    { kind: 'kprobe', target: 'do_exit+0x4' },
  ],
  [
    'kretprobe by address',
    named(info(KINDS.perf).u32(16, 4).u64(40, 0xffffffff81000000n), 24, 32, ''),
    { kind: 'kretprobe', target: '0xffffffff81000000' },
  ],
  [
    'tracepoint',
    named(info(KINDS.perf).u32(16, 5).u64(40, 7n), 24, 32, 'sys_enter_open'),
    { kind: 'tracepoint', target: 'sys_enter_open', cookie: '0x7' },
  ],
  ['iterator', named(info(KINDS.iter), 16, 24, 'task'), { kind: 'iter', target: 'task' }],
])('%s with its name', (_, object, place) => {
  expect(read(object)).toEqual({ ...place, linkId: 5 });
});

describe('a place that is not told', () => {
  test.each([
    ['a perf event before 6.6', read({ info: info(KINDS.perf).bytes.slice(0, 32) }, 32)],
    ['a device that was removed', read({ info: info(KINDS.xdp).bytes })],
    ['a cgroup that was removed', read({ info: info(KINDS.cgroup).bytes })],
    ['struct_ops, which lead to a map', read({ info: info(KINDS.ops).u32(16, 9).bytes })],
  ])('%s', (_, attachment) => expect(attachment).toBeUndefined());
});
