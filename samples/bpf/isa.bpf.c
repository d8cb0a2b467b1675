/* Code whose instructions differ from one version of the instruction set to the next.
 * ISA is the number behind -mcpu=v; what a version lacks is left out of its build. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

__s8 tiny = -3;
__s16 small = -300;
__s32 medium = -70000;

/* Comparisons: v1 has only the "greater" forms, v2 adds "less", v3 their 32-bit forms. */
static __always_inline __u32 compare(__u64 wide, __u32 narrow, __s32 with_sign)
{
	__u32 result = 0;

	if (wide < 1500)
		result |= 1;
	if (narrow <= 64)
		result |= 2;
	if (with_sign < -5)
		result |= 4;
	return result;
}

/* Arithmetic: v3 has 32-bit registers; v4 signed division, sign-extending moves and plain byte swaps. */
static __always_inline __u64 calculate(__u32 narrow, __u64 wide)
{
	__u64 result = (narrow * 31u) ^ (narrow >> 7);

	result += wide / 10 + wide % 10;
	result += bpf_htonl(narrow) + __builtin_bswap64(wide) + bpf_htons(narrow);
	result += tiny + small + medium;
#if ISA >= 4
	result += (__s64)wide / -7 + (__s32)narrow % -5;
#endif
	return result;
}

/* Atomics: v1 and v2 can only add, v3 fetches, exchanges and combines. */
static __always_inline __u64 share(__u64 *cell, __u64 value)
{
	__sync_fetch_and_add(cell, value);
#if ISA >= 3
	value = __sync_fetch_and_add(cell, 1);
	__sync_fetch_and_or(cell, 0x10);
	__sync_fetch_and_and(cell, 0xffff);
	__sync_fetch_and_xor(cell, 0x3);
	value += __sync_lock_test_and_set(cell, value);
	value += __sync_val_compare_and_swap(cell, value, 0);
#endif
	return value;
}

SEC("tc")
int instructions(struct __sk_buff *skb)
{
	__u32 key = skb->mark & 7;
	__u64 *cell = bpf_map_lookup_elem(&cells, &key);
	__u64 result;

	if (!cell)
		return 0;
	result = compare(*cell, skb->len, skb->priority);
	result += calculate(skb->hash, *cell);
	result += share(cell, result);
	skb->cb[0] = result;
	skb->cb[1] = result >> 32;
	return result & 1;
}

char LICENSE[] SEC("license") = "GPL";
