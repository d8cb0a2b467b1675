import { expect, test } from 'vitest';
import { readSectionName, sectionNameFor } from '../../src/object/sections.ts';
import { NO_LIBBPF, readNames } from './libbpf.ts';

/** With what libbpf 1.0 knew, and near misses of it. */
const NAMES = [
  ...['socket', 'sk_reuseport/migrate', 'sk_reuseport', 'kprobe', 'kprobe/f', 'kprobe/f+0x10', 'uprobe//bin/sh:f+8'],
  ...[
    'uprobe.s/x',
    'kretprobe/f',
    'uretprobe/f',
    'uretprobe.s',
    'kprobe.multi/tcp_*',
    'kretprobe.multi/f',
    'ksyscall/open',
  ],
  ...['kretsyscall/open', 'usdt/libc.so.6:libc:setjmp', 'tc', 'classifier', 'action', 'tracepoint/a/b', 'tp/a/b', 'tp'],
  ...[
    'raw_tracepoint/x',
    'raw_tp/x',
    'raw_tracepoint.w/x',
    'raw_tp.w/x',
    'tp_btf/x',
    'fentry/f',
    'fmod_ret/f',
    'fexit/f',
  ],
  ...['fentry.s/f', 'fmod_ret.s/f', 'fexit.s/f', 'freplace/f', 'lsm/file_open', 'lsm.s/bpf', 'lsm_cgroup/socket_bind'],
  ...['iter/task', 'iter.s/task', 'syscall', 'xdp.frags/devmap', 'xdp/devmap', 'xdp.frags/cpumap', 'xdp/cpumap'],
  ...['xdp.frags', 'xdp', 'perf_event', 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local', 'sockops'],
  ...['sk_skb/stream_parser', 'sk_skb/stream_verdict', 'sk_skb', 'sk_msg', 'lirc_mode2', 'flow_dissector'],
  ...[
    'cgroup_skb/ingress',
    'cgroup_skb/egress',
    'cgroup/skb',
    'cgroup/sock_create',
    'cgroup/sock_release',
    'cgroup/sock',
  ],
  ...['cgroup/post_bind4', 'cgroup/post_bind6', 'cgroup/bind4', 'cgroup/bind6', 'cgroup/connect4', 'cgroup/connect6'],
  ...['cgroup/sendmsg4', 'cgroup/sendmsg6', 'cgroup/recvmsg4', 'cgroup/recvmsg6', 'cgroup/getpeername4'],
  ...['cgroup/getpeername6', 'cgroup/getsockname4', 'cgroup/getsockname6', 'cgroup/sysctl', 'cgroup/getsockopt'],
  ...['cgroup/setsockopt', 'cgroup/dev', 'struct_ops', 'struct_ops/init', 'sk_lookup'],
  ...[
    'kprobes',
    'kprobe_',
    'xdp/',
    'xdp/anything',
    'xdp_devmap',
    'tc/x',
    'socket/2',
    'cgroup',
    'cgroup/',
    'lirc_mode2/raw',
  ],
  ...['license', 'maps', '.text', '', 'action/x', 'sk_msg/x', 'lsm_cgroup', 'iter', 'fentry.x/f', 'kprobe.multi.s/f'],
];

test.skipIf(NO_LIBBPF !== undefined)(
  `types and attach types are those that libbpf reads out of ${NAMES.length} names${NO_LIBBPF ? ` (skipped: ${NO_LIBBPF})` : ''}`,
  () => {
    const expected = readNames(NAMES);
    const actual = NAMES.map((name) => {
      const { type, attachType } = readSectionName(name);
      return type === undefined ? null : { type, attachType: attachType ?? 'cgroup_inet_ingress' }; // its number is 0
    });
    expect(Object.fromEntries(NAMES.map((name, index) => [name, actual[index]]))).toEqual(
      Object.fromEntries(NAMES.map((name, index) => [name, expected[index]])),
    );
  },
);

test.each([
  ['kprobe.session/tcp_*', 'kprobe', 'trace_kprobe_session'],
  ['uprobe.multi//bin/sh:f*', 'kprobe', 'trace_uprobe_multi'],
  ['uretprobe.multi.s//bin/sh:f*', 'kprobe', 'trace_uprobe_multi'],
  ['uprobe.session.s//bin/sh:f', 'kprobe', 'trace_uprobe_session'],
  ['tc/ingress', 'sched_cls', 'tcx_ingress'],
  ['tcx/egress', 'sched_cls', 'tcx_egress'],
  ['netkit/primary', 'sched_cls', 'netkit_primary'],
  ['netkit/peer', 'sched_cls', 'netkit_peer'],
  ['sk_skb/verdict', 'sk_skb', 'sk_skb_verdict'],
  ['cgroup/connect_unix', 'cgroup_sock_addr', 'cgroup_unix_connect'],
  ['cgroup/getsockname_unix', 'cgroup_sock_addr', 'cgroup_unix_getsockname'],
  ['fsession/f', 'tracing', 'trace_fsession'],
  ['netfilter', 'netfilter', 'netfilter'],
])('%s came after libbpf 1.0', (name, type, attachType) => {
  expect(readSectionName(name)).toMatchObject({ type, attachType });
});

test('the target is what follows the prefix', () => {
  const targetOf = (name: string) => readSectionName(name).attachTo;
  expect(targetOf('kprobe/vfs_read+0x4')).toBe('vfs_read+0x4');
  expect(targetOf('uprobe//usr/bin/bash:readline')).toBe('/usr/bin/bash:readline');
  expect(targetOf('tp/sched/sched_switch')).toBe('sched/sched_switch');
  expect(targetOf('iter.s/bpf_map_elem')).toBe('bpf_map_elem');
  expect(targetOf('kprobe')).toBeUndefined();
  expect(targetOf('xdp/devmap')).toBeUndefined();
});

test('a leading question mark turns loading off and changes nothing else', () => {
  expect(readSectionName('?fentry.s/f')).toEqual({ ...readSectionName('fentry.s/f'), autoload: false });
});

test('sleepable and multi-buffer programs are told apart', () => {
  expect(readSectionName('lsm.s/bpf')).toMatchObject({ sleepable: true, frags: false });
  expect(readSectionName('usdt.s/a:b:c')).toMatchObject({ sleepable: true });
  expect(readSectionName('syscall')).toMatchObject({ sleepable: true });
  expect(readSectionName('xdp.frags/devmap')).toMatchObject({ sleepable: false, frags: true });
});

test.each([
  ['xdp', 'xdp', undefined, 'xdp'],
  ['cgroup_skb', 'cgroup_inet_egress', undefined, 'cgroup_skb/egress'],
  ['lsm', 'lsm_mac', 'file_open', 'lsm/file_open'],
  ['tracing', 'trace_fexit', 'do_unlinkat', 'fexit/do_unlinkat'],
  // Most types have no attach type: the first that there is stands for it.
  ['socket_filter', 'cgroup_inet_ingress', undefined, 'socket'],
  ['kprobe', 'cgroup_inet_ingress', undefined, 'kprobe'],
  ['tracing', 'nonsense', undefined, undefined],
  ['nonsense', 'xdp', undefined, undefined],
])('a program of type %s and attach type %s, to %s, is one of section %s', (type, attachType, attachTo, section) => {
  expect(sectionNameFor(type, attachType, attachTo)).toBe(section);
  if (section !== undefined) expect(readSectionName(section).type).toBe(type);
});
