/* One object, aligned, in .rodata: what Rust's include_bytes and Go's embed come down to. */
	.section .rodata, "a"
	.balign 8
	.globl object_start, object_end
object_start:
	.incbin "xdp.bpf.o"
object_end:
	.section .note.GNU-stack, "", @progbits
