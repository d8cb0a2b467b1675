/* A congestion control of three functions, for struct_ops: only what the kernel insists on, and nothing that any socket uses. */
typedef unsigned int __u32;
#define SEC(n) __attribute__((section(n), used))
struct sock;
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	__u32 (*undo_cwnd)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	char name[16];
};
SEC("struct_ops") __u32 carve_ssthresh(unsigned long long *ctx) { return 2; }
SEC("struct_ops") __u32 carve_undo(unsigned long long *ctx) { return 2; }
SEC("struct_ops") void carve_avoid(unsigned long long *ctx) { }
SEC(".struct_ops") struct tcp_congestion_ops carve_cc = {
	 .ssthresh = (void *)carve_ssthresh,
	.undo_cwnd = (void *)carve_undo,
	.cong_avoid = (void *)carve_avoid,
	.name = "bpf_carve_cc",
};
char LICENSE[] SEC("license") = "GPL";
