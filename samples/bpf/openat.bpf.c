/* Failed openat(2) calls: two tracepoints that share a hash map, and a ring buffer. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The tracepoints' format files, which are stable: no CO-RE. */
struct sys_enter_openat {
	__u64 common;
	long id;
	long dfd;
	const char *filename;
	long flags;
	long mode;
};

struct sys_exit_openat {
	__u64 common;
	long id;
	long ret;
};

struct event {
	__u32 pid;
	int error;
	char comm[16];
	char filename[128];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, const char *);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

const volatile __u32 only_pid = 0;
__u64 dropped = 0;

SEC("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct sys_enter_openat *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const char *filename = ctx->filename;

	if (!only_pid || only_pid == thread >> 32)
		bpf_map_update_elem(&calls, &thread, &filename, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int exit_openat(struct sys_exit_openat *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const char **filename = bpf_map_lookup_elem(&calls, &thread);
	struct event *event;

	if (!filename)
		return 0;
	if (ctx->ret < 0) {
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (event) {
			event->pid = thread >> 32;
			event->error = -ctx->ret;
			bpf_get_current_comm(event->comm, sizeof(event->comm));
			bpf_probe_read_user_str(event->filename, sizeof(event->filename), *filename);
			bpf_ringbuf_submit(event, 0);
		} else {
			__sync_fetch_and_add(&dropped, 1);
		}
	}
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
