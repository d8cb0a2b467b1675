/* Who calls whom, in every way that matters to a linker of BPF code. */
#include "rules.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

__u64 total;

static noinline int leaf(int x)
{
	total += x;
	return x * 3 + 1;
}

static noinline int middle(int x)
{
	return leaf(x) + leaf(x + 1) + 7;
}

noinline int global_leaf(int x)
{
	total ^= x;
	return x + 11;
}

__attribute__((weak)) noinline int weak_leaf(int x)
{
	return x ^ 5;
}

__hidden noinline int hidden_leaf(int x)
{
	total -= x;
	return x | 1;
}

noinline int global_middle(int x)
{
	return middle(x) + global_leaf(x) + weak_leaf(x);
}

noinline int never_called(int x)
{
	return global_middle(x) + 1;
}

SEC("socket")
int calls_static(struct __sk_buff *skb)
{
	return middle(skb->len);
}

SEC("socket")
int calls_global(struct __sk_buff *skb)
{
	return global_middle(skb->len) + leaf(skb->mark);
}

SEC("socket")
int calls_in_other_order(struct __sk_buff *skb)
{
	return hidden_leaf(skb->len) + leaf(skb->mark) + global_leaf(skb->len) + middle(skb->mark);
}

SEC("tc")
int calls_weak(struct __sk_buff *skb)
{
	return weak_leaf(skb->len) + hidden_leaf(skb->mark);
}

SEC("tc")
int calls_nothing(struct __sk_buff *skb)
{
	return skb->len;
}

struct state {
	__u64 sum;
};

static long on_element(void *map, __u32 *key, __u64 *value, struct state *state)
{
	state->sum += *value + leaf(*key);
	return 0;
}

static int on_loop(__u32 index, struct state *state)
{
	bpf_for_each_map_elem(&numbers, on_element, state, 0);
	state->sum += middle(index);
	return 0;
}

static int on_inner_loop(__u32 index, struct state *state)
{
	state->sum += index;
	return 0;
}

SEC("tc")
int with_callbacks(struct __sk_buff *skb)
{
	struct state state = {};

	bpf_for_each_map_elem(&numbers, on_element, &state, 0);
	bpf_loop(3, on_loop, &state, 0);
	bpf_loop(skb->len & 7, on_inner_loop, &state, 0);
	return state.sum;
}

SEC("socket")
int shares_callbacks(struct __sk_buff *skb)
{
	struct state state = {};

	bpf_loop(2, on_inner_loop, &state, 0);
	bpf_for_each_map_elem(&numbers, on_element, &state, 0);
	return state.sum + leaf(skb->len);
}

struct timed {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timed);
} timers SEC(".maps");

static int on_timer(void *map, int *key, struct timed *value)
{
	total += global_leaf(*key);
	return 0;
}

SEC("tc")
int with_timer(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct timed *timed = bpf_map_lookup_elem(&timers, &key);

	if (!timed)
		return 0;
	bpf_timer_init(&timed->timer, &timers, 1);
	bpf_timer_set_callback(&timed->timer, on_timer);
	return 0;
}
