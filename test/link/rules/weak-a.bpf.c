/* Linked with weak-b.bpf.c, whose strong function takes the place of the weak one; the code of the latter stays, unnamed. */
#include "rules.h"

__u64 from_a;

__attribute__((weak)) noinline int chosen(int x)
{
	from_a += x;
	return x * 2;
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	return chosen(skb->len);
}
