/* What the room reads out of objects, all of it in one: every way to write a map, data, externs, and functions that call. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct key {
	__u32 first;
	__u16 second;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 77);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE);
	__uint(numa_node, 1);
	__type(key, struct key);
	__type(value, __u64[3]);
} typed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
	__uint(value_size, 12);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pinned SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u16);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [2] = &second, [0] = &first } };

int target(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [3] = (void *)&target } };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

struct ops {
	int (*start)(void *);
	__u32 flags;
};

SEC("struct_ops/start")
int start(void *ctx)
{
	return 0;
}

const volatile __u32 rate = 9;
const volatile char text[] SEC(".rodata.text") = "hello from rodata";
static volatile __u64 hidden_counter;
__u32 shown SEC(".data.shown") = 3;
static volatile __u32 own SEC(".data.own") = 4;

extern bool CONFIG_BPF __kconfig;
extern __u64 CONFIG_BIG __kconfig __weak;
extern __u16 CONFIG_SMALL __kconfig __weak;
extern const int typed_symbol __ksym;
extern const void typeless_symbol __ksym __weak;
extern int kernel_function(int x) __ksym;
extern int maybe_function(int x) __ksym __weak;

static __attribute__((noinline)) int leaf(int x)
{
	hidden_counter += x;
	return bpf_get_prandom_u32() + x;
}

__attribute__((noinline)) int middle(int x)
{
	return leaf(x) + leaf(x + 1) * 3;
}

__attribute__((weak, noinline)) int weak_one(int x)
{
	return x ? middle(x - 1) : bpf_get_smp_processor_id();
}

__hidden __attribute__((noinline)) int hidden_one(int x)
{
	return bpf_ktime_get_ns() > x;
}

static int callback(__u32 index, void *ctx)
{
	bpf_printk("callback %d", index);
	return 0;
}

SEC("socket")
int target(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("socket")
int calls(struct __sk_buff *skb)
{
	int sum = weak_one(skb->len) + hidden_one(skb->mark);

	bpf_loop(4, callback, NULL, 0);
	bpf_tail_call(skb, &jumps, 3);
	return sum + rate + shown + own;
}

SEC("?fentry.s/do_unlinkat")
int symbols(void *ctx)
{
	if (&typeless_symbol)
		return typed_symbol + kernel_function(CONFIG_BPF) + CONFIG_BIG + CONFIG_SMALL;
	return maybe_function ? maybe_function(text[1]) : 0;
}

SEC("of no known kind")
int custom(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pinned, &zero) != NULL;
}

SEC(".struct_ops")
struct ops plain_ops = { .start = (void *)start, .flags = 7 };

SEC(".struct_ops.link")
struct ops linked_ops = { .start = (void *)start };

char LICENSE[] SEC("license") = "Dual MIT/GPL";
__u32 VERSION SEC("version") = 0x060c01;
