/* A port that makes its own traffic and swallows what is sent to it: for the demo, the bench and soak runs.
 *
 * "gen:flows=100000,sizes=imix,kinds=mix,new=2,fin=2,zipf=1,seed=1,cold=0,rate=0", all of them optional; flows=0
 * makes a port that only swallows. Nothing is kept per flow: popularity is a rank, and a hand that goes round the
 * ranks replaces one flow after the other, so the next flow's opening SYN and the frames after it agree.
 * Two ports of one seed, one outside and one of a box, carry the two halves of the same conversations.
 * IP checksums are right; those of TCP and UDP are left out (UDP: 0, none), and payload is what the buffer held.
 */
#include <emmintrin.h>
#include <math.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plane.h"

#define SEGMENTS 512        /* of the inverse of the distribution of ranks; few, because the cache is what it feeds, too */
#define FLOWS_MAX 100000000u
#define BACKLOG 1024        /* frames of a paced port that may wait, as in a NIC's ring */
#define LINE 64

enum { SIZES_IMIX = 0 };
enum kind { KIND_TCP4, KIND_UDP4, KIND_TCP6, KIND_VLAN };

struct gen {
  uint32_t flows, bytes;    /* bytes 0: IMIX */
  uint32_t new_every, fin_every; /* frames; 0: never */
  uint32_t until_new, until_fin;
  uint32_t next;            /* rank */
  uint32_t lap;             /* of `next` */
  bool mix, cold, reply;    /* reply: frames go from servers to clients */
  uint64_t random, frames, seed;
  double rate, zipf;        /* rate: frames a second, 0: as many as asked for */
  uint64_t start_ns;
  struct rte_mempool *pool;
  float rank[SEGMENTS + 1];
};

static inline uint64_t mix(uint64_t v) {
  v = (v ^ v >> 32) * 0xd6e8feb86659fd93ull;
  v = (v ^ v >> 32) * 0xd6e8feb86659fd93ull;
  return v ^ v >> 32;
}

static inline uint64_t draw(struct gen *g) { return mix(g->random += 0x9e3779b97f4a7c15ull); }

/* Continuous inverse of the distribution with density rank^-zipf on [1, flows + 1), less one. */
static double rank_at(const struct gen *g, double u) {
  double n = g->flows + 1.0, s = 1 - g->zipf;
  double x = fabs(s) < 1e-6 ? exp(u * log(n)) : pow((pow(n, s) - 1) * u + 1, 1 / s);
  return x - 1;
}

static inline uint32_t pick_rank(const struct gen *g, uint32_t dice) {
  uint32_t at = dice >> 23;
  float low = g->rank[at], part = (float)(dice & 0x7fffff) * (1.0f / (1 << 23));
  uint32_t rank = (uint32_t)(low + (g->rank[at + 1] - low) * part);
  return rank < g->flows ? rank : g->flows - 1;
}

static inline enum kind kind_of(const struct gen *g, uint64_t h) {
  uint32_t dice = (uint32_t)(h >> 59); /* of 32 */
  if (!g->mix || dice < 18) return KIND_TCP4;
  return dice < 24 ? KIND_UDP4 : dice < 29 ? KIND_TCP6 : KIND_VLAN;
}

struct frame { uint64_t hash; uint32_t bytes, seq; uint8_t flags; bool reply; };

static inline uint16_t fold16(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}

#define BE16(v) __builtin_bswap16((uint16_t)(v))
#define BE32(v) __builtin_bswap32((uint32_t)(v))

/* Ends of a flow: client 10.x.y.z:port, server 192.168.a.b:443 or so. */
static inline void ends(const struct frame *f, uint32_t ip[2], uint16_t port[2]) {
  uint32_t client = 0x0a000000u | (uint32_t)(f->hash & 0xffffff), server = 0xc0a80000u | (uint32_t)(f->hash >> 24 & 0x3ff);
  uint16_t high = (uint16_t)(1024 + (f->hash >> 34 & 0x7fff)), low = (f->hash >> 49 & 1) ? 443 : 80;
  ip[f->reply] = client, ip[!f->reply] = server;
  port[f->reply] = high, port[!f->reply] = low;
}

