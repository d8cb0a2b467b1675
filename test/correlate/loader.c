/*
 * Loads small programs from raw arrays and waits. What happens to each array differs: kept in the heap, freed, wiped.
 * Prints one line for each: what, tag, file descriptor of its map, the first two translated slots; then "ready".
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = i })
#define SLOTS 24

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static int create_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };

	return bpf(BPF_MAP_CREATE, &attr);
}

/* Counts in a map the packets whose length is not `number`. */
static struct bpf_insn *make(int map, int number)
{
	struct bpf_insn code[SLOTS] = {
		INSN(0xbf, 6, 1, 0, 0),
		INSN(0x61, 7, 6, 0, 0),
		INSN(0xb7, 0, 0, 0, 0),
		INSN(0x15, 7, 0, 11, number),
		INSN(0x63, 10, 0, -4, 0),
		INSN(0xbf, 2, 10, 0, 0),
		INSN(0x07, 2, 0, 0, -4),
		INSN(0x18, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(0x85, 0, 0, 0, 1),
		INSN(0x15, 0, 0, 2, 0),
		INSN(0xb7, 1, 0, 0, 1),
		INSN(0xdb, 0, 1, 0, 0),
		INSN(0xb7, 0, 0, 0, 1),
		INSN(0x05, 0, 0, 0, 0),
		INSN(0x07, 0, 0, 0, number),
		INSN(0x47, 0, 0, 0, 1),
		INSN(0x57, 0, 0, 0, 1),
		INSN(0x27, 0, 0, 0, 3),
		INSN(0x17, 0, 0, 0, 2),
		INSN(0xa7, 0, 0, 0, 5),
		INSN(0xb7, 3, 0, 0, 1),
		INSN(0x0f, 0, 3, 0, 0),
		INSN(0x95, 0, 0, 0, 0),
	};
	struct bpf_insn *copy = malloc(sizeof(code));

	memcpy(copy, code, sizeof(code));
	explicit_bzero(code, sizeof(code));
	return copy;
}

static void show(const char *what, int program, int map)
{
	static struct bpf_insn xlated[4 * SLOTS];
	struct bpf_prog_info info = { .xlated_prog_insns = (unsigned long)xlated, .xlated_prog_len = sizeof(xlated) };
	union bpf_attr attr = { .info = { .bpf_fd = program, .info_len = sizeof(info), .info = (unsigned long)&info } };

	if (program < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		exit(1);
	printf("%s ", what);
	for (int at = 0; at < 8; at++)
		printf("%02x", info.tag[at]);
	printf(" %d ", map);
	for (int at = 0; at < 16; at++)
		printf("%02x", ((unsigned char *)xlated)[at]);
	printf("\n");
	explicit_bzero(xlated, sizeof(xlated));
}

int main(void)
{
	/* Last the one that is freed: nothing else gets its memory then. */
	static const char *const ends[] = { "kept", "wiped", "freed" };

	for (int each = 0; each < 3; each++) {
		int map = create_map();
		struct bpf_insn *code = make(map, 100 + each);
		union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = SLOTS,
					.insns = (unsigned long)code, .license = (unsigned long)"GPL" };
		int program = bpf(BPF_PROG_LOAD, &attr);

		show(ends[each], program, map);
		if (each == 1)
			explicit_bzero(code, SLOTS * sizeof(*code));
		if (each == 2)
			free(code);
	}
	printf("ready\n");
	fflush(stdout);
	getchar();
	return 0;
}
