/* Global data in every section a loader makes a map of, and maps that name programs and maps. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { DROP, KEEP, STEPS };

const volatile __u32 sample_rate = 16;                       /* .rodata */
const volatile char banner[] SEC(".rodata.text") = "sample"; /* .rodata.text */
__u64 seen;                                                  /* .bss */
__u32 state = 0x5eed;                                        /* .data */
__u32 limits[4] SEC(".data.limits") = { 1, 10, 100, 1000 };  /* .data.limits */

struct counters {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} ipv4 SEC(".maps"), ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct counters);
} families SEC(".maps") = {
	.values = { &ipv4, &ipv6 },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_NONE);
	__type(key, __u32);
	__type(value, __u64);
} by_mark SEC(".maps");

int drop(struct __sk_buff *skb);
int keep(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STEPS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} steps SEC(".maps") = {
	.values = {
		[DROP] = (void *)&drop,
		[KEEP] = (void *)&keep,
	},
};

SEC("socket")
int drop(struct __sk_buff *skb)
{
	return 0;
}

SEC("socket")
int keep(struct __sk_buff *skb)
{
	return limits[skb->len & 3];
}

SEC("socket")
int dispatch(struct __sk_buff *skb)
{
	__u32 family = skb->protocol == 0x86dd;
	__u32 mark = skb->mark;
	void *counters = bpf_map_lookup_elem(&families, &family);
	__u64 *count;

	seen++;
	state = state * 1103515245 + banner[0];
	bpf_map_update_elem(&by_mark, &mark, &seen, BPF_ANY);
	if (counters) {
		count = bpf_map_lookup_elem(counters, &family);
		if (count)
			__sync_fetch_and_add(count, 1);
	}
	bpf_tail_call(skb, &steps, state % sample_rate ? DROP : KEEP);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
