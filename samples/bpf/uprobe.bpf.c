/* An entry and a return probe on one user function, each printing to the trace pipe.
 * No CO-RE: the argument registers are read at the offsets of the architecture's user ABI.
 *
 * The formats have 29 and 25 characters, like those of libbpf-bootstrap's `uprobe`. The text itself is
 * in .rodata and does not count for a tag, its length does: so the little-endian programs carry the tags
 * of the founding story, 2a8c45c2f0e905b1 and 10e060f1f65ee396 (SHA-1, kernels before 6.18). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifdef __TARGET_ARCH_x86
struct registers {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};
#define first(registers) ((int)(registers)->di)
#define second(registers) ((int)(registers)->si)
#define result(registers) ((int)(registers)->ax)
#else
struct registers { /* s390, the big-endian target */
	unsigned long args, psw[2], gprs[16];
};
#define first(registers) ((int)(registers)->gprs[2])
#define second(registers) ((int)(registers)->gprs[3])
#define result(registers) ((int)(registers)->gprs[2])
#endif

SEC("uprobe")
int enter_add(struct registers *ctx)
{
	bpf_printk("entering add() with %d and %d", first(ctx), second(ctx));
	return 0;
}

SEC("uretprobe")
int leave_add(struct registers *ctx)
{
	bpf_printk("leaving add(), result: %d", result(ctx));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
