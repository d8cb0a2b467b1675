/* Programs whose kernel needs a hook to exist before it accepts them: LSM, function entry and exit.
 * A `?` before the section name means: not unless the loader is told to. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 calls[4];

SEC("lsm/file_open")
int BPF_PROG(on_file_open, void *file)
{
	calls[0]++;
	return 0;
}

SEC("lsm.s/bprm_committed_creds")
int BPF_PROG(on_exec, void *bprm)
{
	calls[1]++;
	return 0;
}

SEC("fentry/vfs_read")
int BPF_PROG(on_read, void *file)
{
	calls[2]++;
	return 0;
}

SEC("?fexit/vfs_read")
int BPF_PROG(on_read_done, void *file, char *buffer, unsigned long count, void *position, long result)
{
	if (result > 0)
		calls[3] += result;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
