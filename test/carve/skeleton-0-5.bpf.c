/* What the loaders of libbpf 0.5 do in other ways than later ones: listed and inner maps, what is looked up in the kernel. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const int bpf_prog_active __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__type(key, int);
		__type(value, int);
	});
} outer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, long);
} plain SEC(".maps");

int total;
const volatile int limit = 7;

SEC("syscall")
int calls(void *ctx)
{
	const int *active;
	int key = 0;

	active = bpf_per_cpu_ptr(&bpf_prog_active, 0);
	bpf_rcu_read_lock();
	if (active)
		total += *active;
	bpf_rcu_read_unlock();
	bpf_map_lookup_elem(&outer, &key);
	bpf_map_lookup_elem(&plain, &key);
	return limit;
}

SEC("fentry/bpf_fentry_test1")
int enter(void *ctx)
{
	total++;
	return bpf_per_cpu_ptr(&bpf_prog_active, 0) ? 0 : 1;
}

char LICENSE[] SEC("license") = "GPL";
