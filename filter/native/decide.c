/* Decision: is this packet copied to the standby, and what does the node remember of it?
 *
 * The numbered steps are those of rm_decide() in filter.h, in the same order, one function each, so that
 * text, C and filter/model.ts can be laid side by side.
 */
#include "hot.h"
#include "parse.h"

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58

/* Later in sequence space. What is behind is so by no more than the largest window (RFC 7323 2.3); all else lies ahead, also what has gone
 * on by more than half of the space while nobody looked: the flow was quiet, or nothing of it was copied. */
#define LARGEST_WINDOW (1u << 30)
static inline bool is_later(uint32_t a, uint32_t b) { return b - a >= LARGEST_WINDOW; }

/* Sent by the client? */
static inline bool is_up(const struct rm_flow *f, const struct rm_packet *p) {
  return !p->dir == !(f->flags & RM_FLOW_CLIENT);
}

/* Sequence number after the last octet of the segment; SYN and FIN take one each. */
static inline uint32_t segment_end(const struct rm_packet *p) {
  return p->seq + p->payload_bytes + !!(p->tcp_flags & RM_TCP_SYN) + !!(p->tcp_flags & RM_TCP_FIN);
}

static inline bool ends_alone(const struct rm_half *h, const struct rm_half *other) {
  return (h->flags & RM_HALF_FIN) && !other->packets;
}

/* Step 5. */
uint8_t rm_flow_age(const struct rm_flow *f) {
  uint8_t both = f->half[0].flags & f->half[1].flags;
  switch (f->proto) {
    case PROTO_TCP:
      /* One that is seen one way only ends with that way. */
      if ((f->flags & RM_FLOW_RESET) || (both & RM_HALF_FIN) || ends_alone(&f->half[0], &f->half[1]) ||
          ends_alone(&f->half[1], &f->half[0]))
        return RM_AGE_TCP_CLOSING;
      return both & RM_HALF_SEQ ? RM_AGE_TCP : RM_AGE_TCP_OPENING;
    case PROTO_UDP: return RM_AGE_UDP;
    case PROTO_ICMP:
    case PROTO_ICMPV6: return RM_AGE_ICMP;
    default: return RM_AGE_OTHER;
  }
}

/* Step 1: does this segment open another connection on the same key? */
static inline bool opens_anew(const struct rm_flow *f, const struct rm_packet *p) {
  if (p->proto != PROTO_TCP || (p->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) != RM_TCP_SYN) return false;
  if (f->age != RM_AGE_TCP_OPENING) return true;
  const struct rm_half *h = &f->half[p->dir];
  return h->packets != 0 && segment_end(p) != h->next;
}

/* Step 2. */
static void choose_rule(struct rm_flow *f, const struct rm_rules *rules, const uint8_t *frame, uint32_t bytes) {
  f->rule_generation = rules->generation;
  f->rule = 0xff;
  for (uint32_t i = 0; i < rules->count; i++) {
    if (rm_bpf_run(rules->rule[i].bpf, rules->rule[i].bpf_count, frame, bytes)) {
      f->rule = (uint8_t)i;
      return;
    }
  }
}

uint32_t rm_flow_salt(const struct rm_packet *p) {
  uint32_t a, b;
  memcpy(&a, p->addr[0] + 12, 4);
  memcpy(&b, p->addr[1] + 12, 4);
  uint32_t x = (__builtin_bswap32(a) ^ ((uint32_t)p->port[0] << 16 | p->port[1])) * 0x85ebca6bu;
  x = (x ^ x >> 15 ^ __builtin_bswap32(b)) * 0xc2b2ae35u;
  return x ^ x >> 16;
}

/* Without turns the entry's last line, where they are kept, is left alone. */
static inline bool has_turns(const struct rm_rule *r, const struct rm_flow *f) {
  if (!(r->turn_bytes_up | r->turn_bytes_down)) return false;
  if (r->plaintext && f->nature == RM_NATURE_OPAQUE) return false;
  return !r->turn_bytes_max || f->turn_spent < r->turn_bytes_max;
}

