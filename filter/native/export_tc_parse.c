/* The filter as an eBPF program for tc, first part: from a frame to a flow's key, for any rules.
 *
 * Not compiled by itself: filter/export_ebpf.ts puts constants before it, export_tc_decide.c and the rules behind it.
 * The parser is that of parse.c. Surprise: the kernel keeps the outer VLAN tag beside the frame, so the head of the
 * frame is copied with the tag put back, and everything reads that copy.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define WINDOW 256u /* bytes of a frame that are looked at; a power of two */
#define ETHERNET_BYTES 14u
#define TAG_AT 12u
#define TAG_BYTES 4u
#define TAGS_MAX 4
#define EXTENSIONS_MAX 8
#define FRAGMENTS_MAX 1024
#define FRAGMENT_NS 60000000000ull /* RFC 8200 4.5 */
#define NO_RULE 0xffu

#define OPTIONS_MAX 40     /* bytes of them, and so of single ones */
#define SCALE_MAX 14u      /* RFC 7323 2.3: a larger shift counts as 14 */
#define NO_SCALE 0xffu

enum { PARSE_FLOW, PARSE_NEIGHBOUR, PARSE_FRAGMENT, PARSE_OTHER };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum {
  HALF_SYN = 1, HALF_ACK_DUE = 2, HALF_FIN = 4, HALF_SEQ = 8, HALF_COPIED = 16, HALF_FIN_ACK_DUE = 32,
  HALF_REPLY_DUE = 64
};
enum { AGE_TCP_OPENING, AGE_TCP, AGE_TCP_CLOSING, AGE_UDP, AGE_ICMP, AGE_OTHER };
enum { NATURE_UNKNOWN, NATURE_PLAIN, NATURE_TLS, NATURE_SSH, NATURE_QUIC, NATURE_OPAQUE };
enum { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER, FRAGMENT_BARE };
/* As enum rm_why of the plane. */
enum {
  WHY_NONE, WHY_NEIGHBOUR, WHY_HANDSHAKE, WHY_TEARDOWN, WHY_KEEPALIVE, WHY_FIRST, WHY_PAYLOAD, WHY_ACK,
  WHY_FRAGMENT, WHY_BYTES, WHY_TURN, WHY_SAMPLE, WHY_ALL, WHYS
};

/* Lower (address, port) end first. One table serves all interfaces, so the interface is part of the key. */
struct key {
  u64 addr[4]; /* IPv4 as ::ffff:a.b.c.d */
  u32 ifindex;
  u16 port[2];
  u16 vlan;
  u8 proto, ipv6;
  u32 zero;
};

struct half {
  u64 mirrored_ns;
  u32 packets, payload_packets, payload_bytes;
  u32 next, copied; /* sequence numbers: after the last octet seen, and after the last that was copied */
  u16 window;       /* as on the wire */
  u8 flags, scale;
};

struct flow {
  struct half half[2];
  u64 first_ns, last_ns;
  u32 rules; /* digest of the rules that chose `rule` */
  u32 turn_left, turn_spent;
  u8 rule, age, reset, nature;
  u8 client; /* direction of who opened */
  u8 talker; /* direction of who spoke last, plus one; 0: nobody did */
  u16 zero;
};

struct packet {
  u32 dir, flags, seq, ack, payload_bytes, payload_at, addr_at, vlan, fragment_id;
  u16 port[2]; /* as on the wire: source, destination */
  u16 window;
  u8 proto, ipv6, scale, fragment;
};

/* A packet that came in fragments, by what all of them carry. */
struct fragment_key {
  u64 addr[4]; /* source, destination, as in struct key */
  u32 ifindex, id;
  u16 vlan;
  u8 proto, zero; /* IPv6: 44 */
  u32 zeros;
};

struct fragment_fate {
  u64 ns;
  u64 copied;
};

/* What a rule copies; names as in the configuration. */
struct rule {
  u32 handshake, teardown, all, none, plaintext, acks, keepalive_window;
  u32 first_packets, first_payload_packets, first_bytes_up, first_bytes_down;
  u32 turn_bytes_up, turn_bytes_down, turn_bytes_max, sample;
  u64 keepalive_ns;
};

struct head {
  u8 frame[WINDOW + 8]; /* a read of eight bytes at the last place stays inside */
  u32 bytes;            /* of the frame on the wire */
  u32 have;             /* of them in `frame` */
};

