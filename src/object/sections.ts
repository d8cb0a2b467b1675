// What a section name says of the programs in it: libbpf's SEC() conventions (section_defs of libbpf 1.7, sec_def_matches).
// Types and attach types are the kernel's enumerators, in lower case without prefix, as bpftool prints them.

export interface SectionMeaning {
  /** BPF_PROG_TYPE_*; absent for names that libbpf does not know: the loader then decides. */
  readonly type?: string;
  /** The expected attach type, BPF_*; absent where it is 0 and means nothing. */
  readonly attachType?: string;
  /** What follows the prefix: a function, `binary:symbol`, a tracepoint, a hook, a syscall. */
  readonly attachTo?: string;
  /** May sleep: BPF_F_SLEEPABLE. */
  readonly sleepable: boolean;
  /** Takes packets in several buffers: BPF_F_XDP_HAS_FRAGS. */
  readonly frags: boolean;
  /** `SEC("?...")` is loaded only when the application asks for it. */
  readonly autoload: boolean;
}

export function readSectionName(name: string): SectionMeaning {
  const autoload = !name.startsWith('?');
  const bare = autoload ? name : name.slice(1);
  const definition = findDefinition(bare);
  if (definition === undefined) return { sleepable: false, frags: false, autoload };
  const [pattern, type, attachType, trait] = definition;
  const attachTo = pattern.endsWith('+') ? bare.slice(pattern.length) : '';
  return {
    type,
    ...(attachType !== undefined && attachType !== '' && { attachType }),
    ...(attachTo !== '' && { attachTo }),
    sleepable: trait === 'sleepable',
    frags: trait === 'frags',
    autoload,
  };
}

/**
 * A section name that means this type and attach type, and this target where names have targets; `undefined` where none does.
 * For what was loaded without an object: its own name, which may have said more, is not known.
 */
export function sectionNameFor(type: string, attachType: string, attachTo?: string): string | undefined {
  const rows = DEFINITIONS.filter(([, other, , trait]) => other === type && trait !== 'frags');
  const [pattern] = rows.find((row) => row[2] === attachType) ?? rows.find((row) => (row[2] ?? '') === '') ?? [];
  if (pattern === undefined || !pattern.endsWith('+')) return pattern;
  const prefix = pattern.slice(0, -1);
  return attachTo === undefined ? prefix : `${prefix}/${attachTo}`;
}

/** `type` matches itself; `type+` matches `type` and `type/anything`. */
function findDefinition(name: string): Definition | undefined {
  const exact = EXACT.get(name);
  if (exact !== undefined) return exact;
  const slash = name.indexOf('/');
  return OPEN.get(slash < 0 ? name : name.slice(0, slash));
}

type Definition = readonly [pattern: string, type: string, attachType?: string, trait?: 'sleepable' | 'frags'];

