/* A shared library that hands its object to callers; const, so it lies in .rodata. */
static const unsigned char object[] = {
#include "cgroup.bytes"
};

const void *sample_object(unsigned long *size)
{
	*size = sizeof(object);
	return object;
}
