/* Externs the loader resolves: kconfig values, kernel functions and symbols; some weak, some absent. */
#include "kernel.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned long CONFIG_HZ __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_SAMPLE_NEVER_SET __kconfig __weak;

extern const void schedule __ksym;                       /* typeless: an address from kallsyms */
extern const int sample_no_such_variable __ksym __weak;  /* typed, absent: becomes zero */

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void sample_no_such_function(void) __ksym __weak; /* absent: its call must be dead code */

u64 answers[6];

SEC("syscall")
int ask_kconfig(void *ctx)
{
	answers[0] = LINUX_KERNEL_VERSION;
	answers[1] = CONFIG_HZ;
	answers[2] = CONFIG_BPF_SYSCALL;
	answers[3] = CONFIG_SAMPLE_NEVER_SET;
	return 0;
}

SEC("syscall")
int ask_ksyms(void *ctx)
{
	answers[4] = (u64)&schedule;
	answers[5] = &sample_no_such_variable ? 1 : 0;
	return 0;
}

SEC("syscall")
int call_kfuncs(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	if (sample_no_such_function)
		sample_no_such_function();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
