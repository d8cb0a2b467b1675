/* A socket filter that counts IPv4 packets by protocol: one map, one program, no CO-RE. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

/* LD_ABS, the one packet access classic BPF left behind. */
unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");

SEC("socket")
int count_protocols(struct __sk_buff *skb)
{
	__u32 protocol = load_byte(skb, 14 + 9);
	__u64 *count = bpf_map_lookup_elem(&packets, &protocol);

	if (count)
		__sync_fetch_and_add(count, 1);
	return skb->pkt_type == 4 ? 0 : skb->len;
}

char LICENSE[] SEC("license") = "GPL";
