/* One way to look at a burst; look.c includes it once for each kind of processor, with WAYS and the names set.
 *
 * The fields of sixteen frames are laid side by side, and what they say is worked out for all of them at once: loops over
 * numbers of 32 bits, without a branch, which the compiler turns into instructions on eight or four frames.
 */

#ifndef GATHERS
/* The bytes that matter, word for word. A tag moves all that follows by four. */
static inline void GATHER(const uint8_t *const *frames, struct stretch *s) {
  for (uint32_t i = 0; i < CHUNK; i++) {
    const uint8_t *frame = frames[i];
    s->to[i] = word_at(frame);
    s->to_end[i] = word_at(frame + 4);
    s->type[i] = word_at(frame + 12);
    frame += (uint64_t)((s->type[i] & 0xffff) == 0x0081) * 4;
    s->head[i] = word_at(frame + 12);
    s->length[i] = word_at(frame + 16);
    s->proto[i] = word_at(frame + 20);
    s->from_ip[i] = word_at(frame + 26);
    s->to_ip[i] = word_at(frame + 30);
    s->ports[i] = word_at(frame + 34);
    s->flags[i] = word_at(frame + 44);
  }
}
#endif

/* IPv4, with one tag or none, TCP or UDP, eight frames from `at` on; of one that is something else or broken no fact is
 * known. Comparisons give all bits or none. */
static inline void WEIGH(struct rm_look *l, const struct stretch *s, uint32_t at, const struct terms *terms) {
  uint32_t i = at % CHUNK;
  lanes type = lanes_at(s->type + i), length = lanes_at(s->length + i), proto = lanes_at(s->proto + i) >> 24;
  lanes tagged = (lanes)((type & 0xffff) == 0x0081), tcp = (lanes)(proto == PROTO_TCP), udp = (lanes)(proto == PROTO_UDP);
  lanes total = (length & 0xff) << 8 | (length >> 8 & 0xff), flags = lanes_at(s->flags + i);
  lanes header = (tcp & (flags >> 18 & 0x3c)) | (~tcp & 8), payload = total - 20 - header;
  lanes odd = ((lanes_at(s->head + i) & 0xffffff) ^ 0x450008) | (lanes_at(s->proto + i) & 0xff3f);
  odd |= ~(tcp | (udp & terms->outer));
  odd |= (lanes)(lanes_at(s->to + i) == 0x00c28001) & (lanes)((lanes_at(s->to_end + i) & 0xf0ff) == 0);
  /* What must not be negative. */
  odd |= ((header - (8 + (tcp & 12))) | payload | (lanes_at(l->bytes + at) - (14 + (tagged & 4)) - total)) & 0x80000000;
  lanes from = lanes_at(s->from_ip + i), to = lanes_at(s->to_ip + i), ports = turned(lanes_at(s->ports + i));
  lanes source = turned(from), target = turned(to);
  lanes dir = (lanes)(source > target) | ((lanes)(source == target) & (lanes)((ports >> 16) > (ports & 0xffff)));
  lanes loud = tcp & (lanes)((flags & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST) << 24) != 0), full = (lanes)(payload != 0);
  lanes bare = (1 + (full & 1)) << RM_HOT_QUIET_SHIFT, quiet = (dir & bare << 2) | (~dir & bare);
  lanes_put(l->far + at, (dir & from) | (~dir & to));
  lanes_put(l->near + at, (dir & to) | (~dir & from));
  lanes_put(l->ports + at, (dir & (ports >> 16 | ports << 16)) | (~dir & ports));
  lanes_put(l->rest + at, (tagged & ((type >> 8 & 0x0f00) | type >> 24)) << 16 | proto << 8);
  lanes_put(l->expect + at, (terms->expect | quiet) ^ (dir & RM_HOT_OUTER));
  lanes_put(l->mask + at, terms->mask | quiet);
  lanes_put(l->never + at, odd | loud | terms->wary);
  lanes_put(l->payload + at, payload);
  lanes facts = (RM_LOOK_PLAIN | RM_LOOK_EVERYDAY) | (~loud & RM_LOOK_CALM) | (tcp & RM_LOOK_TCP) |
                (full & 1u << RM_LOOK_KIND_SHIFT) | (dir & 2u << RM_LOOK_KIND_SHIFT) | (34 + (tagged & 4)) << RM_LOOK_AT_SHIFT;
  lanes_put(l->facts + at, facts & (lanes)(odd == 0));
}