/* The frame's first line is put together in registers, as eight words in the order of memory, and written whole: nothing
 * is read back, and no line of the buffer is half written when the next stage asks for it. */
struct line { uint64_t w[LINE / 8]; };

static inline void write_line(uint8_t *to, const struct line *l) {
  for (int i = 0; i < LINE / 8; i += 2)
    _mm_storeu_si128((__m128i *)(void *)(to + 8 * i), _mm_set_epi64x((long long)l->w[i + 1], (long long)l->w[i]));
}

/* Destination and source, then the type and the first two bytes behind it, as they are read from memory. */
static inline void put_ethernet(struct line *l, bool reply, uint32_t after) {
  uint64_t client = 0x010100000002ull, server = 0x010200000002ull; /* 02:00:00:00:01:01, 02:00:00:00:02:01 */
  uint64_t to = reply ? client : server, from = reply ? server : client;
  l->w[0] = to | from << 48;
  l->w[1] = from >> 16 | (uint64_t)after << 32;
}

static inline struct line line4(const struct frame *f, uint8_t proto) {
  uint32_t ip[2], total = f->bytes - 14;
  uint16_t port[2];
  ends(f, ip, port);
  uint32_t sum = 0x4500 + total + 0x4000 + (64u << 8) + proto + (ip[0] >> 16) + (ip[0] & 0xffff) + (ip[1] >> 16) +
                 (ip[1] & 0xffff);
  uint64_t from = BE32(ip[0]), to = BE32(ip[1]);
  uint64_t seq = BE32(f->seq), ack = (f->flags & RM_TCP_ACK) ? seq : 0;
  uint64_t rest = 0x50ull << 48 | (uint64_t)f->flags << 56, window = 0xffff;
  if (proto != 6) seq = BE16(total - 20), ack = rest = window = 0; /* UDP: its length, and no checksum */
  struct line l;
  put_ethernet(&l, f->reply, 0x00450008);
  l.w[2] = BE16(total) | 0x0040ull << 32 | 64ull << 48 | (uint64_t)proto << 56;
  l.w[3] = BE16(fold16(sum)) | from << 16 | to << 48;
  l.w[4] = to >> 16 | (uint64_t)BE16(port[0]) << 16 | (uint64_t)BE16(port[1]) << 32 | seq << 48;
  l.w[5] = seq >> 16 | ack << 16 | rest;
  l.w[6] = window;
  l.w[7] = 0;
  return l;
}

static inline void write4(uint8_t *to, const struct frame *f, uint8_t proto) {
  struct line l = line4(f, proto);
  write_line(to, &l);
}

/* The same behind a tag: 58 bytes of headers. */
static inline void write_vlan(uint8_t *to, const struct frame *f) {
  struct frame inner = *f;
  inner.bytes -= 4;
  struct line plain = line4(&inner, 6), l;
  uint64_t tag = 0x0081u | (uint64_t)(10 + (f->hash >> 50 & 3)) << 24;
  l.w[0] = plain.w[0];
  l.w[1] = (plain.w[1] & 0xffffffff) | tag << 32;
  for (int i = 2; i < LINE / 8; i++) l.w[i] = plain.w[i - 1] >> 32 | plain.w[i] << 32;
  write_line(to, &l);
}

/* Addresses are fd00:0:0:1::/96 and the host's number. */
static inline void write6(uint8_t *to, const struct frame *f) {
  uint32_t ip[2];
  uint16_t port[2];
  ends(f, ip, port);
  struct line l;
  put_ethernet(&l, f->reply, 0x0060dd86);
  l.w[2] = (uint64_t)BE16(f->bytes - 54) << 16 | 6ull << 32 | 64ull << 40 | 0xfdull << 48;
  l.w[3] = l.w[5] = 1ull << 40;
  l.w[4] = (uint64_t)BE32(ip[0]) << 16 | 0xfdull << 48;
  l.w[6] = (uint64_t)BE32(ip[1]) << 16 | (uint64_t)BE16(port[0]) << 48;
  l.w[7] = BE16(port[1]) | (uint64_t)BE32(f->seq) << 16;
  write_line(to, &l);
  uint64_t tail[2] = {0x500000ull | (uint64_t)f->flags << 24 | 0xffffull << 32, 0};
  memcpy(to + LINE, tail, sizeof tail);
}

