/* The little of the kernel's headers that these programs need; types of the kernel are cut down to what is relocated. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define relocated __attribute__((preserve_access_index))
#define noinline __attribute__((noinline))

char LICENSE[] SEC("license") = "GPL";
