/* The kernel has a function of this name with other arguments: to libbpf before 1.3 a reason to refuse the object. */
#include "rules.h"

extern void bpf_cgroup_release(int a, int b, int c) __ksym __weak;

__u64 out;

SEC("tc")
int calls_another(struct __sk_buff *skb)
{
	if (bpf_cgroup_release)
		bpf_cgroup_release(1, 2, 3);
	return 0;
}

SEC("tc")
int calls_none(struct __sk_buff *skb)
{
	out++;
	return 0;
}
