/* The filter as an eBPF program for tc, second part: decide, remember, clone.
 *
 * Steps are those of rm_decide() in filter.h. "ingress" decides and clones; "egress" of the same interface sees what
 * came out of the box and only updates flows, as the plane does with observed frames.
 */
#define NATURE_PACKETS 8u /* with payload, of each direction, that are looked at while nothing but plain text was seen */
#define TLS_PACKETS 16u
#define SSH_PACKETS 8u
#define SSH_KEYS_BYTES 64u
#define NATURE_BYTES 7u   /* of a payload that are looked at */

/* What is behind is so by no more than the largest window (RFC 7323 2.3). */
static __always_inline int is_later(u32 a, u32 b) { return b - a >= 1u << 30; }

static __always_inline u32 segment_end(const struct packet *p) {
  return p->seq + p->payload_bytes + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
}

static __always_inline int is_up(const struct flow *f, const struct packet *p) { return (p->dir & 1) == f->client; }

/* Step 5. */
static __always_inline u8 age_of(const struct flow *f, u8 proto) {
  const struct half *a = &f->half[0], *b = &f->half[1];
  if (proto == 6) {
    int over = (a->flags & HALF_FIN || !a->packets) && (b->flags & HALF_FIN || !b->packets);
    if (f->reset || over) return AGE_TCP_CLOSING;
    return a->flags & b->flags & HALF_SEQ ? AGE_TCP : AGE_TCP_OPENING;
  }
  if (proto == 17) return AGE_UDP;
  return proto == 1 || proto == 58 ? AGE_ICMP : AGE_OTHER;
}

static __always_inline int is_aged(const struct flow *f, u64 now) {
  u64 limit = f->age == AGE_TCP_OPENING ? AGE_NS_TCP_OPENING
            : f->age == AGE_TCP         ? AGE_NS_TCP
            : f->age == AGE_TCP_CLOSING ? AGE_NS_TCP_CLOSING
            : f->age == AGE_UDP         ? AGE_NS_UDP
            : f->age == AGE_ICMP        ? AGE_NS_ICMP
                                        : AGE_NS_OTHER;
  return limit != 0 && now > f->last_ns && now - f->last_ns >= limit;
}