/* Step 2, what payload shows: its nature, and who talks. */
static inline void follow_payload(struct rm_flow *f, const struct rm_rule *r, const struct rm_packet *p,
                                  const uint8_t *frame) {
  const struct rm_half *h = &f->half[p->dir];
  bool look = f->nature > RM_NATURE_PLAIN ? f->nature != RM_NATURE_OPAQUE : h->payload_packets < RM_NATURE_PACKETS;
  if (r->plaintext && look) f->nature = rm_nature_next(f->nature, p, frame + p->payload_offset, h);
  if (!has_turns(r, f)) return;
  uint8_t talker = (uint8_t)(RM_FLOW_TALKED | (p->dir ? RM_FLOW_TALKER : 0));
  if ((f->flags & (RM_FLOW_TALKED | RM_FLOW_TALKER)) == talker) return;
  f->flags = (uint8_t)((f->flags & ~RM_FLOW_TALKER) | talker);
  f->turn_left = is_up(f, p) ? r->turn_bytes_up : r->turn_bytes_down;
}

/* Step 3 for TCP, a to c. */
static inline uint8_t why_tcp(const struct rm_rule *r, const struct rm_half *h, uint8_t flags) {
  bool ack = flags & RM_TCP_ACK;
  if (r->handshake) {
    if (flags & RM_TCP_SYN) return RM_WHY_HANDSHAKE;
    if (ack && !(flags & (RM_TCP_RST | RM_TCP_FIN)) && (h->flags & RM_HALF_ACK_DUE)) return RM_WHY_HANDSHAKE;
  }
  if (r->teardown) {
    if (flags & (RM_TCP_FIN | RM_TCP_RST)) return RM_WHY_TEARDOWN;
    if (ack && (h->flags & RM_HALF_FIN_ACK_DUE)) return RM_WHY_TEARDOWN;
  }
  return RM_WHY_NONE;
}

/* Step 3, f. */
static inline uint8_t why_payload(const struct rm_rule *r, const struct rm_flow *f, const struct rm_packet *p) {
  if (r->plaintext && f->nature == RM_NATURE_OPAQUE) return RM_WHY_NONE;
  if (f->half[p->dir].payload_bytes < (is_up(f, p) ? r->first_bytes_up : r->first_bytes_down)) return RM_WHY_BYTES;
  return has_turns(r, f) && f->turn_left ? RM_WHY_TURN : RM_WHY_NONE;
}

/* Step 3, g and i. */
static inline uint8_t why_pair(const struct rm_rule *r, const struct rm_flow *f, const struct rm_packet *p) {
  const struct rm_half *h = &f->half[p->dir], *o = &f->half[1 - p->dir];
  if ((h->flags & RM_HALF_REPLY_DUE) && (p->tcp_flags & (RM_TCP_ACK | RM_TCP_RST)) == RM_TCP_ACK &&
      !is_later(o->copied, p->ack))
    return RM_WHY_ACK;
  /* The other end's line is read last, and only where the rule asks for it. */
  bool own = (h->flags & RM_HALF_SYN) && (h->flags & RM_HALF_COPIED);
  if (!r->keepalive_window || !p->payload_bytes || !own) return RM_WHY_NONE;
  uint32_t end = segment_end(p), ahead = end - h->copied;
  if (!is_later(end, h->copied) || !(o->flags & RM_HALF_SYN) || !(o->flags & RM_HALF_SEQ)) return RM_WHY_NONE;
  bool scaled = h->scale != 0xff && o->scale != 0xff;
  uint32_t half = ((uint32_t)o->window << (scaled ? o->scale : 0)) / 2;
  return ahead > half ? RM_WHY_KEEPALIVE : RM_WHY_NONE;
}

