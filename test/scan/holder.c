// Holds an object in its memory in the way the first argument says, prints where, and waits to be ended.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static unsigned char object[1 << 20];
static size_t size;

/* The object is kept only as its complement, so that the copy under test is the only one. */
static void load(const char *path)
{
	int fd = open(path, O_RDONLY);
	size = read(fd, object, sizeof(object));
	close(fd);
	for (size_t i = 0; i < size; i++)
		object[i] = ~object[i];
}

static void place(volatile unsigned char *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		at[i - from] = ~object[i];
}

static void *map(size_t length, int prot, int flags)
{
	void *at = mmap(NULL, length, prot, flags | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		exit(2);
	return at;
}

static int file_with(const char *path, size_t offset, size_t from, size_t to)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char *buffer = calloc(1, offset + to - from + PAGE);
	size_t length = (offset + to - from + PAGE - 1) / PAGE * PAGE;
	place(buffer + offset, from, to);
	if (write(fd, buffer, length) != (ssize_t)length)
		exit(2);
	explicit_bzero(buffer, length);
	free(buffer);
	return fd;
}

static void wait_here(void *at)
{
	printf("%d %p\n", getpid(), at);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *how = argv[1], *path = argv[2], *scratch = argc > 3 ? argv[3] : "";
	size_t room;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	load(path);
	room = (size + 2 * PAGE) / PAGE * PAGE;
	if (!strcmp(how, "heap")) {
		unsigned char *at = malloc(room);
		unlink(path);
		place(at + 1, 0, size);
		wait_here(at + 1);
	} else if (!strcmp(how, "none")) {
		unsigned char *at = map(room, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		place(at + 8, 0, size);
		mprotect(at, room, PROT_NONE);
		wait_here(at + 8);
	} else if (!strcmp(how, "dirty")) {
		/* The file holds zeros: only the private copies of its pages hold the object. */
		int fd = file_with(scratch, 0, 0, 0);
		if (ftruncate(fd, room))
			exit(2);
		unsigned char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		place(at + 24, 0, size);
		wait_here(at + 24);
	} else if (!strcmp(how, "patched")) {
		/* The file holds the object; one byte of it, beyond the page of the header, differs in memory. */
		int fd = file_with(scratch, 16, 0, size);
		unsigned char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		at[16 + atoi(argv[4])] ^= 0xff;
		wait_here(at + 16);
	} else if (!strcmp(how, "untouched")) {
		/* No page of the mapping is ever touched. */
		int fd = file_with(scratch, 40, 0, size);
		unsigned char *at = mmap(NULL, room, PROT_READ, MAP_PRIVATE, fd, 0);
		unlink(scratch);
		wait_here(at + 40);
	} else if (!strcmp(how, "adjoining")) {
		unsigned char *at = map(room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		place(at + PAGE - 100, 0, size);
		mprotect(at + PAGE, room, PROT_READ);
		wait_here(at + PAGE - 100);
	} else if (!strcmp(how, "two-files")) {
		/* Even the header lies in two files: its last 34 bytes are in the second. */
		char second[4096];
		snprintf(second, sizeof(second), "%s.2", scratch);
		int one = file_with(scratch, PAGE - 30, 0, 30), two = file_with(second, 0, 30, size);
		unsigned char *at = map(room + PAGE, PROT_NONE, MAP_PRIVATE);
		mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, one, 0);
		mmap(at + PAGE, (size - 30 + PAGE - 1) / PAGE * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, two, 0);
		wait_here(at + PAGE - 30);
	} else if (!strcmp(how, "shared")) {
		unsigned char *at = map(room, PROT_READ | PROT_WRITE, MAP_SHARED);
		place(at + 4, 0, size);
		int child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		printf("%d ", child);
		wait_here(at + 4);
	} else if (!strcmp(how, "half")) {
		unsigned char *at = map(room, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		place(at, 0, size / 2);
		memset(at + size / 2, 0xaa, size - size / 2);
		wait_here(at);
	} else if (!strcmp(how, "reserved")) {
		size_t tera = 1UL << 40, step = tera / 1000 / PAGE * PAGE;
		unsigned char *at = map(tera, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
		madvise(at, tera, MADV_NOHUGEPAGE);
		for (int page = 0; page < 1000; page++)
			at[page * step] = 1;
		place(at + 500 * step + 3, 0, size);
		wait_here(at + 500 * step + 3);
	} else if (!strcmp(how, "zero")) {
		/* Private memory that has a device behind it. */
		unsigned char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
		place(at + 12, 0, size);
		wait_here(at + 12);
	} else if (!strcmp(how, "large")) {
		/* More than one thread searches alone. */
		size_t length = 96UL << 20;
		unsigned char *at = map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		memset(at, 0x5a, length);
		place(at + length / 2 + 1, 0, size);
		wait_here(at + length / 2 + 1);
	} else if (!strcmp(how, "sparse")) {
		/* A shared tebibyte that is nearly all hole. */
		int fd = memfd_create("sparse", 0);
		size_t tera = 1UL << 40;
		if (ftruncate(fd, tera))
			exit(2);
		unsigned char *at = mmap(NULL, tera, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		place(at + tera / 3, 0, size);
		wait_here(at + tera / 3);
	} else if (!strcmp(how, "zombie")) {
		int child = fork();
		if (child == 0)
			_exit(0);
		siginfo_t ended;
		if (waitid(P_PID, child, &ended, WEXITED | WNOWAIT))
			exit(2);
		printf("%d ", child);
		wait_here(NULL);
	}
	return 2;
}
