/* All kinds of maps and global data, and references into the middle of them. */
#include "rules.h"

int initialised = 7;
static int initialised_static = 8;
int zero;
static int zero_static;
const volatile int constant = 5;
static const volatile char text[] = "some text";
int mine SEC(".data.mine") = 1;
int hidden_data SEC(".data.mine.too") = 2;
int own_zero SEC(".bss.own");
const int more_constants SEC(".rodata.more") = 9;

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} inner SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &inner } };
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} heap SEC(".maps");

SEC("tc")
int all_data(struct __sk_buff *skb)
{
	initialised += initialised_static++ + zero_static++ + constant;
	zero += mine++ + hidden_data++ + own_zero++ + more_constants;
	return text[skb->len & 7];
}

SEC("tc")
int all_maps(struct __sk_buff *skb)
{
	__u32 key = 1;
	void *found = bpf_map_lookup_elem(&outer, &key);

	if (found)
		found = bpf_map_lookup_elem(found, &key);
	bpf_ringbuf_output(&events, &key, sizeof(key), 0);
	bpf_perf_event_output(skb, &heap, BPF_F_CURRENT_CPU, &key, sizeof(key));
	bpf_tail_call(skb, &calls, 1);
	return 0;
}

SEC("tc")
int prints(struct __sk_buff *skb)
{
	bpf_printk("%d bytes", skb->len);
	bpf_printk("mark %d", skb->mark);
	return 0;
}

SEC("?tc")
int switched_off(struct __sk_buff *skb)
{
	return initialised;
}