/* Step 1: does this segment open another connection on the same key? */
static __always_inline int opens_anew(const struct flow *f, const struct packet *p) {
  if (p->proto != 6 || (p->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return 0;
  if (f->age != AGE_TCP_OPENING) return 1;
  const struct half *h = &f->half[p->dir & 1];
  return h->packets != 0 && segment_end(p) != h->next;
}

/* Put a flow of which nothing was seen. */
__noinline u32 start_flow(struct key *k, struct packet *p, u64 now) {
  if (!k || !p) return 0;
  struct flow fresh = {.first_ns = now, .last_ns = now, .rules = ~RULES_DIGEST, .rule = NO_RULE};
  int answer = p->proto == 6 && (p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
  fresh.half[0].scale = fresh.half[1].scale = NO_SCALE;
  fresh.client = (u8)((p->dir & 1) ^ (u32)answer);
  bpf_map_update_elem(&FLOWS, k, &fresh, BPF_ANY);
  return 1;
}

static __always_inline struct flow *find_flow(struct key *k, struct packet *p, u64 now) {
  struct flow *f = bpf_map_lookup_elem(&FLOWS, k);
  if (f && !is_aged(f, now) && !opens_anew(f, p)) return f;
  start_flow(k, p, now);
  return bpf_map_lookup_elem(&FLOWS, k);
}

/* The first bytes of a payload, as many as lie in the head. */
struct opening {
  u32 bytes, first, word, version, sixth; /* first: one byte, word: four, version: the four after one, sixth: one */
};

static __always_inline struct opening opening_of(const struct head *h, const struct packet *p) {
  struct opening o = {0};
  u32 at = p->payload_at;
  if (at >= h->have) return o;
  o.bytes = p->payload_bytes < h->have - at ? p->payload_bytes : h->have - at;
  o.first = get8(h, at);
  o.word = get32(h, at);
  o.version = get32(h, at + 1);
  o.sixth = get8(h, at + 5);
  return o;
}

static __always_inline int is_record(const struct opening *o, u32 kind) {
  u32 major = o->word >> 16 & 0xff, minor = o->word >> 8 & 0xff;
  return o->bytes >= 3 && o->first == kind && ((major == 3 && minor <= 4) || major == 0xfe);
}

static __always_inline int is_quic(const struct opening *o) {
  if (o->bytes < NATURE_BYTES || o->first < 0xc0) return 0;
  return o->version == 1 || o->version == 0x6b3343cf || o->version >> 8 == 0xff0000;
}

static __always_inline u8 first_look(u8 proto, const struct opening *o) {
  if (proto == 50) return NATURE_OPAQUE;
  if (proto == 17 && is_quic(o)) return NATURE_QUIC;
  if (proto != 6 && proto != 17) return NATURE_PLAIN;
  if (is_record(o, 0x16)) return NATURE_TLS;
  if (is_record(o, 0x17)) return NATURE_OPAQUE;
  return o->bytes >= 4 && o->word == 0x5353482d ? NATURE_SSH : NATURE_PLAIN;
}

/* The nature of the flow after this packet, as nature.c has it. */
__noinline u32 next_nature(struct flow *f, struct packet *p) {
  const struct head *head = the_head();
  if (!f || !p || !head) return NATURE_UNKNOWN;
  u32 before = f->half[p->dir & 1].payload_packets;
  if (f->nature == NATURE_OPAQUE || (f->nature <= NATURE_PLAIN && before >= NATURE_PACKETS)) return f->nature;
  struct opening o = opening_of(head, p);
  if (f->nature == NATURE_TLS) return is_record(&o, 0x17) || before >= TLS_PACKETS ? NATURE_OPAQUE : NATURE_TLS;
  if (f->nature == NATURE_SSH) {
    int keys = o.bytes >= 6 && o.sixth == 21 && o.word <= SSH_KEYS_BYTES;
    return keys || before >= SSH_PACKETS ? NATURE_OPAQUE : NATURE_SSH;
  }
  if (f->nature == NATURE_QUIC) return o.first & 0x80 ? NATURE_QUIC : NATURE_OPAQUE;
  return first_look(p->proto, &o);
}

static __always_inline int has_turns(const struct rule *r, const struct flow *f) {
  if (!(r->turn_bytes_up | r->turn_bytes_down)) return 0;
  if (r->plaintext && f->nature == NATURE_OPAQUE) return 0;
  return !r->turn_bytes_max || f->turn_spent < r->turn_bytes_max;
}

/* Step 2, what payload shows: its nature, and who talks. */
static __always_inline void follow_payload(struct flow *f, const struct rule *r, struct packet *p) {
  if (r->plaintext) f->nature = (u8)next_nature(f, p);
  u8 talker = (u8)((p->dir & 1) + 1);
  if (!has_turns(r, f) || f->talker == talker) return;
  f->talker = talker;
  f->turn_left = is_up(f, p) ? r->turn_bytes_up : r->turn_bytes_down;
}

/* Step 3 for TCP, a to c. */
static __always_inline u32 why_tcp(const struct rule *r, const struct half *h, u32 flags) {
  if (r->handshake) {
    if (flags & TCP_SYN) return WHY_HANDSHAKE;
    if ((flags & TCP_ACK) && !(flags & (TCP_RST | TCP_FIN)) && (h->flags & HALF_ACK_DUE)) return WHY_HANDSHAKE;
  }
  if (r->teardown) {
    if (flags & (TCP_FIN | TCP_RST)) return WHY_TEARDOWN;
    if ((flags & TCP_ACK) && (h->flags & HALF_FIN_ACK_DUE)) return WHY_TEARDOWN;
  }
  return WHY_NONE;
}

/* Step 3, d to f. */
__noinline u32 why_first(struct rule *r, struct flow *f, struct packet *p) {
  if (!r || !f || !p) return WHY_NONE;
  const struct half *h = &f->half[p->dir & 1];
  if (h->packets < r->first_packets) return WHY_FIRST;
  if (!p->payload_bytes) return WHY_NONE;
  if (h->payload_packets < r->first_payload_packets) return WHY_PAYLOAD;
  if (r->plaintext && f->nature == NATURE_OPAQUE) return WHY_NONE;
  if (h->payload_bytes < (is_up(f, p) ? r->first_bytes_up : r->first_bytes_down)) return WHY_BYTES;
  return has_turns(r, f) && f->turn_left ? WHY_TURN : WHY_NONE;
}

/* Step 3, g and i. */
__noinline u32 why_pair(struct rule *r, struct flow *f, struct packet *p) {
  if (!r || !f || !p) return WHY_NONE;
  const struct half *h = &f->half[p->dir & 1], *o = &f->half[(p->dir & 1) ^ 1];
  if ((h->flags & HALF_REPLY_DUE) && (p->flags & (TCP_ACK | TCP_RST)) == TCP_ACK && !is_later(o->copied, p->ack))
    return WHY_ACK;
  if (!r->keepalive_window || !p->payload_bytes) return WHY_NONE;
  if (!(h->flags & HALF_SYN) || !(h->flags & HALF_COPIED) || !(o->flags & HALF_SYN) || !(o->flags & HALF_SEQ))
    return WHY_NONE;
  u32 ahead = segment_end(p) - h->copied;
  u32 shift = h->scale != NO_SCALE && o->scale != NO_SCALE ? o->scale & 15 : 0;
  u32 half = ((u32)o->window << shift) / 2;
  return is_later(segment_end(p), h->copied) && ahead > half ? WHY_KEEPALIVE : WHY_NONE;
}

/* A number of the flow that spreads samples. */
static __always_inline u32 salt_of(const struct key *k) {
  u32 x = ((u32)k->addr[1] ^ ((u32)k->port[0] << 16 | k->port[1])) * 0x85ebca6bu;
  x = (x ^ x >> 15 ^ (u32)k->addr[3]) * 0xc2b2ae35u;
  return x ^ x >> 16;
}

/* Step 3. */
__noinline u32 why_copy(struct rule *r, struct flow *f, struct packet *p, struct key *k, u64 now) {
  if (!r || !f || !p || !k) return WHY_NONE;
  const struct half *h = &f->half[p->dir & 1];
  if (r->none) return WHY_NONE;
  if (r->all) return WHY_ALL;
  if (p->proto == 6) {
    u32 why = why_tcp(r, h, p->flags);
    if (why != WHY_NONE) return why;
  } else if (r->handshake && h->packets == 0) {
    return WHY_HANDSHAKE;
  }
  u32 first = why_first(r, f, p);
  if (first != WHY_NONE) return first;
  u32 pair = p->proto == 6 ? why_pair(r, f, p) : WHY_NONE;
  if (pair == WHY_ACK) return pair;
  if (r->keepalive_ns) {
    u64 since = h->mirrored_ns ? h->mirrored_ns : f->first_ns;
    if (now > since && now - since >= r->keepalive_ns) return WHY_KEEPALIVE;
  }
  if (pair == WHY_NONE && r->sample && (h->packets + salt_of(k)) % r->sample == 0) return WHY_SAMPLE;
  return pair;
}

/* Step 4 for TCP; before packets are counted. */
__noinline u32 follow_tcp(struct flow *f, struct packet *p) {
  if (!f || !p) return 0;
  struct half *h = &f->half[p->dir & 1], *o = &f->half[(p->dir & 1) ^ 1];
  u32 end = segment_end(p), flags = p->flags;
  if (h->packets == 0 || is_later(end, h->next)) h->next = end;
  if (flags & TCP_ACK) {
    h->window = p->window;
    h->flags |= HALF_SEQ;
    if (!(flags & TCP_SYN)) h->flags &= (u8)~(HALF_ACK_DUE | HALF_FIN_ACK_DUE);
  }
  if (flags & TCP_SYN) {
    h->flags |= HALF_SYN;
    h->scale = p->scale;
    if (!(flags & TCP_ACK)) h->flags |= HALF_ACK_DUE;
  }
  if (flags & TCP_FIN) {
    h->flags |= HALF_FIN;
    o->flags |= HALF_FIN_ACK_DUE;
  }
  if (flags & TCP_RST) f->reset = 1;
  return 1;
}

/* Step 4 for TCP, if the packet was copied; here or, an observed one, on the other side. */
static __always_inline void follow_copy(struct flow *f, const struct rule *r, const struct packet *p, u32 why) {
  struct half *h = &f->half[p->dir & 1], *o = &f->half[(p->dir & 1) ^ 1];
  u32 end = segment_end(p);
  if (!(h->flags & HALF_COPIED) || is_later(end, h->copied)) h->copied = end;
  h->flags |= HALF_COPIED;
  if ((h->flags & HALF_REPLY_DUE) && (p->flags & TCP_ACK) && !is_later(o->copied, p->ack))
    h->flags &= (u8)~HALF_REPLY_DUE;
  if (p->payload_bytes && (r->acks || why == WHY_KEEPALIVE)) o->flags |= HALF_REPLY_DUE;
}

/* Step 4, the payload of a turn. */
static __always_inline void follow_turn(struct flow *f, const struct packet *p, u32 why) {
  f->turn_left -= f->turn_left < p->payload_bytes ? f->turn_left : p->payload_bytes;
  if (why != WHY_TURN) return;
  u32 spent = f->turn_spent + p->payload_bytes;
  f->turn_spent = spent < p->payload_bytes ? ~0u : spent;
}

/* Steps 2 to 4 where a rule matched; returns why the packet counts as copied. */
__noinline u32 apply(struct rule *r, struct flow *f, struct packet *p, struct key *k, u64 now) {
  if (!r || !f || !p || !k) return WHY_NONE;
  if (p->payload_bytes) follow_payload(f, r, p);
  u32 why = why_copy(r, f, p, k, now);
  if (why != WHY_NONE && p->proto == 6) follow_copy(f, r, p, why);
  if (p->payload_bytes && has_turns(r, f)) follow_turn(f, p, why);
  return why;
}

/* Steps 1 to 6 for a packet with a flow. The other side of the box decides for an observed one in the same way, so it
 * counts as copied where it would be. */
__noinline u32 decide(struct flow *f, struct packet *p, struct key *k, u64 now, u32 observed) {
  struct rule r;
  u32 why = WHY_NONE;
  if (!f || !p || !k) return why;
  if (f->rules != RULES_DIGEST) {
    f->rule = (u8)choose_rule();
    f->rules = RULES_DIGEST;
  }
  if (rule_at(f->rule, &r)) why = apply(&r, f, p, k, now);
  struct half *h = &f->half[p->dir & 1];
  if (p->proto == 6) follow_tcp(f, p);
  h->packets++;
  if (p->payload_bytes) {
    h->payload_packets++;
    u32 sum = h->payload_bytes + p->payload_bytes;
    h->payload_bytes = sum < p->payload_bytes ? ~0u : sum;
  }
  if (why != WHY_NONE) h->mirrored_ns = now;
  f->age = age_of(f, p->proto);
  f->last_ns = now;
  return observed ? WHY_NONE : why;
}

/* One without ports goes where its first one went. */
__noinline u32 later_fragment(struct packet *p, u32 ifindex, u64 now) {
  const struct head *h = the_head();
  struct fragment_key k = {.ifindex = ifindex};
  struct fragment_fate *fate = 0;
  if (!h || !p) return WHY_NONE;
  fill_fragment_key(h, p, &k);
  if (p->fragment == FRAGMENT_LATER) fate = bpf_map_lookup_elem(&fragments, &k);
  int known = fate && (now <= fate->ns || now - fate->ns < FRAGMENT_NS);
  if (known) return fate->copied ? WHY_FRAGMENT : WHY_NONE;
  return MIRROR_ANY ? WHY_FRAGMENT : WHY_NONE;
}

/* The later ones will ask what became of this first one. */
__noinline u32 keep_fragment(struct packet *p, u32 ifindex, u64 now, u32 why) {
  const struct head *h = the_head();
  struct fragment_key k = {.ifindex = ifindex};
  struct fragment_fate fate = {.ns = now, .copied = why != WHY_NONE};
  if (!h || !p) return 0;
  fill_fragment_key(h, p, &k);
  bpf_map_update_elem(&fragments, &k, &fate, BPF_ANY);
  return 1;
}

static __always_inline u32 handle_flow(struct packet *p, u32 ifindex, u64 now, u32 observed) {
  struct key k = {.ifindex = ifindex};
  if (!fill_key(p, &k)) return WHY_NONE;
  struct flow *f = find_flow(&k, p, now);
  return f ? decide(f, p, &k, now, observed) : WHY_NONE;
}

static __always_inline u32 handle(struct __sk_buff *skb, u32 observed) {
  struct packet p = {.scale = NO_SCALE};
  if (!take_head(skb)) return WHY_NONE;
  u32 verdict = parse(&p), ifindex = skb->ifindex;
  u64 now = bpf_ktime_get_ns();
  if (verdict == PARSE_NEIGHBOUR) return WHY_NEIGHBOUR;
  if (verdict != PARSE_FLOW && verdict != PARSE_FRAGMENT) return WHY_NONE;
  if (p.fragment > FRAGMENT_FIRST) return observed ? WHY_NONE : later_fragment(&p, ifindex, now);
  u32 why = handle_flow(&p, ifindex, now, observed);
  if (verdict == PARSE_FRAGMENT && !observed) keep_fragment(&p, ifindex, now, why);
  return why;
}

/* Frames from outside. What the other filters of the interface do is left to them. */
SEC("ingress")
int remediate_ingress(struct __sk_buff *skb) {
  u32 why = handle(skb, 0);
  if (why == WHY_NONE) return TC_ACT_UNSPEC;
  struct tally *t = bpf_map_lookup_elem(&copies, &why);
  if (t) {
    t->packets++;
    t->bytes += skb->len;
  }
  bpf_clone_redirect(skb, STANDBY_IFINDEX, 0);
  return TC_ACT_UNSPEC;
}

/* Frames that came out of the box. */
SEC("egress")
int remediate_egress(struct __sk_buff *skb) {
  handle(skb, 1);
  return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Apache-2.0";
