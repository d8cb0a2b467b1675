/* The only function lies in .text: a program to some releases of libbpf. */
__attribute__((used)) int lone(void *ctx)
{
	return 2;
}
