/* See weak-a.bpf.c. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 from_b;

static __attribute__((noinline)) int own(int x)
{
	return x ^ 0x55;
}

__attribute__((noinline)) int chosen(int x)
{
	from_b += x;
	return own(x) + 1;
}

SEC("tc")
int second(struct __sk_buff *skb)
{
	return chosen(skb->len) + own(skb->mark);
}
