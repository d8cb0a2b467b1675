/* Offsets 1, 3 and 6 modulo 8; both byte orders in one host, as bpf2go ships them. */
	.section .rodata, "a"
	.globl object_start, object_end
	.balign 8
	.byte 0
object_start:
	.incbin "uprobe.bpf.o"
	.balign 8
	.byte 0x7f, 0x7f, 0x7f /* the first byte of the magic, over and over */
	.incbin "../bpfeb/uprobe.bpf.o"
	.balign 8
	.ascii "\177ELF\177E" /* a magic cut short by the real one */
	.incbin "filter.bpf.o"
object_end:
	.section .note.GNU-stack, "", @progbits
