/* One small program per kind of attachment: the section name is all that tells them apart. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#define PROGRAM(name, section, context, result) \
	SEC(section) int name(context *ctx) { return result; }

PROGRAM(on_kprobe, "kprobe/vfs_read", void, 0)
PROGRAM(on_kretprobe, "kretprobe/vfs_read", void, 0)
PROGRAM(on_kprobe_multi, "kprobe.multi/tcp_*", void, 0)
PROGRAM(on_ksyscall, "ksyscall/openat", void, 0)
PROGRAM(on_uprobe_path, "uprobe//bin/bash:readline", void, 0)
PROGRAM(on_usdt, "usdt/libc.so.6:libc:setjmp", void, 0)
PROGRAM(on_tracepoint, "tp/sched/sched_switch", void, 0)
PROGRAM(on_raw_tracepoint, "raw_tp/sys_enter", void, 0)
PROGRAM(on_raw_tracepoint_writable, "raw_tp.w/bpf_test_finish", void, 0)
PROGRAM(on_perf_event, "perf_event", void, 0)
PROGRAM(on_tc, "tc", struct __sk_buff, -1)
PROGRAM(on_classifier, "classifier", struct __sk_buff, -1)
PROGRAM(on_action, "action", struct __sk_buff, 0)
PROGRAM(on_xdp_devmap, "xdp/devmap", struct xdp_md, XDP_PASS)
PROGRAM(on_xdp_cpumap, "xdp/cpumap", struct xdp_md, XDP_PASS)
PROGRAM(on_sockops, "sockops", struct bpf_sock_ops, 1)
PROGRAM(on_sk_msg, "sk_msg", struct sk_msg_md, SK_PASS)
PROGRAM(on_stream_parser, "sk_skb/stream_parser", struct __sk_buff, 0)
PROGRAM(on_stream_verdict, "sk_skb/stream_verdict", struct __sk_buff, SK_PASS)
PROGRAM(on_sk_lookup, "sk_lookup", struct bpf_sk_lookup, SK_PASS)
PROGRAM(on_sk_reuseport, "sk_reuseport", struct sk_reuseport_md, SK_PASS)
PROGRAM(on_flow_dissector, "flow_dissector", struct __sk_buff, 0)
PROGRAM(on_lwt_in, "lwt_in", struct __sk_buff, 0)
PROGRAM(on_lwt_xmit, "lwt_xmit", struct __sk_buff, 0)
PROGRAM(on_cgroup_sock, "cgroup/sock_create", struct bpf_sock, 1)
PROGRAM(on_cgroup_connect4, "cgroup/connect4", struct bpf_sock_addr, 1)
PROGRAM(on_cgroup_sendmsg6, "cgroup/sendmsg6", struct bpf_sock_addr, 1)
PROGRAM(on_cgroup_dev, "cgroup/dev", struct bpf_cgroup_dev_ctx, 1)
PROGRAM(on_cgroup_sysctl, "cgroup/sysctl", struct bpf_sysctl, 1)
PROGRAM(on_cgroup_getsockopt, "cgroup/getsockopt", struct bpf_sockopt, 1)
PROGRAM(on_iterator, "iter/task", void, 0)

char LICENSE[] SEC("license") = "GPL";
