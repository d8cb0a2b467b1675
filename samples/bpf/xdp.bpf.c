/* Subprograms of every kind, shared by three XDP programs of which two lie in one section.
 *
 *	xdp_firewall -> parse_ethernet (global) -> is_ipv4 (static)
 *	             -> allowed (static)        -> hash (static, nested)
 *	             -> verdict (weak)
 *	xdp_count    -> parse_ethernet -> is_ipv4
 *	             -> bump (static)           -> hash
 *	xdp_sum      -> add_one, add_to (callbacks: addresses of functions)
 *	                add_one -> hash
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define noinline __attribute__((noinline))

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 protocol;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct bpf_map;

struct sum {
	__u64 total;
	__u32 buckets;
};

static noinline __u32 hash(__u32 value)
{
	value ^= value >> 16;
	value *= 0x45d9f3b;
	value ^= value >> 16;
	return value;
}

static noinline int is_ipv4(__be16 protocol)
{
	return protocol == bpf_htons(0x0800);
}

static noinline int allowed(__u32 source)
{
	__u32 key = hash(source);

	return bpf_map_lookup_elem(&blocked, &key) == NULL;
}

static noinline void bump(__u32 slot)
{
	__u32 key = hash(slot) & 3;
	__u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		*count += 1;
}

noinline int parse_ethernet(struct xdp_md *ctx)
{
	struct ethernet *ethernet = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if ((void *)(ethernet + 1) > end)
		return -1;
	return is_ipv4(ethernet->protocol);
}

__weak noinline int verdict(int ok)
{
	return ok ? XDP_PASS : XDP_DROP;
}

static long add_one(__u32 index, void *context)
{
	struct sum *sum = context;

	sum->total += hash(index);
	return 0;
}

static long add_to(struct bpf_map *map, const void *key, void *value, void *context)
{
	struct sum *sum = context;

	sum->total += *(__u64 *)value;
	sum->buckets++;
	return 0;
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	if (parse_ethernet(ctx) != 1)
		return XDP_PASS;
	return verdict(allowed(ctx->ingress_ifindex));
}

SEC("xdp")
int xdp_count(struct xdp_md *ctx)
{
	if (parse_ethernet(ctx) == 1)
		bump(ctx->rx_queue_index);
	return XDP_PASS;
}

SEC("xdp.frags")
int xdp_sum(struct xdp_md *ctx)
{
	struct sum sum = {};

	bpf_loop(8, add_one, &sum, 0);
	bpf_for_each_map_elem(&counters, add_to, &sum, 0);
	return sum.total > sum.buckets ? XDP_PASS : XDP_ABORTED;
}

char LICENSE[] SEC("license") = "GPL";
