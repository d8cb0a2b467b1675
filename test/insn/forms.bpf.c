/* Code that makes clang use most of the instruction set. Never loaded: only compiled, for each CPU version and byte order. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))

static long (*const map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const for_each)(void *map, void *callback, void *ctx, u64 flags) = (void *)164;
extern int kfunc(void *ctx) __attribute__((section(".ksyms")));

u64 counter = 7;
const volatile s32 limit = -5;
u32 table[4];

struct record {
  u8 byte;
  u16 half;
  u32 word;
  u64 wide;
  s8 signed_byte;
  s16 signed_half;
  s32 signed_word;
  s64 signed_wide;
};

__attribute__((noinline)) static u64 widen(struct record *r) {
  return r->signed_byte + (s64)r->signed_half + r->signed_word + r->byte + r->half + r->word;
}

static long callback(void *map, void *key, void *value, void *ctx) {
  return *(s32 *)value < limit;
}

SEC("code/arithmetic") u64 arithmetic(struct record *r) {
  u64 a = r->wide, b = r->signed_wide;
  u32 c = r->word, d = r->half;
  a = a * 3 + b / (a | 1) - (b % (a | 7)) + ((a << 5) ^ (b >> 3)) + ((s64)b >> 9);
  c = c * d - (c / (d | 1)) + (c % (d | 3)) + (c << 4) + ((s32)c >> 2) + -c;
  a &= 0x7fffffff12345678ULL;
  return a | c | ~b | -a;
}

SEC("code/swap") u64 swap(struct record *r) {
  r->half = __builtin_bswap16(r->half);
  r->word = __builtin_bswap32(r->word);
  r->wide = __builtin_bswap64(r->wide);
  return widen(r);
}

SEC("code/compare") int compare(struct record *r) {
  int n = 0;
  if (r->wide > 5) n += counter;
  if (r->signed_wide < -9) n ^= 2;
  if (r->word >= r->half) n |= table[r->byte & 3];
  if (r->signed_word <= limit) n--;
  if (r->signed_word > (s32)r->half) n *= 3;
  if (r->wide & 0x10) n += 77;
  if (r->word != 3 && r->wide == counter) n = -n;
  return n;
}

SEC("code/store") int store(struct record *r) {
  r->byte = 1;
  r->half = 2;
  r->word = 3;
  r->wide = -4;
  counter++;
  for (u32 i = 0; i < r->word; i++) table[i & 3] += i;
  return 0;
}

SEC("code/call") int call(struct record *r) {
  u64 key = 3;
  for_each(&counter, callback, &key, 0);
  return map_lookup_elem(&table, &key) + kfunc(r) + widen(r);
}

SEC("code/add") int add(u64 *wide) {
  __sync_fetch_and_add(wide, 3);
  return 0;
}

#if __BPF_CPU_VERSION__ >= 3
SEC("code/atomic") u64 atomic(u64 *wide, u32 *word) {
  u64 old = __sync_fetch_and_add(wide, 3) + __sync_fetch_and_or(word, 9);
  old += __sync_fetch_and_and(wide, 5) + __sync_fetch_and_xor(word, 6);
  __sync_fetch_and_or(wide, 1);
  __sync_fetch_and_and(word, 2);
  old += __sync_lock_test_and_set(wide, 8) + __sync_lock_test_and_set(word, 8);
  return old + __sync_val_compare_and_swap(wide, 1, 2) + __sync_val_compare_and_swap(word, 3, 4);
}
#endif

#if __BPF_CPU_VERSION__ >= 4
SEC("code/signed") s64 signed_division(s64 a, s64 b, s32 c, s32 d) {
  return a / b + a % b + c / d + c % d + a / 7 + (s8)a + (s16)b + (s32)(a + b);
}
SEC("code/ordered") u64 ordered(u64 *wide, u32 *word, u16 *half, u8 *byte) {
  __atomic_store_n(wide, 3, __ATOMIC_RELEASE);
  __atomic_store_n(half, 3, __ATOMIC_RELEASE);
  return __atomic_load_n(wide, __ATOMIC_ACQUIRE) + __atomic_load_n(word, __ATOMIC_ACQUIRE) +
         __atomic_load_n(half, __ATOMIC_ACQUIRE) + __atomic_load_n(byte, __ATOMIC_ACQUIRE);
}
#endif

#if __BPF_CPU_VERSION__ >= 4
SEC("code/arena") int arena(int __attribute__((address_space(1))) *far) {
  int *near = (int *)far;
  for (int i = 0; i < 100; i++) {
    __asm__ volatile goto("may_goto %l[done]" : : : : done);
    near[i] += i;
  }
done:
  return *near;
}
#endif

unsigned long long load_byte(void *skb, unsigned long long off) __asm__("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long off) __asm__("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long off) __asm__("llvm.bpf.load.word");

SEC("code/packet") u64 packet(void *skb) {
  return load_word(skb, load_byte(skb, 23)) + load_half(skb, 12) + load_byte(skb, 1 << 20);
}
