/*
 * What libbpf makes of objects, without loading them: one JSON line for each path, after the lines that libbpf logs
 * about the object, each behind a '#'. After the word "names" the arguments are section names, and the lines say
 * which type and attach type libbpf reads out of them.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

static int print_log(enum libbpf_print_level level, const char *format, va_list arguments)
{
	putchar('#');
	return vprintf(format, arguments);
}

static const char *word(const char *known)
{
	return known ? known : "unknown";
}

static void print_map(const struct bpf_map *map)
{
	printf("{\"name\":\"%s\",\"type\":\"%s\",\"keySize\":%u,\"valueSize\":%u,\"maxEntries\":%u,\"flags\":%u,"
	       "\"numaNode\":%u,\"mapExtra\":\"%llu\",\"keyType\":%u,\"valueType\":%u",
	       bpf_map__name(map), word(libbpf_bpf_map_type_str(bpf_map__type(map))), bpf_map__key_size(map),
	       bpf_map__value_size(map), bpf_map__max_entries(map), bpf_map__map_flags(map), bpf_map__numa_node(map),
	       (unsigned long long)bpf_map__map_extra(map), bpf_map__btf_key_type_id(map),
	       bpf_map__btf_value_type_id(map));
}

static void print_maps(const struct bpf_object *object)
{
	const char *separator = "";
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		struct bpf_map *inner = bpf_map__inner_map(map);

		printf("%s", separator);
		print_map(map);
		if (inner) {
			printf(",\"inner\":");
			print_map(inner);
			printf("}");
		}
		printf("}");
		separator = ",";
	}
}

static void print_programs(const struct bpf_object *object)
{
	const char *separator = "";
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) {
		printf("%s{\"name\":\"%s\",\"section\":\"%s\",\"type\":\"%s\",\"attachType\":\"%s\",\"instructions\":%zu,"
		       "\"autoload\":%s}",
		       separator, bpf_program__name(program), bpf_program__section_name(program),
		       word(libbpf_bpf_prog_type_str(bpf_program__type(program))),
		       word(libbpf_bpf_attach_type_str(bpf_program__expected_attach_type(program))),
		       bpf_program__insn_cnt(program), bpf_program__autoload(program) ? "true" : "false");
		separator = ",";
	}
}

static void print_object(const char *path)
{
	struct bpf_object *object = bpf_object__open(path);

	if (!object) {
		printf("null\n");
		return;
	}
	printf("{\"maps\":[");
	print_maps(object);
	printf("],\"programs\":[");
	print_programs(object);
	printf("]}\n");
	bpf_object__close(object);
}

static void print_name(const char *name)
{
	enum bpf_attach_type attach_type;
	enum bpf_prog_type type;

	if (libbpf_prog_type_by_name(name, &type, &attach_type))
		printf("null\n");
	else
		printf("{\"type\":\"%s\",\"attachType\":\"%s\"}\n", word(libbpf_bpf_prog_type_str(type)),
		       word(libbpf_bpf_attach_type_str(attach_type)));
}

int main(int count, char **arguments)
{
	int names = count > 1 && !strcmp(arguments[1], "names");

	libbpf_set_print(print_log);
	for (int i = 1 + names; i < count; i++)
		(names ? print_name : print_object)(arguments[i]);
	return 0;
}
