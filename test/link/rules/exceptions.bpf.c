/* Subprograms that only an attribute refers to. */
#include "rules.h"

extern void bpf_throw(__u64 cookie) __ksym;

__u64 seen;

static noinline int helper(int x)
{
	seen += x;
	return x + 2;
}

noinline int on_exception(__u64 cookie)
{
	return helper(cookie & 3);
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int throws(struct __sk_buff *skb)
{
	if (skb->len > 1500)
		bpf_throw(skb->len);
	return 0;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int throws_and_calls(struct __sk_buff *skb)
{
	return helper(skb->len);
}

SEC("tc")
int throws_plainly(struct __sk_buff *skb)
{
	return helper(skb->mark);
}