static inline uint32_t choose_bytes(const struct gen *g, uint32_t dice, enum kind kind) {
  uint32_t bytes = g->bytes;
  if (bytes == SIZES_IMIX) {
    uint32_t twelfth = (uint32_t)((uint64_t)dice * 12 >> 32);
    bytes = twelfth < 7 ? 64 : twelfth < 11 ? 590 : 1514;
  }
  return kind == KIND_TCP6 && bytes < 74 ? 74 : bytes;
}

/* Which flow is next, and what it says. */
static inline struct frame choose(struct gen *g, enum kind *kind) {
  uint64_t dice = draw(g);
  struct frame f = {.flags = RM_TCP_ACK, .reply = g->reply};
  uint32_t rank;
  if (g->new_every && --g->until_new == 0) {
    g->until_new = g->new_every;
    rank = g->next++;
    if (g->next == g->flows) g->next = 0, g->lap++;
    f.flags = g->reply ? RM_TCP_SYN | RM_TCP_ACK : RM_TCP_SYN;
  } else if (g->fin_every && --g->until_fin == 0) {
    g->until_fin = g->fin_every;
    rank = g->next; /* the one that is replaced next */
    f.flags = RM_TCP_ACK | RM_TCP_FIN;
  } else {
    rank = pick_rank(g, (uint32_t)(dice >> 32));
  }
  uint32_t generation = g->lap + (rank < g->next);
  f.hash = mix(g->seed ^ ((uint64_t)generation << 32 | rank) * 0x9e3779b97f4a7c15ull);
  f.seq = (uint32_t)g->frames * 64;
  *kind = kind_of(g, f.hash);
  f.bytes = choose_bytes(g, (uint32_t)dice, *kind);
  return f;
}

static inline void make(struct gen *g, struct rte_mbuf *m) {
  enum kind kind;
  struct frame f = choose(g, &kind);
  uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
  m->data_len = (uint16_t)f.bytes;
  m->pkt_len = f.bytes;
  if (kind == KIND_TCP4) write4(to, &f, 6);
  else if (kind == KIND_UDP4) write4(to, &f, 17);
  else if (kind == KIND_TCP6) write6(to, &f);
  else write_vlan(to, &f);
  if (g->cold) __builtin_ia32_clflush(to);
  g->frames++;
}

/* Frames of a paced port that have arrived by now. What finds no room is lost, as in a NIC. */
static uint16_t arrived(struct gen *g, struct port *port, uint16_t n) {
  uint64_t now = port->plane->now;
  if (g->start_ns == 0) g->start_ns = now;
  uint64_t due = (uint64_t)((double)(now - g->start_ns) * g->rate * 1e-9);
  uint64_t waiting = due > g->frames ? due - g->frames : 0;
  if (waiting > BACKLOG) {
    port->view->rx_missed += waiting - BACKLOG;
    g->frames = due - BACKLOG;
    waiting = BACKLOG;
  }
  return waiting < n ? (uint16_t)waiting : n;
}

static uint16_t gen_receive(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct gen *g = (struct gen *)port->scratch;
  if (g->flows == 0) return 0;
  if (g->rate > 0) n = arrived(g, port, n);
  if (n == 0 || rte_pktmbuf_alloc_bulk(g->pool, frames, n) < 0) return 0;
  for (uint16_t i = 0; i < n; i++) {
    /* When it arrived, in the low bits of the monotonic clock: what a latency is measured from. */
    if (g->rate > 0) frames[i]->hash.rss = (uint32_t)(g->start_ns + (uint64_t)((double)(g->frames + 1) * 1e9 / g->rate));
    make(g, frames[i]);
  }
  return n;
}

static uint16_t gen_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  (void)port;
  rte_pktmbuf_free_bulk(frames, n);
  return n;
}

static bool number(const char *text, double min, double max, double *to) {
  char *end;
  double v = strtod(text, &end);
  if (end == text || *end || !(v >= min && v <= max)) return false;
  *to = v;
  return true;
}

