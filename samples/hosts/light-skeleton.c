/* A light skeleton holds a loader program and its instructions, but no ELF object: nothing to carve. */
#include <errno.h> /* skel_internal.h of libbpf 1.1 needs it and does not say so */
#include "cgroup.lskel.h"

int main(void)
{
	struct cgroup *skeleton = cgroup__open_and_load();

	cgroup__destroy(skeleton);
	return !skeleton;
}
