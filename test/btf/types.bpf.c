// Types of every kind, and layouts that a C rendering must not disturb.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define USER __attribute__((btf_type_tag("user")))
#define NOTE(text) __attribute__((btf_decl_tag(text)))
#define SEC(name) __attribute__((section(name), used))

struct opaque;
union opaque_union;
struct tree { struct tree *left, *right; struct opaque *data; union opaque_union *other; };
struct first { struct second *next; };
struct second { struct first embedded; struct third { char c; } inner; };
typedef struct node node_t;
struct node { node_t *next; int (*visit)(node_t *self, void *with, ...); };
typedef int (*handler_t)(const struct tree *, const char *const *names, u64 *const restrict out);
typedef handler_t handlers_t[3];
struct calls {
	handlers_t handlers;
	void (*(*resolver)(int which))(void);
	int (*table[2][4])(struct calls *);
	char *(*names)[8];
	const volatile unsigned long *const counters[2];
};
struct bits {
	u32 a : 3;
	u32 : 5;
	u32 b : 9;
	u32 : 0;
	u32 c : 1;
	u64 wide : 40;
	u8 tail : 2;
	signed int sign : 4;
};
struct gaps {
	u8 a;
	u64 b __attribute__((aligned(32)));
	u8 c;
	struct { u16 x; union { u8 y; u32 z; }; } __attribute__((aligned(16))) d;
	u8 e;
};
struct packed { u8 a; u64 b; u16 c[3]; } __attribute__((packed));
struct packed_aligned { u8 a; u64 b; } __attribute__((packed, aligned(4)));
struct holds_packed { u8 lead; struct packed p; u32 after; struct packed_aligned q[2]; };
struct bits_then_gap { u32 a : 1; u64 far __attribute__((aligned(16))); u32 b : 31; u8 c; };
struct flexible { int count; struct { u8 key, value; } items[]; };
struct empty {};
struct holds_empty { struct empty e; int after; };
struct matrix { int m[3][4]; float f; double d; _Bool yes; __int128 big; };
enum color { RED, GREEN = 5, BLUE = 0xffffffff };
enum level { LOW = -5, HIGH = 5 };
enum huge { SMALL = 1, LARGE = 0x100000000ULL };
enum tiny { ONE = 1 } __attribute__((packed));
union mixed { struct { u8 low, high; }; u16 both; enum { INLINE_A, INLINE_B } kind; struct bits bits; };
struct tagged { int USER *pointer; int noted NOTE("member"); } NOTE("struct");
typedef struct { int counter; } counter_t;
typedef union { counter_t c; u64 raw; } either_t;
typedef enum { ANON_ONE, ANON_TWO } anon_enum_t;

struct root {
	struct tree tree; struct first first; struct second second; struct node node; struct calls calls; struct bits bits;
	struct gaps gaps; struct packed packed; struct holds_packed holds_packed; struct bits_then_gap bits_then_gap;
	struct holds_empty holds_empty; struct matrix matrix; enum color color; enum level level; enum huge huge;
	enum tiny tiny; union mixed mixed; struct tagged tagged; either_t either; anon_enum_t anon;
	struct flexible flexible;
};
struct root root SEC(".data.root");
static volatile int counter = 1;
extern int outside;

static __attribute__((noinline)) int helper(struct root *r, int n NOTE("param")) { return r->color + n + counter; }
SEC("socket") int main_program(void *ctx) { return helper(&root, 1); }
char LICENSE[] SEC("license") = "GPL";