/* One "key=value". */
static bool take(struct gen *g, const char *key, const char *value) {
  double v;
  if (strcmp(key, "sizes") == 0 && strcmp(value, "imix") == 0) return g->bytes = SIZES_IMIX, true;
  if (strcmp(key, "kinds") == 0) {
    g->mix = strcmp(value, "mix") == 0;
    return g->mix || strcmp(value, "tcp") == 0;
  }
  struct { const char *key; double min, max; } form[] = {{"flows", 0, FLOWS_MAX}, {"sizes", 64, 9000}, {"new", 0, 50},
                                                         {"fin", 0, 50}, {"zipf", 0, 3}, {"seed", 0, 4294967295.0},
                                                         {"cold", 0, 1}, {"rate", 0, 1e9}};
  for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
    if (strcmp(key, form[i].key) != 0) continue;
    if (!number(value, form[i].min, form[i].max, &v)) return false;
    switch (i) {
      case 0: g->flows = (uint32_t)v; break;
      case 1: g->bytes = (uint32_t)v; break;
      case 2: g->new_every = v > 0 ? (uint32_t)(100 / v + 0.5) : 0; break;
      case 3: g->fin_every = v > 0 ? (uint32_t)(100 / v + 0.5) : 0; break;
      case 4: g->zipf = v; break;
      case 5: g->seed = (uint64_t)v; break;
      case 6: g->cold = v > 0; break;
      case 7: g->rate = v; break;
    }
    return true;
  }
  return false;
}

static int parse_spec(struct plane *p, struct gen *g, const char *spec) {
  char text[RM_SPEC_BYTES], *rest = text, *part;
  snprintf(text, sizeof text, "%s", spec);
  while ((part = strsep(&rest, ","))) {
    char *value = strchr(part, '=');
    if (*part == 0) continue;
    if (value) *value++ = 0;
    if (!value || !take(g, part, value))
      return plane_fail(p, "\"%s%s%s\" is no setting of a generator", part, value ? "=" : "", value ? value : "");
  }
  return 0;
}

static int gen_open(struct plane *p, struct port *port, const char *spec) {
  struct gen *g = rte_zmalloc("gen", sizeof *g, LINE);
  if (!g) return plane_fail(p, "no memory");
  port->scratch = (uint8_t *)g;
  *g = (struct gen){.flows = 100000, .bytes = 64, .new_every = 50, .fin_every = 50, .zipf = 1, .seed = 1, .pool = p->pool};
  if (parse_spec(p, g, spec) < 0) return -1;
  if (p->crew->queues > 1 && g->flows)
    return plane_fail(p, "a generator has one queue, plane.cores = %u needs %u", p->crew->workers, p->crew->queues);
  if (!port->receives) g->flows = 0;
  uint32_t largest = g->bytes == SIZES_IMIX ? 1514 : g->bytes;
  if (largest > p->board->setup.frame_bytes_max)
    return plane_fail(p, "frames of %u bytes are larger than frame_bytes_max, %u", largest, p->board->setup.frame_bytes_max);
  for (uint32_t i = 0; g->flows && i <= SEGMENTS; i++) g->rank[i] = (float)rank_at(g, (double)i / SEGMENTS);
  /* Frames that come from the server's end: from downstream, and out of a box towards the clients. */
  g->reply = port->role == RM_DOWNSTREAM || (port->role >= RM_PRIMARY_IN && role_side(port->role) == RM_SIDE_UP);
  g->seed = mix(g->seed + 1), g->random = mix(g->seed);
  g->until_new = g->new_every;
  g->until_fin = g->fin_every / 2 + 1;
  port->view->link = 1;
  port->view->mtu = p->board->setup.frame_bytes_max - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
  memcpy(port->view->mac, "\2\0\0\0\0", 5);
  port->view->mac[5] = (uint8_t)port->role;
  return 0;
}

static void gen_refresh(struct port *port, uint64_t now) { (void)port, (void)now; }

static void gen_close(struct port *port) { rte_free(port->scratch); }

const struct port_driver port_gen = {"gen", gen_open, NULL, gen_receive, gen_send, gen_refresh, NULL,
                                     gen_close, NULL};