/* Step 3. */
static inline uint8_t why_copy(const struct rm_rule *r, const struct rm_flow *f, const struct rm_packet *p,
                               uint64_t now) {
  const struct rm_half *h = &f->half[p->dir];
  if (r->none) return RM_WHY_NONE;
  if (r->all) return RM_WHY_ALL;
  if (p->proto == PROTO_TCP) {
    uint8_t why = why_tcp(r, h, p->tcp_flags);
    if (why != RM_WHY_NONE) return why;
  } else if (r->handshake && h->packets == 0) {
    return RM_WHY_HANDSHAKE;
  }
  if (h->packets < r->first_packets) return RM_WHY_FIRST;
  if (p->payload_bytes > 0) {
    if (h->payload_packets < r->first_payload_packets) return RM_WHY_PAYLOAD;
    uint8_t why = why_payload(r, f, p);
    if (why != RM_WHY_NONE) return why;
  }
  uint8_t pair = p->proto == PROTO_TCP ? why_pair(r, f, p) : RM_WHY_NONE;
  if (pair == RM_WHY_ACK) return pair;
  if (r->keepalive_ns) {
    uint64_t since = h->mirrored_ns ? h->mirrored_ns : f->first_ns;
    if (now > since && now - since >= r->keepalive_ns) return RM_WHY_KEEPALIVE;
  }
  if (pair == RM_WHY_NONE && r->sample && (h->packets + rm_flow_salt(p)) % r->sample == 0) return RM_WHY_SAMPLE;
  return pair;
}

/* Step 4 for TCP; before h->packets is counted, which tells the first packet. */
static inline void follow_tcp(struct rm_flow *f, const struct rm_packet *p) {
  struct rm_half *h = &f->half[p->dir], *o = &f->half[1 - p->dir];
  uint32_t end = segment_end(p);
  uint8_t flags = p->tcp_flags;
  if (h->packets == 0 || is_later(end, h->next)) h->next = end;
  if (flags & RM_TCP_ACK) {
    if (!(h->flags & RM_HALF_SEQ) || is_later(p->ack, h->ack)) h->ack = p->ack;
    h->window = p->window;
    h->flags |= RM_HALF_SEQ;
    if (!(flags & RM_TCP_SYN)) h->flags &= (uint8_t)~(RM_HALF_ACK_DUE | RM_HALF_FIN_ACK_DUE);
  }
  if (flags & RM_TCP_SYN) {
    h->flags = (uint8_t)((h->flags & ~RM_HALF_SACK) | RM_HALF_SYN | (p->sack ? RM_HALF_SACK : 0));
    h->scale = p->scale;
    if (!(flags & RM_TCP_ACK)) h->flags |= RM_HALF_ACK_DUE;
  }
  if (flags & RM_TCP_FIN) {
    h->flags |= RM_HALF_FIN;
    o->flags |= RM_HALF_FIN_ACK_DUE;
  }
  if (flags & RM_TCP_RST) f->flags |= RM_FLOW_RESET;
}

/* Step 4 for TCP, if the packet was copied; here or, an observed one, on the other side. */
static inline void follow_copy(struct rm_flow *f, const struct rm_rule *r, const struct rm_packet *p, uint8_t why) {
  struct rm_half *h = &f->half[p->dir], *o = &f->half[1 - p->dir];
  uint32_t end = segment_end(p);
  if (!(h->flags & RM_HALF_COPIED) || is_later(end, h->copied)) h->copied = end;
  h->flags |= RM_HALF_COPIED;
  if ((h->flags & RM_HALF_REPLY_DUE) && (p->tcp_flags & RM_TCP_ACK) && !is_later(o->copied, p->ack))
    h->flags &= (uint8_t)~RM_HALF_REPLY_DUE;
  if (p->payload_bytes && (r->acks || why == RM_WHY_KEEPALIVE)) o->flags |= RM_HALF_REPLY_DUE;
}

/* Step 4, the payload of a turn. */
static inline void follow_turn(struct rm_flow *f, const struct rm_packet *p, uint8_t why) {
  f->turn_left -= f->turn_left < p->payload_bytes ? f->turn_left : p->payload_bytes;
  if (why != RM_WHY_TURN) return;
  uint32_t spent = f->turn_spent + p->payload_bytes;
  f->turn_spent = spent < p->payload_bytes ? UINT32_MAX : spent;
}