const DEFINITIONS: readonly Definition[] = [
  ['socket', 'socket_filter'],
  ['sk_reuseport/migrate', 'sk_reuseport', 'sk_reuseport_select_or_migrate'],
  ['sk_reuseport', 'sk_reuseport', 'sk_reuseport_select'],
  ['kprobe+', 'kprobe'],
  ['uprobe+', 'kprobe'],
  ['uprobe.s+', 'kprobe', '', 'sleepable'],
  ['kretprobe+', 'kprobe'],
  ['uretprobe+', 'kprobe'],
  ['uretprobe.s+', 'kprobe', '', 'sleepable'],
  ['kprobe.multi+', 'kprobe', 'trace_kprobe_multi'],
  ['kretprobe.multi+', 'kprobe', 'trace_kprobe_multi'],
  ['kprobe.session+', 'kprobe', 'trace_kprobe_session'],
  ['uprobe.multi+', 'kprobe', 'trace_uprobe_multi'],
  ['uretprobe.multi+', 'kprobe', 'trace_uprobe_multi'],
  ['uprobe.session+', 'kprobe', 'trace_uprobe_session'],
  ['uprobe.multi.s+', 'kprobe', 'trace_uprobe_multi', 'sleepable'],
  ['uretprobe.multi.s+', 'kprobe', 'trace_uprobe_multi', 'sleepable'],
  ['uprobe.session.s+', 'kprobe', 'trace_uprobe_session', 'sleepable'],
  ['ksyscall+', 'kprobe'],
  ['kretsyscall+', 'kprobe'],
  ['usdt+', 'kprobe'],
  ['usdt.s+', 'kprobe', '', 'sleepable'],
  ['tc/ingress', 'sched_cls', 'tcx_ingress'],
  ['tc/egress', 'sched_cls', 'tcx_egress'],
  ['tcx/ingress', 'sched_cls', 'tcx_ingress'],
  ['tcx/egress', 'sched_cls', 'tcx_egress'],
  ['tc', 'sched_cls'],
  ['classifier', 'sched_cls'],
  ['action', 'sched_act'],
  ['netkit/primary', 'sched_cls', 'netkit_primary'],
  ['netkit/peer', 'sched_cls', 'netkit_peer'],
  ['tracepoint+', 'tracepoint'],
  ['tp+', 'tracepoint'],
  ['raw_tracepoint+', 'raw_tracepoint'],
  ['raw_tp+', 'raw_tracepoint'],
  ['raw_tracepoint.w+', 'raw_tracepoint_writable'],
  ['raw_tp.w+', 'raw_tracepoint_writable'],
  ['tp_btf+', 'tracing', 'trace_raw_tp'],
  ['fentry+', 'tracing', 'trace_fentry'],
  ['fmod_ret+', 'tracing', 'modify_return'],
  ['fexit+', 'tracing', 'trace_fexit'],
  ['fsession+', 'tracing', 'trace_fsession'],
  ['fentry.s+', 'tracing', 'trace_fentry', 'sleepable'],
  ['fmod_ret.s+', 'tracing', 'modify_return', 'sleepable'],
  ['fexit.s+', 'tracing', 'trace_fexit', 'sleepable'],
  ['fsession.s+', 'tracing', 'trace_fsession', 'sleepable'],
  ['freplace+', 'ext'],
  ['lsm+', 'lsm', 'lsm_mac'],
  ['lsm.s+', 'lsm', 'lsm_mac', 'sleepable'],
  ['lsm_cgroup+', 'lsm', 'lsm_cgroup'],
  ['iter+', 'tracing', 'trace_iter'],
  ['iter.s+', 'tracing', 'trace_iter', 'sleepable'],
  ['syscall', 'syscall', '', 'sleepable'],
  ['xdp.frags/devmap', 'xdp', 'xdp_devmap', 'frags'],
  ['xdp/devmap', 'xdp', 'xdp_devmap'],
  ['xdp.frags/cpumap', 'xdp', 'xdp_cpumap', 'frags'],
  ['xdp/cpumap', 'xdp', 'xdp_cpumap'],
  ['xdp.frags', 'xdp', 'xdp', 'frags'],
  ['xdp', 'xdp', 'xdp'],
  ['perf_event', 'perf_event'],
  ['lwt_in', 'lwt_in'],
  ['lwt_out', 'lwt_out'],
  ['lwt_xmit', 'lwt_xmit'],
  ['lwt_seg6local', 'lwt_seg6local'],
  ['sockops', 'sock_ops', 'cgroup_sock_ops'],
  ['sk_skb/stream_parser', 'sk_skb', 'sk_skb_stream_parser'],
  ['sk_skb/stream_verdict', 'sk_skb', 'sk_skb_stream_verdict'],
  ['sk_skb/verdict', 'sk_skb', 'sk_skb_verdict'],
  ['sk_skb', 'sk_skb'],
  ['sk_msg', 'sk_msg', 'sk_msg_verdict'],
  ['lirc_mode2', 'lirc_mode2', 'lirc_mode2'],
  ['flow_dissector', 'flow_dissector', 'flow_dissector'],
  ['cgroup_skb/ingress', 'cgroup_skb', 'cgroup_inet_ingress'],
  ['cgroup_skb/egress', 'cgroup_skb', 'cgroup_inet_egress'],
  ['cgroup/skb', 'cgroup_skb'],
  ['cgroup/sock_create', 'cgroup_sock', 'cgroup_inet_sock_create'],
  ['cgroup/sock_release', 'cgroup_sock', 'cgroup_inet_sock_release'],
  ['cgroup/sock', 'cgroup_sock', 'cgroup_inet_sock_create'],
  ['cgroup/post_bind4', 'cgroup_sock', 'cgroup_inet4_post_bind'],
  ['cgroup/post_bind6', 'cgroup_sock', 'cgroup_inet6_post_bind'],
  ['cgroup/bind4', 'cgroup_sock_addr', 'cgroup_inet4_bind'],
  ['cgroup/bind6', 'cgroup_sock_addr', 'cgroup_inet6_bind'],
  ['cgroup/connect4', 'cgroup_sock_addr', 'cgroup_inet4_connect'],
  ['cgroup/connect6', 'cgroup_sock_addr', 'cgroup_inet6_connect'],
  ['cgroup/connect_unix', 'cgroup_sock_addr', 'cgroup_unix_connect'],
  ['cgroup/sendmsg4', 'cgroup_sock_addr', 'cgroup_udp4_sendmsg'],
  ['cgroup/sendmsg6', 'cgroup_sock_addr', 'cgroup_udp6_sendmsg'],
  ['cgroup/sendmsg_unix', 'cgroup_sock_addr', 'cgroup_unix_sendmsg'],
  ['cgroup/recvmsg4', 'cgroup_sock_addr', 'cgroup_udp4_recvmsg'],
  ['cgroup/recvmsg6', 'cgroup_sock_addr', 'cgroup_udp6_recvmsg'],
  ['cgroup/recvmsg_unix', 'cgroup_sock_addr', 'cgroup_unix_recvmsg'],
  ['cgroup/getpeername4', 'cgroup_sock_addr', 'cgroup_inet4_getpeername'],
  ['cgroup/getpeername6', 'cgroup_sock_addr', 'cgroup_inet6_getpeername'],
  ['cgroup/getpeername_unix', 'cgroup_sock_addr', 'cgroup_unix_getpeername'],
  ['cgroup/getsockname4', 'cgroup_sock_addr', 'cgroup_inet4_getsockname'],
  ['cgroup/getsockname6', 'cgroup_sock_addr', 'cgroup_inet6_getsockname'],
  ['cgroup/getsockname_unix', 'cgroup_sock_addr', 'cgroup_unix_getsockname'],
  ['cgroup/sysctl', 'cgroup_sysctl', 'cgroup_sysctl'],
  ['cgroup/getsockopt', 'cgroup_sockopt', 'cgroup_getsockopt'],
  ['cgroup/setsockopt', 'cgroup_sockopt', 'cgroup_setsockopt'],
  ['cgroup/dev', 'cgroup_device', 'cgroup_device'],
  ['struct_ops+', 'struct_ops'],
  ['struct_ops.s+', 'struct_ops', '', 'sleepable'],
  ['sk_lookup', 'sk_lookup', 'sk_lookup'],
  ['netfilter', 'netfilter', 'netfilter'],
];

const isOpen = ([pattern]: Definition) => pattern.endsWith('+');
const EXACT = new Map(DEFINITIONS.filter((row) => !isOpen(row)).map((row) => [row[0], row]));
const OPEN = new Map(DEFINITIONS.filter(isOpen).map((row) => [row[0].slice(0, -1), row]));
