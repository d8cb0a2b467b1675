/* Two skeletons in one tool, as in a release: stripped, only the build id left to know it by. */
#include "exits.skel.h"
#include "openat.skel.h"

int main(void)
{
	struct exits *exits = exits__open_and_load();
	struct openat *openat = openat__open_and_load();

	exits__destroy(exits);
	openat__destroy(openat);
	return !exits || !openat;
}