/* Step 4. */
static inline void follow(struct rm_flow *f, const struct rm_packet *p, uint8_t why, uint64_t now) {
  struct rm_half *h = &f->half[p->dir];
  if (p->proto == PROTO_TCP) follow_tcp(f, p);
  h->packets++;
  h->bytes += p->frame_bytes;
  if (p->payload_bytes) {
    h->payload_packets++;
    uint32_t sum = h->payload_bytes + p->payload_bytes;
    h->payload_bytes = sum < p->payload_bytes ? UINT32_MAX : sum;
  }
  if (why != RM_WHY_NONE) h->mirrored_ns = now;
}

/* Step 7, direction `dir`: bit 0 without payload, bit 1 with. */
static inline uint32_t quiet_bits(const struct rm_rule *r, const struct rm_flow *f, uint8_t dir) {
  const struct rm_half *h = &f->half[dir];
  bool tcp = f->proto == PROTO_TCP;
  if (tcp && !(h->flags & RM_HALF_SEQ)) return 0;
  if (!r || r->none) return 3;
  if (r->all | r->sample || (r->keepalive_ns && r->keepalive_ns < 2ull << RM_TICK_SHIFT)) return 0;
  if (tcp && (h->flags & (RM_HALF_ACK_DUE | RM_HALF_FIN_ACK_DUE | RM_HALF_REPLY_DUE))) return 0;
  if (h->packets < r->first_packets) return 0;
  if (r->keepalive_window || h->payload_packets < r->first_payload_packets) return 1;
  if (r->plaintext) {
    if (f->nature == RM_NATURE_OPAQUE) return 3;
    if (f->nature > RM_NATURE_PLAIN || h->payload_packets < RM_NATURE_PACKETS) return 1;
  }
  bool up = !dir == !(f->flags & RM_FLOW_CLIENT);
  if (h->payload_bytes < (up ? r->first_bytes_up : r->first_bytes_down)) return 1;
  if (!has_turns(r, f)) return 3;
  bool talks = (f->flags & RM_FLOW_TALKED) && !(f->flags & RM_FLOW_TALKER) == !dir;
  return talks && !f->turn_left ? 3 : 1;
}

/* Step 7. `before`: the flow's state until now, 0 for a new one. `other`: whether the other direction may stay quiet. */
static inline uint32_t hot_state(const struct rm_flows *t, const struct rm_rule *r, const struct rm_flow *f,
                                 uint8_t dir, uint32_t before, bool other) {
  uint32_t own = 3u << (RM_HOT_QUIET_SHIFT + 2 * dir);
  uint32_t kept = other && before >> RM_HOT_EPOCH_SHIFT == t->epoch ? before & RM_HOT_QUIET & ~own : 0;
  /* Of others than TCP it tells who was answered; their second packet reads the other half, no later one does. */
  bool answered = before & RM_HOT_ANSWERED;
  if (!answered && f->proto != PROTO_TCP) answered = f->half[0].packets && f->half[1].packets;
  return ((uint32_t)t->tick & RM_HOT_TICK) | (f->age == RM_AGE_TCP_CLOSING ? 0 : RM_HOT_USED) | (uint32_t)f->age << RM_HOT_AGE_SHIFT | kept |
         quiet_bits(r, f, dir) << (RM_HOT_QUIET_SHIFT + 2 * dir) | (f->flags & RM_FLOW_PASSES ? RM_HOT_PASSES : 0) |
         (f->outer_dir ? RM_HOT_OUTER : 0) | (r && (r->seed | r->keepalive_window) ? RM_HOT_TRACKED : 0) |
         (answered ? RM_HOT_ANSWERED : 0) | (r && r->keepalive_ns ? RM_HOT_TIMED : 0) |
         (uint32_t)t->epoch << RM_HOT_EPOCH_SHIFT;
}

