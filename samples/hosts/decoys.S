/* Things that look like an object and are none, then one that is. */
	.section .rodata, "a"
	.globl object_start, object_end
	.balign 8
object_start:
	.ascii "An object starts with \\x7fELF and says 247 at byte 18.\n"
	.ascii "7f454c4602010100 0000000000000000 0100f700\n"
	.fill 64, 4, 0x464c457f        /* the magic and nothing behind it, 64 times */

	.balign 8
	.globl decoy_class32
decoy_class32:                         /* ELFCLASS32 with EM_BPF: no such thing exists */
	.ascii "\177ELF\001\001\001\0\0\0\0\0\0\0\0\0"
	.2byte 1, 247
	.4byte 1
	.fill 32, 1, 0

	.balign 8
	.globl decoy_template
decoy_template:                        /* a header without a section table, as ELF writers hold it ready */
	.ascii "\177ELF\002\001\001\0\0\0\0\0\0\0\0\0"
	.2byte 1, 247
	.4byte 1
	.8byte 0, 0, 0
	.4byte 0
	.2byte 64, 0, 0, 64, 0, 0

	.incbin "allow.bpf.o"
object_end:
	.section .note.GNU-stack, "", @progbits
