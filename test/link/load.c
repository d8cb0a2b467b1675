/*
 * Loads every program of every object that is named, one at a time, into the running kernel through the installed libbpf, and
 * says what became of it: one line of JSON each. Nothing is attached or pinned, and what was loaded is gone at the end.
 * `"phase":"load"` means that libbpf had put the code together and the kernel was asked; `code` is what it was asked with.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int asked;

/* libbpf tells how far it came only in its log. */
static int read_log(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, arguments);
	if (strstr(line, "BPF program load failed") || strstr(line, "failed to load program") ||
	    strstr(line, "failed to prepare load attributes") || strstr(line, "failed to find kernel BTF type ID"))
		asked = 1;
	return 0;
}

static void print_code(const struct bpf_program *program)
{
	const unsigned char *bytes = (const unsigned char *)bpf_program__insns(program);
	size_t size = bpf_program__insn_cnt(program) * sizeof(struct bpf_insn);

	printf(",\"code\":\"");
	for (size_t at = 0; at < size; at++)
		printf("%02x", bytes[at]);
	printf("\"");
}

static void print_tag(const struct bpf_program *program)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return;
	printf(",\"tag\":\"");
	for (int at = 0; at < 8; at++)
		printf("%02x", info.tag[at]);
	printf("\"");
}

/* Some applications give their maps a size only when they run. */
static void give_sizes(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		if (!bpf_map__max_entries(map) && bpf_map__type(map) != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
			bpf_map__set_max_entries(map, 1);
		if (!bpf_map__value_size(map) && bpf_map__type(map) == BPF_MAP_TYPE_STACK_TRACE)
			bpf_map__set_value_size(map, 127 * sizeof(__u64));
	}
}

/* `alone`: with the other programs switched off. Program arrays that the object fills need them on. */
static struct bpf_object *open_for(const char *path, int wanted, int alone, struct bpf_program **chosen)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	int place = 0;

	*chosen = NULL;
	if (!object)
		return NULL;
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, place == wanted || !alone);
		if (bpf_program__type(program) == BPF_PROG_TYPE_UNSPEC)
			bpf_program__set_type(program, BPF_PROG_TYPE_SOCKET_FILTER);
		if (place++ == wanted)
			*chosen = program;
	}
	give_sizes(object);
	return object;
}

static int load_one(const char *path, int wanted)
{
	struct bpf_program *chosen;
	struct bpf_object *object = open_for(path, wanted, 1, &chosen);
	int error;

	if (!object) {
		printf("{\"object\":\"%s\",\"phase\":\"open\",\"error\":%d}\n", path, errno);
		return 0;
	}
	if (chosen) {
		asked = 0;
		error = -bpf_object__load(object);
		if (error && !asked) {
			bpf_object__close(object);
			object = open_for(path, wanted, 0, &chosen);
			error = -bpf_object__load(object);
		}
		printf("{\"object\":\"%s\",\"name\":\"%s\",\"phase\":\"%s\",\"error\":%d", path, bpf_program__name(chosen),
		       error && !asked ? "link" : "load", error);
		if (!error)
			print_tag(chosen);
		else if (asked)
			print_code(chosen);
		printf("}\n");
		fflush(stdout);
	}
	bpf_object__close(object);
	return chosen != NULL;
}

int main(int argc, char **argv)
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(read_log);
	for (int at = 1; at < argc; at++)
		for (int place = 0; load_one(argv[at], place); place++)
			;
	return 0;
}
