/* A byte array as `xxd -i` writes it, not const: it lies in .data. */
#include <unistd.h>

unsigned char filter_bpf_o[] = {
#include "filter.bytes"
};

int main(void)
{
	return write(1, filter_bpf_o, sizeof(filter_bpf_o)) < 0;
}
