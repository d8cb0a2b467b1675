/*
 * Loads programs from arrays of instructions, as programs do that have no object file, and waits. What becomes of each array
 * differs: it is a
 * constant, kept in the heap, freed, wiped, or has lost its first slots where no heap is. Prints `what id` for each, then "ready".
 * The argument is a number that makes the programs unlike those of any other run.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = i })
#define MOST_SLOTS 256
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum shape { CONSTANT, PLAIN, COUNTER, TWO_MAPS, LONG, PACKET, TWIN };
/*
 * What free() makes of a chunk depends: FREED goes to the cache of the thread, and what is too large for that to the unsorted bin,
 * SORTED from there to the bin of its size, FAST to a fast bin. SPOILED is overwritten like a freed one, but in no heap.
 */
enum end { KEPT, UNALIGNED, FREED, SORTED, FAST, WIPED, SPOILED_STACK, SPOILED_SHARED };

static const struct {
	const char *what;
	enum shape shape;
	enum end end;
	/* Twins of one family differ in their second slot alone. */
	int family;
} programs[] = {
	{ "constant", CONSTANT, KEPT },
	{ "kept", PLAIN, KEPT },
	{ "kept-map", COUNTER, KEPT },
	{ "kept-maps", TWO_MAPS, KEPT },
	{ "kept-long", LONG, KEPT },
	{ "kept-packet", PACKET, KEPT },
	{ "wiped", PLAIN, WIPED },
	{ "wiped-map", COUNTER, WIPED },
	{ "freed-long", LONG, FREED },
	{ "freed-packet", PACKET, FREED },
	{ "freed", PLAIN, FREED },
	{ "freed-map", COUNTER, FREED },
	{ "freed-maps", TWO_MAPS, FREED },
	{ "freed-sorted", LONG, SORTED },
	{ "freed-fast", PLAIN, FAST },
	{ "kept-unaligned", PLAIN, UNALIGNED },
	{ "kept-twin", TWIN, KEPT, 1 },
	{ "wiped-twin", TWIN, WIPED, 1 },
	{ "kept-pair", TWIN, KEPT, 2 },
	{ "freed-pair", TWIN, FREED, 2 },
	{ "unclear-freed", TWIN, FREED, 3 },
	{ "unclear-wiped", TWIN, WIPED, 3 },
	{ "spoiled-stack", PLAIN, SPOILED_STACK },
	{ "spoiled-shared", PLAIN, SPOILED_SHARED },
};

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static int create_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };

	return bpf(BPF_MAP_CREATE, &attr);
}

/* r0 = a number that stands for the packet in r1. */
static int plain(struct bpf_insn *code, int number)
{
	const struct bpf_insn slots[] = {
		INSN(0xbf, 6, 1, 0, 0),
		INSN(0x61, 7, 6, 0, 0),
		INSN(0xb7, 0, 0, 0, 0),
		INSN(0x15, 7, 0, 3, number),
		INSN(0xbf, 0, 7, 0, 0),
		INSN(0x07, 0, 0, 0, number),
		INSN(0x57, 0, 0, 0, 0xffff),
		INSN(0x47, 0, 0, 0, 1),
		INSN(0x95, 0, 0, 0, 0),
	};

	memcpy(code, slots, sizeof(slots));
	return COUNT(slots);
}

/* Counts in a map the packets whose length is not `number`; its first slots are read back from what the kernel shows. */
static int counter(struct bpf_insn *code, int number)
{
	const struct bpf_insn slots[] = {
		INSN(0x61, 7, 1, 0, 0),
		INSN(0xb7, 0, 0, 0, 0),
		INSN(0x15, 7, 0, 9, number),
		INSN(0x63, 10, 0, -4, 0),
		INSN(0xbf, 2, 10, 0, 0),
		INSN(0x07, 2, 0, 0, -4),
		INSN(0x18, 1, BPF_PSEUDO_MAP_FD, 0, create_map()),
		INSN(0, 0, 0, 0, 0),
		INSN(0x85, 0, 0, 0, 1),
		INSN(0x15, 0, 0, 2, 0),
		INSN(0xb7, 1, 0, 0, 1),
		INSN(0xdb, 0, 1, 0, 0),
		INSN(0xb7, 0, 0, 0, 0),
		INSN(0x95, 0, 0, 0, 0),
	};

	memcpy(code, slots, sizeof(slots));
	return COUNT(slots);
}

/* Begins with a map's value, writes it, and reads another's. */
static int two_maps(struct bpf_insn *code, int number)
{
	const struct bpf_insn slots[] = {
		INSN(0x18, 1, BPF_PSEUDO_MAP_VALUE, 0, create_map()),
		INSN(0, 0, 0, 0, 0),
		INSN(0x7a, 1, 0, 0, number),
		INSN(0x18, 2, BPF_PSEUDO_MAP_VALUE, 0, create_map()),
		INSN(0, 0, 0, 0, 4),
		INSN(0x61, 0, 2, 0, 0),
		INSN(0x57, 0, 0, 0, 1),
		INSN(0x95, 0, 0, 0, 0),
	};

	memcpy(code, slots, sizeof(slots));
	return COUNT(slots);
}

/* More than fits into what malloc keeps for its thread. */
static int many(struct bpf_insn *code, int number)
{
	int slots = 0;

	code[slots++] = INSN(0x61, 0, 1, 0, 0);
	while (slots < MOST_SLOTS - 1) {
		code[slots] = INSN(0x07, 0, 0, 0, number + slots);
		slots++;
	}
	code[slots++] = INSN(0x95, 0, 0, 0, 0);
	return slots;
}

