// A thread with descriptors of its own, one of which is a pinned program: PIN [OTHERS [ends]]. OTHERS threads share the
// process's table; with `ends` the first thread is gone, and its table with it.
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *pin;
static int ends;

static void *wait(void *argument)
{
	pause();
	return argument;
}

static void *hold(void *argument)
{
	union bpf_attr attr;

	if (!ends && unshare(CLONE_FILES))
		exit(1);
	memset(&attr, 0, sizeof(attr));
	attr.pathname = (unsigned long)pin;
	if (syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr)) < 0)
		exit(2);
	printf("%ld\n", syscall(__NR_gettid));
	fflush(stdout);
	return wait(argument);
}

int main(int argc, char **argv)
{
	pthread_attr_t small;
	pthread_t thread;
	int others = argc > 2 ? atoi(argv[2]) : 0;

	pin = argv[1];
	ends = argc > 3;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	while (others-- > 0)
		if (pthread_create(&thread, &small, wait, NULL))
			return 3;
	if (pthread_create(&thread, &small, hold, NULL))
		return 4;
	if (ends)
		pthread_exit(NULL);
	return pthread_join(thread, NULL);
}
