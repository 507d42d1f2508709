/* The filter as an eBPF program for tc, second part: decide, remember, clone.
 *
 * Steps are those of rm_decide() in filter.h. "ingress" decides and clones; "egress" of the same interface sees what
 * came out of the box and only updates flows, as the plane does with observed frames.
 */
static __always_inline u32 segment_end(const struct packet *p) {
  return p->seq + p->payload_bytes + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
}

/* Step 5. */
static __always_inline u8 age_of(const struct flow *f, u8 proto) {
  u32 both = f->half[0].flags & f->half[1].flags;
  if (proto == 6) {
    if (f->reset || (both & HALF_FIN)) return AGE_TCP_CLOSING;
    return both & HALF_SEQ ? AGE_TCP : AGE_TCP_OPENING;
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

static __always_inline struct flow *find_flow(const struct key *k, const struct packet *p, u64 now) {
  struct flow *f = bpf_map_lookup_elem(&FLOWS, k);
  if (f && !is_aged(f, now) && !opens_anew(f, p)) return f;
  struct flow fresh = {.first_ns = now, .last_ns = now, .rules = ~RULES_DIGEST, .rule = NO_RULE};
  bpf_map_update_elem(&FLOWS, k, &fresh, BPF_ANY);
  return bpf_map_lookup_elem(&FLOWS, k);
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

/* Step 3. */
static __always_inline u32 why_copy(const struct rule *r, const struct flow *f, const struct packet *p, u64 now) {
  const struct half *h = &f->half[p->dir & 1];
  if (r->none) return WHY_NONE;
  if (r->all) return WHY_ALL;
  if (p->proto == 6) {
    u32 why = why_tcp(r, h, p->flags);
    if (why != WHY_NONE) return why;
  } else if (r->handshake && h->packets == 0) {
    return WHY_HANDSHAKE;
  }
  if (h->packets < r->first_packets) return WHY_FIRST;
  if (p->payload_bytes > 0) {
    if (h->payload_packets < r->first_payload_packets) return WHY_PAYLOAD;
    if (h->payload_bytes < r->first_bytes) return WHY_BYTES;
  }
  if (r->keepalive_ns) {
    u64 since = h->mirrored_ns ? h->mirrored_ns : f->first_ns;
    if (now > since && now - since >= r->keepalive_ns) return WHY_KEEPALIVE;
  }
  return WHY_NONE;
}

/* Step 4 for TCP; before packets are counted. */
static __always_inline void follow_tcp(struct flow *f, const struct packet *p) {
  struct half *h = &f->half[p->dir & 1], *o = &f->half[(p->dir & 1) ^ 1];
  u32 end = segment_end(p), flags = p->flags;
  if (h->packets == 0 || (int)(end - h->next) > 0) h->next = end;
  if (flags & TCP_ACK) {
    h->flags |= HALF_SEQ;
    if (!(flags & TCP_SYN)) h->flags &= ~(u32)(HALF_ACK_DUE | HALF_FIN_ACK_DUE);
  }
  if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) h->flags |= HALF_ACK_DUE;
  if (flags & TCP_FIN) {
    h->flags |= HALF_FIN;
    o->flags |= HALF_FIN_ACK_DUE;
  }
  if (flags & TCP_RST) f->reset = 1;
}

/* Steps 1 to 6 for a packet with a flow. */
static __always_inline u32 decide(struct flow *f, const struct packet *p, u64 now, int observed) {
  struct rule r;
  u32 why = WHY_NONE;
  if (f->rules != RULES_DIGEST) {
    f->rule = (u8)choose_rule();
    f->rules = RULES_DIGEST;
  }
  if (!observed && rule_at(f->rule, &r)) why = why_copy(&r, f, p, now);
  struct half *h = &f->half[p->dir & 1];
  if (p->proto == 6) follow_tcp(f, p);
  h->packets++;
  if (p->payload_bytes) {
    h->payload_packets++;
    h->payload_bytes += p->payload_bytes;
  }
  if (why != WHY_NONE) h->mirrored_ns = now;
  f->age = age_of(f, p->proto);
  f->last_ns = now;
  return why;
}

static __always_inline u32 handle(struct __sk_buff *skb, int observed) {
  struct head *h = take_head(skb);
  struct packet p = {0};
  struct key k = {.ifindex = skb->ifindex};
  if (!h) return WHY_NONE;
  u32 verdict = parse(h, &p);
  if (verdict == PARSE_NEIGHBOUR) return WHY_NEIGHBOUR;
  if (verdict == PARSE_FRAGMENT) return MIRROR_ANY ? WHY_FRAGMENT : WHY_NONE;
  if (verdict != PARSE_FLOW) return WHY_NONE;
  u64 now = bpf_ktime_get_ns();
  fill_key(h, &p, &k);
  struct flow *f = find_flow(&k, &p, now);
  return f ? decide(f, &p, now, observed) : WHY_NONE;
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
