/* A kprobe that reports exiting tasks through a perf buffer; every kernel field is a CO-RE read. */
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define RLIMIT_NOFILE 7

struct event {
	u32 pid;
	u32 ppid;
	int exit_code;
	u64 lifetime_ns;
	u64 open_files_limit;
	char comm[16];
	unsigned char file[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} events SEC(".maps");

const volatile __u64 min_lifetime_ns = 0;

SEC("kprobe/do_exit")
int BPF_KPROBE(do_exit, long code)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct event event = {};

	event.lifetime_ns = bpf_ktime_get_ns() - BPF_CORE_READ(task, start_time);
	if (event.lifetime_ns < min_lifetime_ns)
		return 0;
	event.pid = BPF_CORE_READ(task, tgid);
	event.ppid = BPF_CORE_READ(task, real_parent, tgid);
	event.exit_code = code >> 8;
	event.open_files_limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_probe_read_kernel_str(event.file, sizeof(event.file),
				  BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