/* Is a flow with this state quiet for frame `i`? 0: it is. Of a difference between times the sign tells. */
static inline uint32_t WRONG(const struct rm_flows *t, const struct rm_look *l, uint32_t i, uint32_t state) {
  uint32_t since = ((uint32_t)t->tick - state) & RM_HOT_TICK;
  return ((state ^ l->expect[i]) & l->mask[i]) | l->never[i] |
         ((t->patience[state >> RM_HOT_AGE_SHIFT & 15] - since) & 0x80000000);
}

/* Frames whose flow is not in its first bucket. `loud`: what those that are left to do may change. Returns a bit for each
 * frame that is done with. */
static inline uint64_t FURTHER(struct rm_flows *t, struct rm_look *l, const uint8_t *missed, uint32_t misses, struct marks *loud) {
  uint64_t done = 0;
  for (uint32_t m = 0; m < misses; m++) {
    uint32_t i = missed[m], bucket = second_bucket(t, l->hash[i]);
    struct rm_flow_bucket *b = &t->buckets[bucket];
    uint32_t hits = WAYS(b, signature_of(l->hash[i])), way = (uint32_t)__builtin_ctz(hits | 0x80), state = b->state[way];
    if (hits) {
      l->slot[i] = bucket * RM_WAYS + way;
      if (__builtin_expect((WRONG(t, l, i, state) | is_marked(loud, bucket, way)) == 0, 1)) {
        b->state[way] = (state & ~RM_HOT_TICK) | ((uint32_t)t->tick & RM_HOT_TICK) | RM_HOT_USED;
        l->passes |= (uint64_t)(state / RM_HOT_PASSES & 1) << i;
        done |= 1ull << i;
        continue;
      }
    }
    mark(loud, first_bucket(t, l->hash[i]), 0xff);
    mark(loud, bucket, 0xff);
    want_place(t, l, i);
  }
  return done;
}

/* How each frame compares with the flow in its first bucket, whatever becomes of the others; and a bit for each: it is not quiet,
 * its flow's state would change, its flow passes. */
struct COMPARED {
  RM_ALIGNED uint32_t state[RM_LOOK], lacks[RM_LOOK], fresh[RM_LOOK];
  uint64_t loud, stale, passes;
};

static inline void COMPARE(const struct rm_flows *t, struct rm_look *l, struct COMPARED *c) {
  uint32_t n = l->n, last = t->slots / RM_WAYS - 1, first = n / LANES * LANES;
  if (first < n) lanes_put(c->state + first, (lanes){0}), lanes_put(c->lacks + first, (lanes){0});
  for (uint32_t i = 0; i < n; i++) {
    uint64_t hash = l->hash[i];
    uint32_t bucket = (uint32_t)hash & last;
    const struct rm_flow_bucket *b = &t->buckets[bucket];
    uint32_t hits = WAYS(b, signature_of(hash)), way = (uint32_t)__builtin_ctz(hits | 0x80);
    c->lacks[i] = (uint32_t)(hits == 0);
    c->state[i] = b->state[way];
    l->slot[i] = bucket * RM_WAYS + way;
  }
  lanes tick = (lanes){0} + (uint32_t)t->tick, used = (tick & RM_HOT_TICK) | RM_HOT_USED;
  uint64_t all = ALL_OF(n), loud = 0, stale = 0, passes = 0;
  for (uint32_t at = 0; at < n; at += LANES) {
    lanes state = lanes_at(c->state + at), fresh = (state & ~RM_HOT_TICK) | used, may;
    PATIENCE(t, &state, &may);
    lanes wrong = ((state ^ lanes_at(l->expect + at)) & lanes_at(l->mask + at)) | lanes_at(l->never + at) | lanes_at(c->lacks + at);
    wrong |= (may - ((tick - state) & RM_HOT_TICK)) & 0x80000000;
    lanes_put(c->fresh + at, fresh);
    lanes is_loud = (lanes)(wrong != 0), is_stale = (lanes)(fresh != state), is_passing = (lanes)((state & RM_HOT_PASSES) != 0);
    loud |= (uint64_t)BITS(&is_loud) << at;
    stale |= (uint64_t)BITS(&is_stale) << at;
    passes |= (uint64_t)BITS(&is_passing) << at;
  }
  c->loud = loud & all, c->stale = stale & all, c->passes = passes & all;
}

