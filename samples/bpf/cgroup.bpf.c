/* IP accounting per cgroup, the job of the program behind the founding story: one ingress and one
 * egress program over the same pair of counters. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct traffic);
} accounting SEC(".maps");

enum { INGRESS, EGRESS };

static __always_inline int account(struct __sk_buff *skb, __u32 direction)
{
	struct traffic *traffic = bpf_map_lookup_elem(&accounting, &direction);

	if (traffic) {
		traffic->packets++;
		traffic->bytes += skb->len;
	}
	return 1;
}

SEC("cgroup_skb/ingress")
int account_ingress(struct __sk_buff *skb)
{
	return account(skb, INGRESS);
}

SEC("cgroup_skb/egress")
int account_egress(struct __sk_buff *skb)
{
	return account(skb, EGRESS);
}

char LICENSE[] SEC("license") = "GPL";