/* Begins with two loads that the kernel translates. */
static int packet(struct bpf_insn *code, int number)
{
	const struct bpf_insn slots[] = {
		INSN(0x61, 2, 1, 4, 0),
		INSN(0x61, 1, 1, 0, 0),
		INSN(0xb7, 0, 0, 0, 2),
		INSN(0xbf, 3, 1, 0, 0),
		INSN(0x07, 3, 0, 0, 14),
		INSN(0x2d, 3, 2, 3, 0),
		INSN(0x61, 4, 1, 0, 0),
		INSN(0x55, 4, 0, 1, number),
		INSN(0xb7, 0, 0, 0, 1),
		INSN(0x95, 0, 0, 0, 0),
	};

	memcpy(code, slots, sizeof(slots));
	return COUNT(slots);
}

/*
 * Like its twin but for the number in the second slot. What the kernel shows is not what was loaded, whose copy would lie in the
 * memory of everybody who looks at it.
 */
static int twin(struct bpf_insn *code, int number, int family)
{
	int count = plain(code, family);

	code[0] = INSN(0x61, 7, 1, 0, 0);
	code[1] = INSN(0xb7, 0, 0, 0, number);
	return count;
}

/* r0 = what the sum of two fields of the packet in r1 says; in every run the same. */
static const struct bpf_insn constant[] = {
	INSN(0x61, 6, 1, 0, 0),
	INSN(0x61, 7, 1, 4, 0),
	INSN(0x0f, 6, 7, 0, 0),
	INSN(0x77, 6, 0, 0, 3),
	INSN(0x57, 6, 0, 0, 0x7fff),
	INSN(0xbf, 0, 6, 0, 0),
	INSN(0x95, 0, 0, 0, 0),
};

static struct bpf_insn *assemble(enum shape shape, int number, int family, int offset, int *count)
{
	static int (*const write[])(struct bpf_insn *, int) = {
		[PLAIN] = plain, [COUNTER] = counter, [TWO_MAPS] = two_maps, [LONG] = many, [PACKET] = packet,
	};
	struct bpf_insn code[MOST_SLOTS];

	if (shape == CONSTANT) {
		*count = COUNT(constant);
		return (struct bpf_insn *)constant;
	}
	*count = shape == TWIN ? twin(code, number, family) : write[shape](code, number);
	struct bpf_insn *copy = malloc(*count * sizeof(*code) + offset) + offset;
	memcpy(copy, code, *count * sizeof(*code));
	explicit_bzero(code, sizeof(code));
	return copy;
}

/* What the functions above left of their tables, where their frames were. */
static void __attribute__((noinline)) wipe_stack(void)
{
	char below[1 << 16];

	explicit_bzero(below, sizeof(below));
}

/* What free() does to a chunk, as far as it shows. */
static void spoil(struct bpf_insn *target, struct bpf_insn *code, int count)
{
	void *links[2] = { &links, target };

	memcpy(target, code, count * sizeof(*code));
	memcpy(target, links, sizeof(links));
	explicit_bzero(code, count * sizeof(*code));
}

/* Chunks of one size that the cache of a thread takes. */
#define CACHED 7

static unsigned id_of(int program)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = { .info = { .bpf_fd = program, .info_len = sizeof(info), .info = (unsigned long)&info } };

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) ? 0 : info.id;
}

static void free_all(struct bpf_insn **code, enum end end)
{
	for (size_t each = 0; each < COUNT(programs); each++)
		if (programs[each].end == end)
			free(code[each]);
}

int main(int argc, char **argv)
{
	static char output[4096], log[1 << 16];
	struct bpf_insn *code[COUNT(programs)], on_stack[MOST_SLOTS];
	struct bpf_insn *shared = mmap(NULL, sizeof(on_stack), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *fillers[CACHED];
	int number = argc > 1 ? atoi(argv[1]) : 0;

	for (int each = 0; each < CACHED; each++)
		fillers[each] = malloc(9 * sizeof(**code));
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	for (size_t each = 0; each < COUNT(programs); each++) {
		int count, offset = programs[each].end == UNALIGNED ? 3 : 0;
		int own = number + (int)each * 512, family = number + (int)(COUNT(programs) + programs[each].family) * 512;
		code[each] = assemble(programs[each].shape, own, family, offset, &count);
		union bpf_attr attr = { .prog_type = programs[each].shape == PACKET ? BPF_PROG_TYPE_XDP
										   : BPF_PROG_TYPE_SOCKET_FILTER,
					.insn_cnt = count,
					.insns = (unsigned long)code[each], .license = (unsigned long)"GPL",
					.log_level = 1, .log_size = sizeof(log), .log_buf = (unsigned long)log };
		int program = bpf(BPF_PROG_LOAD, &attr);

		if (program < 0) {
			fprintf(stderr, "%s: %m\n%s", programs[each].what, log);
			return 1;
		}
		printf("%s %u\n", programs[each].what, id_of(program));
		if (programs[each].end == WIPED)
			explicit_bzero(code[each], count * sizeof(*code[each]));
		if (programs[each].end == SPOILED_STACK)
			spoil(on_stack, code[each], count);
		if (programs[each].end == SPOILED_SHARED)
			spoil(shared, code[each], count);
	}
	wipe_stack();
	printf("ready\n");
	/* Last what is freed: nothing else gets its memory then. */
	free_all(code, SORTED);
	/* To look for so much it sorts what is free. */
	if (!malloc(1 << 16))
		return 1;
	free_all(code, FREED);
	for (int each = 0; each < CACHED; each++)
		free(fillers[each]);
	free_all(code, FAST);
	fflush(stdout);
	for (;;)
		pause();
}
