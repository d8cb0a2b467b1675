/* The usual way: bpftool gen skeleton turns the object into a string constant of a header. */
#include <stdio.h>
#include "uprobe.skel.h"

int main(void)
{
	struct uprobe *skeleton = uprobe__open_and_load();

	if (!skeleton)
		return 1;
	printf("loaded %s\n", skeleton->skeleton->name);
	uprobe__destroy(skeleton);
	return 0;
}
