// Every kind of CO-RE relocation, against types of a kernel that exist, differ or are missing.
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
#define __BPF_TRACING__ 1
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define CORE __attribute__((preserve_access_index))

struct list_head { struct list_head *next, *prev; } CORE;
struct kuid { __u32 val; } CORE;
struct cred { struct kuid uid; __u64 absent; } CORE;
struct mm_struct { struct { int mm_count; } CORE; } CORE;
struct task_struct {
	int pid;
	__u64 tgid;
	unsigned flags;
	const struct cred *cred;
	struct list_head tasks;
	char comm[16];
	unsigned sched_reset_on_fork : 1;
	unsigned in_execve : 1;
	int no_such_field;
	struct mm_struct *mm;
	void *stack;
} CORE;
struct task_struct___flavored { int tgid; int long_gone; } CORE;
struct sk_buff {
	__u8 pkt_type : 3;
	__u8 cloned : 1;
	__u32 len;
	__u8 *head;
	struct net_device *dev;
	__u64 protocol;
} CORE;
struct net_device { int ifindex; char name[16]; __u64 mtu; int dev_id; } CORE;
struct bpf_prog { int len; struct { int bogus; } aux; __u64 insnsi[0]; } CORE;
struct sock_common { unsigned short skc_family; unsigned char skc_reuse : 4; } CORE;
struct not_in_any_kernel { int x; } CORE;
struct pid_namespace; 
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_MISSING };
enum bpf_map_type { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_RINGBUF = 2 };
enum bpf_func_id___x { BPF_FUNC_trace_printk___x = 6 };
enum no_such_enum { NO_SUCH_VALUE = 7 };
typedef int pid_t;
typedef struct { int counter; } atomic_t;
union bpf_attr { int map_type; } CORE;

__u64 sink;

SEC("raw_tp/sys_enter")
int fields(struct task_struct **ctx)
{
	struct task_struct *task = *ctx;
	__u64 sum = 0;

	sum += task->pid + task->tgid + task->flags + (__u64)task->stack;
	sum += (__u64)task->tasks.next + task->comm[3];
	sum += BPF_CORE_READ(task, cred, uid.val);
	sum += BPF_CORE_READ(task, mm, mm_count);
	sum += BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork);
	sum += BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
	sum += bpf_core_field_exists(task->no_such_field) ? BPF_CORE_READ(task, no_such_field) : 0;
	sum += bpf_core_field_exists(task->comm) + bpf_core_field_size(task->comm);
	sum += bpf_core_field_offset(struct task_struct, comm[5]);
	sum += bpf_core_field_exists(struct task_struct___flavored, long_gone);
	sum += BPF_CORE_READ((struct task_struct___flavored *)task, tgid);
	sum += bpf_core_field_size(task->cred->absent);
	sink = sum;
	return 0;
}

SEC("raw_tp/sys_exit")
int bitfields(struct sk_buff **ctx)
{
	struct sk_buff *skb = *ctx;
	__u64 sum = 0;

	sum += BPF_CORE_READ_BITFIELD(skb, pkt_type) + BPF_CORE_READ_BITFIELD(skb, cloned);
	sum += BPF_CORE_READ_BITFIELD_PROBED(skb, cloned);
	sum += skb->len + skb->protocol + (__u64)skb->head;
	sum += skb->dev->ifindex + skb->dev->mtu + skb->dev->name[2];
	sum += skb->dev->dev_id;
	sum += BPF_CORE_READ((struct bpf_prog *)skb, insnsi[3]);
	sum += __builtin_preserve_field_info(((struct sock_common *)skb)->skc_reuse, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(((struct sock_common *)skb)->skc_family, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(((struct bpf_prog *)skb)->aux.bogus, BPF_FIELD_EXISTS);
	sink = sum;
	return 0;
}

SEC("raw_tp/sched_switch")
int types(void *ctx)
{
	__u64 sum = 0;

	sum += bpf_core_type_id_local(struct task_struct) + bpf_core_type_id_kernel(struct task_struct);
	sum += bpf_core_type_id_kernel(struct not_in_any_kernel);
	sum += bpf_core_type_exists(struct task_struct) + bpf_core_type_exists(struct not_in_any_kernel);
	sum += bpf_core_type_size(struct task_struct) + bpf_core_type_size(struct not_in_any_kernel);
	sum += bpf_core_type_size(pid_t) + bpf_core_type_exists(atomic_t) + bpf_core_type_size(union bpf_attr);
	sum += bpf_core_type_matches(struct list_head) + bpf_core_type_matches(struct task_struct);
	sum += bpf_core_type_matches(struct net_device) + bpf_core_type_matches(enum pid_type);
	sum += bpf_core_type_matches(pid_t) + bpf_core_type_matches(atomic_t);
	sink = sum;
	return 0;
}

SEC("raw_tp/sched_wakeup")
int enums(void *ctx)
{
	__u64 sum = 0;

	sum += bpf_core_enum_value(enum pid_type, PIDTYPE_TGID) + bpf_core_enum_value_exists(enum pid_type, PIDTYPE_PID);
	sum += bpf_core_enum_value_exists(enum pid_type, PIDTYPE_MISSING);
	sum += bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF);
	sum += bpf_core_enum_value(enum bpf_func_id___x, BPF_FUNC_trace_printk___x);
	if (bpf_core_enum_value_exists(enum no_such_enum, NO_SUCH_VALUE))
		sum += bpf_core_enum_value(enum no_such_enum, NO_SUCH_VALUE);
	sink = sum;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
