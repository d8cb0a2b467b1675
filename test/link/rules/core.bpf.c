/* Every kind of CO-RE relocation, where the kernel agrees and where it does not. */
#include "rules.h"

struct list_head {
	struct list_head *next, *prev;
} relocated;
struct mm_struct___odd {
	unsigned long task_size;
} relocated;
struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	char comm[16];
	struct task_struct *group_leader;
	struct list_head children;
	struct mm_struct___odd *mm;
	int prio;
	unsigned in_execve : 1;
	unsigned sched_reset_on_fork : 1;
	unsigned no_cgroup_migration : 1;
	void *stack_vm_area;
} relocated;
/* The kernel has an unsigned int there. */
struct task_struct___wide {
	unsigned long flags;
	unsigned long pid;
	unsigned short prio;
} relocated;
struct task_struct___missing {
	int never_there;
	int comm;
} relocated;
struct signal_struct {
	int nr_threads;
	struct {
		int deep;
	};
	struct task_struct *curr_target;
	struct pid *pids[4];
} relocated;
struct nowhere_at_all {
	int field;
} relocated;
typedef struct {
	int counter;
} atomic_t;
struct kernfs_node___x {
	unsigned short mode;
} relocated;
union no_such_union {
	int a;
} relocated;
struct ethhdr {
	unsigned char h_dest[6];
	unsigned char h_source[6];
	unsigned short h_proto;
} relocated;
struct iphdr {
	unsigned char ihl : 4, version : 4;
	unsigned char tos;
	unsigned short tot_len;
} relocated;
struct tcp_sock {
	unsigned int snd_cwnd;
	unsigned repair : 1;
	unsigned char frto : 1;
} relocated;
struct bpf_insn___own {
	unsigned char code;
	unsigned char dst_reg : 4;
	unsigned char src_reg : 4;
	short off;
	int imm;
} relocated;
struct sk_buff {
	unsigned char __pkt_type_offset[0];
	unsigned int len;
	unsigned char cloned : 1;
	unsigned char pkt_type : 3;
	unsigned char ip_summed : 2;
} relocated;
struct filename {
	const char *name;
	const char iname[];
} relocated;
struct bpf_prog_array {
	struct {
		void *prog;
	} items[0];
} relocated;
enum bpf_map_type___mine {
	BPF_MAP_TYPE_HASH___mine = 11,
	BPF_MAP_TYPE_NEVER = 99,
};
enum bpf_prog_type___also {
	BPF_PROG_TYPE_KPROBE___also = 77,
};
enum nowhere_enum {
	NOWHERE_A = 3,
};
typedef unsigned long long pfn_no_such_t;

__u64 out[64];
#define put(n, value) out[n] = (value)

SEC("raw_tp/sched_switch")
int offsets(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___wide *wide = (void *)task;

	put(0, BPF_CORE_READ(task, pid));
	put(1, BPF_CORE_READ(task, group_leader, tgid));
	put(2, BPF_CORE_READ(task, comm[5]));
	put(3, (__u64)BPF_CORE_READ(task, children.next));
	put(4, BPF_CORE_READ(task, mm, task_size));
	put(5, BPF_CORE_READ(wide, flags));
	put(6, bpf_core_field_offset(task->children.prev));
	if (bpf_core_field_exists(((struct nowhere_at_all *)0)->field))
		put(7, bpf_core_field_offset(((struct nowhere_at_all *)0)->field));
	put(8, (__u64)BPF_CORE_READ(((struct signal_struct *)task), curr_target));
	put(9, (__u64)BPF_CORE_READ(((struct signal_struct *)task), pids[2]));
	put(10, (__u64)BPF_CORE_READ(((struct filename *)task), iname[3]));
	put(11, (__u64)BPF_CORE_READ(((struct ethhdr *)task), h_source[2]));
	return 0;
}

SEC("raw_tp/sched_switch")
int sizes(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___wide *wide = (void *)task;

	put(0, bpf_core_field_size(task->comm));
	put(1, bpf_core_field_size(wide->flags));
	put(2, bpf_core_field_size(task->in_execve));
	put(3, bpf_core_field_size(task->comm[1]));
	put(4, bpf_core_type_size(struct task_struct));
	put(5, bpf_core_type_size(struct nowhere_at_all));
	put(6, bpf_core_type_size(atomic_t));
	put(7, bpf_core_field_size(((struct sk_buff *)0)->len));
	return 0;
}

SEC("raw_tp/sched_switch")
int existence(void *ctx)
{
	put(0, bpf_core_field_exists(((struct task_struct *)0)->pid));
	put(1, bpf_core_field_exists(((struct task_struct___missing *)0)->never_there));
	put(2, bpf_core_field_exists(((struct task_struct___missing *)0)->comm));
	put(3, bpf_core_type_exists(struct task_struct));
	put(4, bpf_core_type_exists(struct nowhere_at_all));
	put(5, bpf_core_type_exists(union no_such_union));
	put(6, bpf_core_type_exists(pfn_no_such_t));
	put(7, bpf_core_type_exists(atomic_t));
	put(8, bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___mine));
	put(9, bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NEVER));
	put(10, bpf_core_enum_value_exists(enum nowhere_enum, NOWHERE_A));
	return 0;
}

