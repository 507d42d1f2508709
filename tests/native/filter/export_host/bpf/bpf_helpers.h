/* Of libbpf's header, what exported filters use, for a program that runs in user space: export_host.c is the kernel. */
#define SEC(name)
#define __uint(name, value) int (*name)[value]
#define __type(name, value) __typeof__(value) *name
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
enum { LIBBPF_PIN_BY_NAME = 1 };

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 bytes);
long bpf_clone_redirect(struct __sk_buff *skb, __u32 ifindex, __u64 flags);
__u64 bpf_ktime_get_ns(void);
