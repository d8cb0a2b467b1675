/* Objects directly behind one another: where one ends the next begins. */
	.section .rodata, "a"
	.balign 8
	.globl object_start, object_end
object_start:
	.incbin "allow.bpf.o"
	.incbin "filter.bpf.o"
	.incbin "uprobe.bpf.o"
	.incbin "cgroup.bpf.o"
	.incbin "openat.bpf.o"
	.incbin "filter.bpf.o" /* the same once more: distinct content counts */
	.incbin "globals.bpf.o"
object_end:
	.section .note.GNU-stack, "", @progbits