SEC("raw_tp/sched_switch")
int identities(void *ctx)
{
	put(0, bpf_core_type_id_local(struct task_struct));
	put(1, bpf_core_type_id_kernel(struct task_struct));
	put(2, bpf_core_type_id_kernel(struct nowhere_at_all));
	put(3, bpf_core_type_id_local(enum nowhere_enum));
	put(4, bpf_core_type_id_kernel(atomic_t));
	return 0;
}

SEC("raw_tp/sched_switch")
int enumerators(void *ctx)
{
	put(0, bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___mine));
	put(1, bpf_core_enum_value(enum bpf_prog_type___also, BPF_PROG_TYPE_KPROBE___also));
	if (bpf_core_enum_value_exists(enum nowhere_enum, NOWHERE_A))
		put(2, bpf_core_enum_value(enum nowhere_enum, NOWHERE_A));
	if (bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NEVER))
		put(3, bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_NEVER));
	return 0;
}

SEC("raw_tp/sched_switch")
int bitfields(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	put(0, BPF_CORE_READ_BITFIELD_PROBED(task, in_execve));
	put(1, BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork));
	put(2, BPF_CORE_READ_BITFIELD_PROBED(task, prio));
	put(3, BPF_CORE_READ_BITFIELD_PROBED((struct iphdr *)task, version));
	put(4, BPF_CORE_READ_BITFIELD_PROBED((struct iphdr *)task, tot_len));
	put(5, BPF_CORE_READ_BITFIELD_PROBED((struct bpf_insn___own *)task, src_reg));
	put(6, BPF_CORE_READ_BITFIELD_PROBED((struct sk_buff *)task, pkt_type));
	put(7, BPF_CORE_READ_BITFIELD_PROBED((struct sk_buff *)task, ip_summed));
	put(8, BPF_CORE_READ_BITFIELD_PROBED((struct tcp_sock *)task, repair));
	put(9, __builtin_preserve_field_info(task->prio, BPF_FIELD_SIGNED));
	put(10, __builtin_preserve_field_info(task->flags, BPF_FIELD_SIGNED));
	return 0;
}

SEC("tp_btf/sched_switch")
int direct_loads(unsigned long long *ctx)
{
	struct task_struct *previous = (void *)ctx[1];
	struct task_struct___wide *wide = (void *)ctx[1];
	struct task_struct *next = (void *)ctx[2];

	put(0, previous->pid);
	put(1, wide->flags);
	put(2, next->group_leader->tgid);
	put(3, next->comm[3]);
	put(4, previous->in_execve);
	return 0;
}

SEC("tp_btf/sched_switch")
int unsafe_width(unsigned long long *ctx)
{
	struct task_struct___wide *wide = (void *)ctx[1];

	put(0, wide->pid);
	return 0;
}

static noinline int relocated_subprogram(struct task_struct *task)
{
	return BPF_CORE_READ(task, tgid) + BPF_CORE_READ(task, prio);
}

SEC("raw_tp/sched_switch")
int with_relocated_subprogram(void *ctx)
{
	return relocated_subprogram((void *)bpf_get_current_task()) + relocated_subprogram(0);
}

SEC("raw_tp/sched_switch")
int without_any(void *ctx)
{
	put(0, bpf_get_smp_processor_id());
	return 0;
}

#if __has_builtin(__builtin_preserve_type_info) && __clang_major__ >= 16
struct list_head___same {
	struct list_head___same *next, *prev;
};
struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};
struct ethhdr___other {
	unsigned char h_dest[5];
};
SEC("raw_tp/sched_switch")
int matches(void *ctx)
{
	put(0, bpf_core_type_matches(struct callback_head));
	put(1, bpf_core_type_matches(struct ethhdr___other));
	put(2, bpf_core_type_matches(struct nowhere_at_all));
	put(3, bpf_core_type_matches(enum bpf_map_type___mine));
	put(4, bpf_core_type_matches(struct list_head___same));
	return 0;
}

enum wide_enum___mine {
	WIDE_A = 0x1ffffffffULL,
};
enum bpf_attach_type___wide {
	BPF_XDP___wide = 0x100000001ULL,
};
SEC("raw_tp/sched_switch")
int wide_enumerators(void *ctx)
{
	if (bpf_core_enum_value_exists(enum wide_enum___mine, WIDE_A))
		put(0, bpf_core_enum_value(enum wide_enum___mine, WIDE_A));
	put(1, bpf_core_enum_value(enum bpf_attach_type___wide, BPF_XDP___wide));
	return 0;
}
#endif
