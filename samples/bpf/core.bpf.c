/* CO-RE relocations of every kind the compiler knows, on types of several kernels at once.
 *
 * `struct x___y` is a flavor: the loader drops what follows the three underscores and looks for `x`.
 */
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct___before_5_14 {
	long state;
};

struct task_struct___after_5_14 {
	unsigned int __state;
};

struct task_struct___wide { /* the kernel's flags have 32 bits: the load must shrink */
	unsigned long flags;
};

struct task_struct___imagined { /* no kernel has this member: the access is poisoned */
	int sample_no_such_member;
};

#pragma clang attribute pop

struct sample_no_such_struct {
	int x;
};

typedef struct {
	int counter;
} atomic_t;

enum pid_type___imagined {
	PIDTYPE_NEVER___imagined = 99,
};

enum bpf_attach_type___big {
	BPF_TRACE_ITER___big = 0x1000,
};

u64 facts[24];
char name[16];

SEC("raw_tp/sched_switch")
int fields(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[1];
	struct task_struct___before_5_14 *before = (void *)task;
	struct task_struct___after_5_14 *after = (void *)task;
	struct task_struct___imagined *imagined = (void *)task;

	facts[0] = BPF_CORE_READ(task, real_parent, mm, exe_file, f_path.dentry, d_name.len);
	facts[1] = BPF_CORE_READ(task, signal, rlim[7].rlim_max);
	facts[2] = BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork);
	facts[3] = BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
	facts[4] = bpf_core_field_size(task->comm);
	facts[5] = bpf_core_field_offset(task->comm[3]);
	facts[6] = __builtin_preserve_field_info(task->exit_code, BPF_FIELD_SIGNED);
	facts[7] = __builtin_preserve_field_info(task->flags, BPF_FIELD_SIGNED);
	if (bpf_core_field_exists(after->__state))
		facts[8] = BPF_CORE_READ(after, __state);
	else
		facts[8] = BPF_CORE_READ(before, state);
	if (bpf_core_field_exists(imagined->sample_no_such_member))
		facts[9] = BPF_CORE_READ(imagined, sample_no_such_member);
	BPF_CORE_READ_STR_INTO(&name, task, comm);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(direct_loads, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	struct task_struct___wide *wide = (void *)next;

	facts[10] = previous->pid;
	facts[11] = next->real_parent->tgid;
	facts[12] = wide->flags;
	facts[13] = BPF_CORE_READ_BITFIELD(next, sched_contributes_to_load);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int types(void *ctx)
{
	facts[14] = bpf_core_type_exists(struct task_struct);
	facts[15] = bpf_core_type_exists(struct sample_no_such_struct);
	facts[16] = bpf_core_type_size(atomic_t);
	facts[17] = bpf_core_type_size(struct sample_no_such_struct);
	facts[18] = bpf_core_type_id_local(struct qstr);
	facts[19] = bpf_core_type_id_kernel(struct qstr);
#if __clang_major__ >= 16
	facts[20] = bpf_core_type_matches(struct rlimit);
#endif
	return 0;
}

SEC("raw_tp/sched_process_fork")
int enums(void *ctx)
{
	facts[21] = bpf_core_enum_value(enum pid_type, PIDTYPE_SID);
	facts[22] = bpf_core_enum_value(enum bpf_attach_type___big, BPF_TRACE_ITER___big);
	if (bpf_core_enum_value_exists(enum pid_type___imagined, PIDTYPE_NEVER___imagined))
		facts[23] = bpf_core_enum_value(enum pid_type___imagined, PIDTYPE_NEVER___imagined);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
