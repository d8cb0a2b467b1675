/* What an object can ask of the kernel it is loaded into. */
#include "rules.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned int CONFIG_HZ __kconfig;
extern char CONFIG_LSM[64] __kconfig __weak;
extern _Bool CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern unsigned long CONFIG_LOG_BUF_SHIFT __kconfig __weak;

extern const void schedule __ksym;
extern const void no_such_symbol __ksym __weak;

struct rq {
	int cpu;
};
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym __weak;
extern const int no_such_variable __ksym __weak;

struct task_struct {
	int pid;
} relocated;
struct cgroup;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
extern void bpf_a_missing_one(int x) __ksym __weak;
extern int bpf_z_missing_one(int x) __ksym __weak;
extern void bpf_rcu_read_lock___flavored(void) __ksym __weak;

__u64 out[16];

SEC("tp_btf/task_newtask")
int kernel_configuration(unsigned long long *ctx)
{
	out[0] = LINUX_KERNEL_VERSION;
	out[1] = CONFIG_HZ;
	out[2] = CONFIG_LSM[1];
	out[3] = CONFIG_NO_SUCH_OPTION;
	out[4] = CONFIG_LOG_BUF_SHIFT;
	return 0;
}

SEC("tp_btf/task_newtask")
int addresses(unsigned long long *ctx)
{
	out[0] = (__u64)&schedule;
	out[1] = (__u64)&no_such_symbol;
	return 0;
}

SEC("tp_btf/task_newtask")
int variables(unsigned long long *ctx)
{
	out[0] = (__u64)&runqueues;
	out[1] = (__u64)&no_such_variable;
	out[2] = (__u64)&bpf_prog_active;
	return 0;
}

SEC("tp_btf/task_newtask")
int functions(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[0]);

	if (task)
		bpf_task_release(task);
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tp_btf/task_newtask")
int missing_functions(unsigned long long *ctx)
{
	if (bpf_a_missing_one)
		bpf_a_missing_one(1);
	if (bpf_z_missing_one)
		out[0] = bpf_z_missing_one(2);
	if (bpf_rcu_read_lock___flavored)
		out[1] = 1;
	if (bpf_task_from_pid) {
		struct task_struct *task = bpf_task_from_pid(1);

		if (task)
			bpf_task_release(task);
	}
	return 0;
}

static noinline int ask_in_subprogram(void)
{
	out[5] = (__u64)&schedule;
	return CONFIG_HZ;
}

SEC("tp_btf/task_newtask")
int through_subprogram(unsigned long long *ctx)
{
	return ask_in_subprogram();
}

SEC("tp_btf/task_newtask")
int asks_nothing(unsigned long long *ctx)
{
	out[7] = 3;
	return 0;
}
