/* The smallest thing worth loading, built without -g: no map, no BTF, no line info. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/dev")
int allow_read(struct bpf_cgroup_dev_ctx *ctx)
{
	return (ctx->access_type >> 16 & BPF_DEVCG_ACC_WRITE) == 0;
}

char LICENSE[] SEC("license") = "GPL";