struct tally {
  u64 packets, bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS_MAX);
  __type(key, struct key);
  __type(value, struct flow);
  __uint(pinning, LIBBPF_PIN_BY_NAME); /* ingress and egress are loaded one by one and share it */
} FLOWS SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FRAGMENTS_MAX);
  __type(key, struct fragment_key);
  __type(value, struct fragment_fate);
} fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct head);
} heads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WHYS);
  __type(key, u32);
  __type(value, struct tally);
} copies SEC(".maps");

/* Below, generated: the first rule whose expression takes the frame, and what a rule copies. */
static u32 choose_rule(void);
static int rule_at(u32 index, struct rule *r);

static __always_inline struct head *the_head(void) {
  u32 zero = 0;
  return bpf_map_lookup_elem(&heads, &zero);
}

/* The caller has compared `at` with `have`; the mask only tells the verifier. */
static __always_inline u32 get8(const struct head *h, u64 at) { return h->frame[at & (WINDOW - 1)]; }
static __always_inline u32 get16(const struct head *h, u64 at) {
  const u8 *p = &h->frame[at & (WINDOW - 1)];
  return (u32)p[0] << 8 | p[1];
}
static __always_inline u32 get32(const struct head *h, u64 at) {
  const u8 *p = &h->frame[at & (WINDOW - 1)];
  return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

/* For expressions: `bytes` bytes at `at` can be read. `at` is the sum of two u32. */
__attribute__((unused)) static __always_inline int in_head(const struct head *h, u64 at, u32 bytes) { return at + bytes <= h->have; }

/* The head of the frame as it was on the wire; null if it has no Ethernet header. */
static __always_inline struct head *take_head(struct __sk_buff *skb) {
  struct head *h = the_head();
  u32 tag = skb->vlan_present ? TAG_BYTES : 0;
  if (!h || skb->len < ETHERNET_BYTES) return 0;
  if (bpf_skb_load_bytes(skb, 0, h->frame, TAG_AT) < 0) return 0;
  u64 rest = skb->len - TAG_AT;
  if (rest > WINDOW - TAG_AT - TAG_BYTES) rest = WINDOW - TAG_AT - TAG_BYTES;
  __asm__ volatile("" : "+r"(rest)); /* or clang proves the next line needless and the verifier does not */
  if (rest == 0 || rest > WINDOW - TAG_AT - TAG_BYTES) return 0;
  if (tag) {
    u32 tci = skb->vlan_tci, type = bpf_ntohs((u16)skb->vlan_proto);
    h->frame[12] = (u8)(type >> 8);
    h->frame[13] = (u8)type;
    h->frame[14] = (u8)(tci >> 8);
    h->frame[15] = (u8)tci;
    if (bpf_skb_load_bytes(skb, TAG_AT, h->frame + TAG_AT + TAG_BYTES, (u32)rest) < 0) return 0;
  } else if (bpf_skb_load_bytes(skb, TAG_AT, h->frame + TAG_AT, (u32)rest) < 0) {
    return 0;
  }
  h->bytes = skb->len + tag;
  h->have = (u32)rest + TAG_AT + tag;
  return h;
}

/* Functions that are not static are judged by the verifier once, each by itself, not anew on every way that leads to
 * them: else it would not come to an end with this program. They take pointers that may be null, and find the head of the
 * frame by themselves. */

/* The window scale of a SYN. A broken option ends the walk, it does not spoil the segment. */
__noinline u32 scale_of(u32 at, u32 end) {
  const struct head *h = the_head();
  u32 scale = NO_SCALE;
  if (!h) return scale;
  for (int seen = 0; seen < OPTIONS_MAX; seen++) {
    if (at >= end || at >= h->have) break;
    u32 kind = get8(h, at);
    if (kind == 0) break;
    if (kind == 1) {
      at++;
      continue;
    }
    if (at + 2 > end || at + 2 > h->have) break;
    u32 bytes = get8(h, at + 1);
    if (bytes < 2 || at + bytes > end) break;
    if (kind == 3 && bytes == 3 && at + 3 <= h->have) {
      scale = get8(h, at + 2);
      if (scale > SCALE_MAX) scale = SCALE_MAX;
    }
    at += bytes;
  }
  return scale;
}

static __always_inline u32 parse_tcp(const struct head *h, u32 at, u32 bytes, struct packet *p) {
  if (bytes < 20 || at + 20 > h->have) return PARSE_OTHER;
  u32 header = (get8(h, at + 12) >> 4) * 4;
  if (header < 20 || header > bytes) return PARSE_OTHER;
  p->port[0] = (u16)get16(h, at);
  p->port[1] = (u16)get16(h, at + 2);
  p->seq = get32(h, at + 4);
  p->ack = get32(h, at + 8);
  p->flags = get8(h, at + 13);
  p->window = (u16)get16(h, at + 14);
  if (p->flags & TCP_SYN) p->scale = (u8)scale_of(at + 20, at + header);
  p->payload_at = at + header;
  p->payload_bytes = bytes - header;
  return PARSE_FLOW;
}

static __always_inline u32 parse_icmp(const struct head *h, u32 at, u32 bytes, struct packet *p) {
  if (bytes < 8 || at + 8 > h->have) return PARSE_OTHER;
  u32 type = get8(h, at);
  if (p->ipv6 && type >= 133 && type <= 137) return PARSE_NEIGHBOUR;
  if (p->ipv6 ? type == 128 || type == 129 : type == 8 || type == 0) {
    p->port[0] = p->port[1] = (u16)get16(h, at + 4);
  }
  p->payload_at = at + 8;
  p->payload_bytes = bytes - 8;
  return PARSE_FLOW;
}

__noinline u32 parse_transport(struct packet *p, u32 at, u32 end) {
  const struct head *h = the_head();
  u32 bytes = end - at;
  if (!h || !p) return PARSE_OTHER;
  if (p->proto == 6) return parse_tcp(h, at, bytes, p);
  if (p->proto == 17 || p->proto == 132) {
    u32 header = p->proto == 17 ? 8 : 12;
    if (bytes < header || at + header > h->have) return PARSE_OTHER;
    p->port[0] = (u16)get16(h, at);
    p->port[1] = (u16)get16(h, at + 2);
    p->payload_at = at + header;
    p->payload_bytes = bytes - header;
    return PARSE_FLOW;
  }
  if (p->proto == (p->ipv6 ? 58 : 1)) return parse_icmp(h, at, bytes, p);
  p->payload_at = at;
  p->payload_bytes = bytes;
  return PARSE_FLOW;
}

/* A fragment with what its transport header was found to be. */
static __always_inline u32 settle_fragment(struct packet *p, u32 transport) {
  if (p->fragment == FRAGMENT_FIRST && transport != PARSE_FLOW) p->fragment = FRAGMENT_BARE;
  return PARSE_FRAGMENT;
}

static __always_inline u32 parse_ipv4(const struct head *h, u32 at, struct packet *p) {
  if (at + 20 > h->have) return PARSE_OTHER;
  u32 first = get8(h, at), header = (first & 15) * 4, total = get16(h, at + 2), room = h->bytes - at;
  if (first >> 4 != 4 || header < 20 || header > room || total < header || total > room) return PARSE_OTHER;
  u32 place = get16(h, at + 6) & 0x3fff; /* more fragments, or an offset */
  p->proto = (u8)get8(h, at + 9);
  p->addr_at = at + 12;
  if (place) {
    p->fragment_id = get16(h, at + 4);
    p->fragment = place & 0x1fff ? FRAGMENT_LATER : FRAGMENT_FIRST;
    if (p->fragment == FRAGMENT_LATER) return PARSE_FRAGMENT;
  }
  u32 verdict = parse_transport(p, at + header, at + total);
  return p->fragment ? settle_fragment(p, verdict) : verdict;
}

static __always_inline u32 walk_ipv6(const struct head *h, u32 at, struct packet *p) {
  if (at + 40 > h->have) return PARSE_OTHER;
  u32 end = at + 40 + get16(h, at + 4), proto = get8(h, at + 6);
  if (get8(h, at) >> 4 != 6 || end > h->bytes) return PARSE_OTHER;
  p->ipv6 = 1;
  p->addr_at = at + 8;
  at += 40;
  for (int seen = 0; seen <= EXTENSIONS_MAX; seen++) {
    u32 bytes;
    if (proto != 0 && proto != 43 && proto != 44 && proto != 51 && proto != 60) {
      p->proto = (u8)proto;
      return parse_transport(p, at, end);
    }
    if (seen == EXTENSIONS_MAX || at + 8 > end || at + 8 > h->have) return PARSE_OTHER;
    if (proto == 44) {
      u32 place = get16(h, at + 2) & 0xfff9;
      if (place && p->fragment) return PARSE_FRAGMENT;
      if (place) {
        p->fragment_id = get32(h, at + 4);
        p->fragment = place & 0xfff8 ? FRAGMENT_LATER : FRAGMENT_FIRST;
        if (p->fragment == FRAGMENT_LATER) return PARSE_FRAGMENT;
      }
      bytes = 8;
    } else {
      bytes = proto == 51 ? (get8(h, at + 1) + 2) * 4 : (get8(h, at + 1) + 1) * 8;
    }
    if (at + bytes > end) return PARSE_OTHER;
    proto = get8(h, at);
    at += bytes;
  }
  return PARSE_OTHER;
}

static __always_inline u32 parse_ipv6(const struct head *h, u32 at, struct packet *p) {
  u32 verdict = walk_ipv6(h, at, p);
  return p->fragment ? settle_fragment(p, verdict) : verdict;
}

static __always_inline int is_tag(u32 type) { return type == 0x8100 || type == 0x88a8 || type == 0x9100; }

__noinline u32 parse(struct packet *p) {
  const struct head *h = the_head();
  if (!h || !p) return PARSE_OTHER;
  u32 at = ETHERNET_BYTES, type = get16(h, 12);
  if (get32(h, 0) == 0x0180c200 && get8(h, 4) == 0 && get8(h, 5) < 16) return PARSE_OTHER;
#pragma unroll
  for (int tags = 0; tags < TAGS_MAX; tags++) {
    if (!is_tag(type)) break;
    if (at + TAG_BYTES > h->have) return PARSE_OTHER;
    p->vlan = get16(h, at) & 0x0fff;
    type = get16(h, at + 2);
    at += TAG_BYTES;
  }
  if (type == 0x0800) return parse_ipv4(h, at, p);
  if (type == 0x86dd) return parse_ipv6(h, at, p);
  return type == 0x0806 ? PARSE_NEIGHBOUR : PARSE_OTHER;
}

/* Source and destination, two words each. */
static __always_inline void read_ends(const struct head *h, const struct packet *p, u64 end[2][2]) {
  if (p->ipv6) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      end[0][i] = (u64)get32(h, p->addr_at + 8 * i) << 32 | get32(h, p->addr_at + 8 * i + 4);
      end[1][i] = (u64)get32(h, p->addr_at + 16 + 8 * i) << 32 | get32(h, p->addr_at + 20 + 8 * i);
    }
  } else {
    end[0][0] = end[1][0] = 0;
    end[0][1] = 0xffff00000000ull | get32(h, p->addr_at);
    end[1][1] = 0xffff00000000ull | get32(h, p->addr_at + 4);
  }
}

