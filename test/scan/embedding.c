// A program with an object in its read-only data. As `ghost` it first becomes a copy of itself that has no file; when
// `restless` it executes itself again and again.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

extern const unsigned char object[];
__asm__(".section .rodata\n.balign 8\n.global object\nobject: .incbin \"" OBJECT "\"\n.previous");

extern char **environ;

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 1 && argv[1][0] == 'r') {
		if (argc == 2)
			printf("%d %p\n", getpid(), (void *)object);
		fflush(stdout);
		usleep(2000);
		execv("/proc/self/exe", (char *[]){ argv[0], "restless", "again", NULL });
	}
	if (argc > 1) {
		int self = open("/proc/self/exe", O_RDONLY), copy = memfd_create("ghost", MFD_CLOEXEC);
		struct stat status;
		fstat(self, &status);
		sendfile(copy, self, NULL, status.st_size);
		fexecve(copy, (char *[]){ argv[0], NULL }, environ);
	}
	printf("%d %p\n", getpid(), (void *)object);
	fflush(stdout);
	for (;;)
		pause();
}