/* A bit for each frame whose place is `slot` or, with a shift, lies in the bucket `slot`. */
static inline uint64_t AT_PLACE(const struct rm_look *l, uint32_t slot, uint32_t shift) {
  uint64_t found = 0;
  for (uint32_t at = 0; at < l->n; at += LANES) {
    lanes same = (lanes)(lanes_at(l->slot + at) >> shift == slot);
    found |= (uint64_t)BITS(&same) << at;
  }
  return found;
}

/* Let pass what is quiet. What those that are left to do will have done to a flow is not known yet, so frames behind them that are
 * of the same flow, or of one that may give way, are left as well. */
static inline void SORT(struct rm_flows *t, struct rm_look *l) {
  struct COMPARED c;
  COMPARE(t, l, &c);
  uint64_t behind = UINT64_MAX, after = 0, again = 0;
  uint32_t todo = 0, misses = 0;
  uint8_t missed[RM_LOOK];
  for (uint64_t left = c.loud; left; left = (c.loud | after) & behind) {
    uint32_t i = (uint32_t)__builtin_ctzll(left), one = l->slot[i] / RM_WAYS, two;
    uint64_t bit = 1ull << i;
    behind = ~1ull << i;
    l->todo[todo++] = (uint8_t)i;
    if (!(l->facts[i] & RM_LOOK_PLAIN)) {
      after |= behind & ALL_OF(l->n); /* its flow may be any */
      l->slot[i] = l->place[i] = RM_NO_FLOW;
      continue;
    }
    if (after & bit || c.lacks[i] || (c.state[i] & RM_HOT_TRACKED) || l->wary) again |= bit;
    if (!c.lacks[i]) {
      /* What is behind a frame that is left because of another one is behind that one, too. */
      if (c.loud & bit) after |= AT_PLACE(l, l->slot[i], 0) & behind & ALL_OF(l->n);
      want_place(t, l, i);
      continue;
    }
    two = second_bucket(t, l->hash[i]);
    __builtin_prefetch(&t->buckets[two]);
    after |= (AT_PLACE(l, one, WAYS_SHIFT) | AT_PLACE(l, two, WAYS_SHIFT)) & behind & ALL_OF(l->n); /* wherever it begins */
    l->slot[i] = RM_NO_FLOW;
    missed[misses++] = (uint8_t)i;
  }
  uint64_t quiet = ~(c.loud | after) & ALL_OF(l->n);
  for (uint64_t left = c.stale & quiet; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    t->buckets[l->slot[i] / RM_WAYS].state[l->slot[i] % RM_WAYS] = c.fresh[i];
  }
  l->passes = c.passes & quiet;
  uint64_t done = 0;
  if (misses) {
    struct marks loud;
    mark_loud(l, todo, &loud);
    done = FURTHER(t, l, missed, misses, &loud);
  }
  l->again = again & ~done;
  l->todo_count = done ? drop_done(l->todo, todo, done) : todo;
}

static void KEYS(const struct rm_flows *t, struct rm_look *l) {
  struct terms terms = terms_of(t, l);
  struct stretch all[RM_LOOK / CHUNK];
  uint32_t last = t->slots / RM_WAYS - 1;
  /* All are gathered before the first is weighed: words can be read together only when each has reached the cache. */
  for (uint32_t first = 0; first < l->n; first += CHUNK) {
    const uint8_t *filled[CHUNK], *const *frames = l->frame + first;
    bool lacking = any_of((lanes)(lanes_at(l->bytes + first) < EVERYDAY_BYTES),
                          (lanes)(lanes_at(l->bytes + first + LANES) < EVERYDAY_BYTES));
    if (__builtin_expect(lacking | (first + CHUNK > l->n), 0)) frames = fill(l, first, filled);
    GATHER(frames, &all[first / CHUNK]);
  }
  for (uint32_t at = 0; at < l->n; at += LANES) WEIGH(l, &all[at / CHUNK], at, &terms);
  bool others = false;
  for (uint32_t i = 0; i < l->n; i++) {
    uint64_t hash = hash_of(t, l, i);
    others |= l->facts[i] == 0;
    l->hash[i] = hash;
    __builtin_prefetch(&t->buckets[(uint32_t)hash & last]);
  }
  if (others) look_at_others(t, l, 0, l->n);
}

static void LOOK(struct rm_flows *t, struct rm_look *l) {
  KEYS(t, l);
  SORT(t, l);
}
