/* Of libbpf's header, what exported filters use. */
#define bpf_ntohs(x) __builtin_bswap16(x)
