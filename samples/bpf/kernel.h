/* The few kernel types these programs look into.
 *
 * A stand-in for a 3 MB vmlinux.h: only the members that are read are declared, in any order, because
 * preserve_access_index leaves the real offsets to the loader (CO-RE).
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__ /* makes bpf_tracing.h use the kernel's own pt_regs member names */

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#ifdef __TARGET_ARCH_x86
struct pt_regs {
	unsigned long di, si, dx, cx, r8, r9, ax, ip, sp, bp, orig_ax;
};
#else
typedef struct {
	unsigned long args[1];
	unsigned long gprs[16];
} user_pt_regs;
#endif

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
	PIDTYPE_PGID,
	PIDTYPE_SID,
	PIDTYPE_MAX,
};

struct rlimit {
	unsigned long rlim_cur;
	unsigned long rlim_max;
};

struct signal_struct {
	struct rlimit rlim[16];
};

struct qstr {
	union {
		struct {
			u32 hash;
			u32 len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
};

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	unsigned int flags;
	char comm[16];
	u64 start_time;
	unsigned sched_reset_on_fork : 1;
	unsigned sched_contributes_to_load : 1;
	unsigned in_execve : 1;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct signal_struct *signal;
};

#pragma clang attribute pop

#endif
