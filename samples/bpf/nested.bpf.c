/* An object that carries another one as data, the way a loader program would. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

asm(".section .rodata.payload,\"a\"\n"
    ".balign 8\n"
    ".incbin \"allow.bpf.o\"\n"
    ".text\n");

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? XDP_PASS : XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