void rm_follow_quiet(struct rm_flow *f, const struct rm_peek *k, const uint8_t *frame, uint32_t bytes, uint64_t now) {
  const uint8_t *at = frame + k->transport_offset;
  struct rm_packet p = {.proto = k->tcp ? PROTO_TCP : PROTO_UDP, .dir = k->kind >> 1, .frame_bytes = bytes,
                        .payload_bytes = k->payload_bytes};
  if (k->tcp) p.seq = read32(at + 4), p.ack = read32(at + 8), p.tcp_flags = at[13], p.window = read16(at + 14);
  follow(f, &p, RM_WHY_NONE, now);
  f->last_ns = now;
}

/* Steps 2 to 4 where a rule matched; returns why the packet counts as copied. */
static inline uint8_t apply(struct rm_flows *t, const struct rm_rule *r, struct rm_flow *f, const struct rm_packet *p,
                            const uint8_t *frame, uint64_t now, bool observed, uint8_t *shed) {
  if (p->payload_bytes) follow_payload(f, r, p, frame);
  uint8_t why = why_copy(r, f, p, now);
  if (why != RM_WHY_NONE && !observed) {
    if (t->budget && !rm_budget_take(t->budget, why, p->frame_bytes, now)) *shed = why, why = RM_WHY_NONE;
    else f->half[p->dir].mirrored++;
  }
  if (why != RM_WHY_NONE && p->proto == PROTO_TCP) follow_copy(f, r, p, why);
  if (p->payload_bytes && has_turns(r, f)) follow_turn(f, p, why);
  return why;
}

static inline struct rm_verdict decide(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                                       uint64_t hash, const uint8_t *frame, uint64_t now, bool observed,
                                       struct rm_flow **flow) {
  bool fresh;
  struct rm_flow *f = rm_flows_get(t, p, hash, rules, now, &fresh);
  if (!fresh && opens_anew(f, p)) {
    rm_flow_start(f, p, now);
    fresh = true;
  }
  f->outer_dir = observed ? 1 - p->dir : p->dir;
  if (fresh || f->rule_generation != rules->generation) choose_rule(f, rules, frame, p->frame_bytes);
  uint8_t shed = RM_WHY_NONE;
  const struct rm_rule *r = f->rule == 0xff ? NULL : &rules->rule[f->rule];
  uint8_t talker = f->flags & (RM_FLOW_TALKED | RM_FLOW_TALKER), nature = f->nature;
  uint8_t why = r ? apply(t, r, f, p, frame, now, observed, &shed) : RM_WHY_NONE;
  uint8_t before = f->half[p->dir].flags;
  follow(f, p, why, now);
  /* Only these move the age; working it out reads the other direction's line. */
  bool moves = (p->tcp_flags & (RM_TCP_FIN | RM_TCP_RST)) || (~before & f->half[p->dir].flags & RM_HALF_SEQ);
  if (fresh || moves) f->age = rm_flow_age(f);
  f->last_ns = now;
  bool replies = r && why != RM_WHY_NONE && p->proto == PROTO_TCP && p->payload_bytes &&
                 (r->acks || why == RM_WHY_KEEPALIVE);
  bool same = talker == (f->flags & (RM_FLOW_TALKED | RM_FLOW_TALKER)) && nature == f->nature;
  uint32_t *hot = hot_of(t, place_of(t, f));
  *hot = hot_state(t, r, f, p->dir, fresh ? 0 : *hot, same && !replies && !(p->tcp_flags & RM_TCP_FIN));
  *flow = f;
  return (struct rm_verdict){observed ? RM_WHY_NONE : why, f->rule, shed};
}

struct rm_verdict rm_decide(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                            uint64_t hash, const uint8_t *frame, uint64_t now, bool observed,
                            struct rm_flow **flow) {
  if (__builtin_expect(!rm_is_witnessed(t, p), 1)) return decide(t, rules, p, hash, frame, now, observed, flow);
  rm_witness_begin(t, rules, p, now, observed);
  rm_witness_flow(t, rm_flows_find(t, p, hash));
  struct rm_verdict v = decide(t, rules, p, hash, frame, now, observed, flow);
  rm_witness_end(t, *flow, v);
  return v;
}