static __always_inline void fill_fragment_key(const struct head *h, const struct packet *p, struct fragment_key *k) {
  u64 end[2][2];
  read_ends(h, p, end);
  k->addr[0] = end[0][0];
  k->addr[1] = end[0][1];
  k->addr[2] = end[1][0];
  k->addr[3] = end[1][1];
  k->id = p->fragment_id;
  k->vlan = (u16)p->vlan;
  k->proto = p->ipv6 ? 44 : p->proto;
}

/* The key of a packet, and its direction. Returns 0 if there is none. */
__noinline u32 fill_key(struct packet *p, struct key *k) {
  const struct head *h = the_head();
  u64 end[2][2];
  if (!h || !p || !k) return 0;
  read_ends(h, p, end);
  u32 swap = end[0][0] > end[1][0];
  if (end[0][0] == end[1][0]) {
    swap = end[0][1] > end[1][1] || (end[0][1] == end[1][1] && p->port[0] > p->port[1]);
  }
  p->dir = swap;
  k->addr[0] = swap ? end[1][0] : end[0][0];
  k->addr[1] = swap ? end[1][1] : end[0][1];
  k->addr[2] = swap ? end[0][0] : end[1][0];
  k->addr[3] = swap ? end[0][1] : end[1][1];
  k->port[0] = swap ? p->port[1] : p->port[0];
  k->port[1] = swap ? p->port[0] : p->port[1];
  k->vlan = (u16)p->vlan;
  k->proto = p->proto;
  k->ipv6 = p->ipv6;
  return 1;
}
