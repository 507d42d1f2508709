/* Witness: a decision with all it depended on, and the same decision taken again.
 *
 * A flow's counters come from packets that nobody keeps, so a recording of packets alone cannot be judged. What is kept is
 * the entry as the decision found it: with the frame, the rules, the time and the budget it is all that rm_decide()
 * reads. Taking it again calls rm_decide() itself, on a table of sixteen places that has this one entry.
 */
#include <stdlib.h>
#include "hot.h"
#include "parse.h"

#define PLACES 16u
#define FRAME_BYTES_MAX 65535u
#define HEADERS_BYTES 68u
#define NATURE_BYTES 7u /* of a payload, rm_nature_next() looks at no more */

static uint64_t mix(uint64_t a, uint64_t b) { return fold(a ^ 0x9e3779b97f4a7c15ull, b ^ 0xd6e8feb86659fd93ull); }

static uint64_t digest_of(const struct rm_flows *t, const struct rm_flow *f) {
  uint64_t h = t->budget ? mix(t->budget->bytes.level, t->budget->packets.level) : 0;
  const uint8_t *bytes = (const uint8_t *)f;
  for (uint32_t at = 0; f && at < sizeof *f; at += 8) h = mix(h, load64(bytes + at));
  return h;
}

/* Headers and the first bytes behind them. Of what is no flow the headers' end is not known; they are not longer than this
 * but for IPv6 with many of them. */
static uint32_t need_of(const struct rm_packet *p) {
  bool flow = p->verdict == RM_PARSE_FLOW || (p->verdict == RM_PARSE_FRAGMENT && p->fragment == RM_FRAGMENT_FIRST);
  uint32_t bytes = flow ? p->payload_offset + (p->payload_bytes < NATURE_BYTES ? p->payload_bytes : NATURE_BYTES)
                        : p->ip_offset + HEADERS_BYTES;
  return bytes < p->frame_bytes ? bytes : p->frame_bytes;
}

void rm_witness_begin(const struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p, uint64_t now, bool observed) {
  struct rm_witness *w = t->witness;
  const struct rm_budget *b = t->budget;
  *w = (struct rm_witness){.now = now, .generation = rules->generation, .frame_bytes = p->frame_bytes,
                           .need = need_of(p), .observed = observed, .epoch = t->epoch};
  if (!b) return;
  w->bytes_rate = b->bytes.rate;
  w->bytes_level = b->bytes.level;
  w->packets_rate = b->packets.rate;
  w->packets_level = b->packets.level;
  w->filled_ns = b->filled_ns;
}

void rm_witness_flow(struct rm_flows *t, const struct rm_flow *before) {
  struct rm_witness *w = t->witness;
  w->kind = RM_WITNESS_FLOW;
  if (!before) return;
  w->known = 1;
  w->hot_before = *hot_of(t, place_of(t, before));
  memcpy(w->before, before, sizeof *before);
}

void rm_witness_fragment(struct rm_flows *t, const struct rm_fragment *before) {
  struct rm_witness *w = t->witness;
  w->kind = RM_WITNESS_FRAGMENT;
  w->known = before->state != 0;
  memcpy(w->before, before, sizeof *before);
}

void rm_witness_end(const struct rm_flows *t, const struct rm_flow *after, struct rm_verdict v) {
  struct rm_witness *w = t->witness;
  w->why = v.why;
  w->rule = v.rule;
  w->shed = v.shed;
  w->hot_after = after ? *hot_of(t, place_of(t, after)) : 0;
  w->digest = digest_of(t, after);
}

/* A table in which the next decision finds what the recorded one found. */
struct bench {
  struct rm_flow entry[PLACES];
  struct rm_flow_bucket bucket[PLACES / RM_WAYS];
  struct rm_flows flows;
  struct rm_budget budget;
  struct rm_witness witness;
  uint8_t frame[FRAME_BYTES_MAX];
};

static void set_budget(struct rm_budget *b, const struct rm_witness *w) {
  rm_budget_set(b, w->bytes_rate, w->packets_rate, w->filled_ns);
  b->bytes.level = w->bytes_level;
  b->packets.level = w->packets_level;
}

static void set_table(struct bench *b, const struct rm_rules *rules, const struct rm_witness *w, const struct rm_packet *p) {
  static const uint64_t secret[2] = {0x243f6a8885a308d3ull, 0x13198a2e03707344ull};
  struct rm_flows *t = &b->flows;
  rm_flows_open(t, b->entry, b->bucket, PLACES, secret);
  t->budget = &b->budget;
  set_budget(&b->budget, w);
  rm_flows_begin(t, rules, w->now);
  t->epoch = w->epoch & RM_EPOCH_MASK;
  if (w->kind == RM_WITNESS_FRAGMENT) memcpy(rm_fragment_place(t, p), w->before, sizeof(struct rm_fragment));
  if (w->kind != RM_WITNESS_FLOW || !w->known) return;
  uint64_t hash = rm_flows_hash(t, p);
  uint32_t slot = first_bucket(t, hash) * RM_WAYS;
  memcpy(&b->entry[slot], w->before, sizeof *b->entry);
  b->bucket[slot / RM_WAYS].signature[0] = signature_of(hash);
  *hot_of(t, slot) = w->hot_before;
  t->live = 1;
}

/* Numbers that index something, and what must belong together. */
static bool makes_sense(const struct rm_rules *rules, const struct rm_witness *w, uint32_t kept) {
  struct rm_flow f;
  memcpy(&f, w->before, sizeof f);
  bool entry = w->kind == RM_WITNESS_FLOW && w->known;
  /* Budgets are per second, so that the depth of their buckets stays within 64 bits. */
  bool rates = w->bytes_rate <= 1ull << 38 && w->packets_rate <= 1ull << 34;
  if (w->kind >= RM_WITNESSES || kept > w->frame_bytes || w->frame_bytes > FRAME_BYTES_MAX || !rates) return false;
  if (entry && (f.age >= RM_AGES || (f.rule != 0xff && f.rule >= RM_RULES) || !(f.flags & RM_FLOW_USED))) return false;
  if (entry && (w->hot_before >> RM_HOT_AGE_SHIFT & 7) >= RM_AGES) return false;
  return rules->count <= RM_RULES;
}

/* Does anything that was decided by lie behind what was kept? Where the headers' end is not known parsing tells: if zeros
 * and ones there are parsed alike, they do not matter to it. */
static bool is_cut(struct bench *b, const struct rm_rules *rules, const struct rm_witness *w, uint32_t kept) {
  struct rm_packet zeros, ones;
  uint32_t bytes = w->frame_bytes;
  if (kept >= bytes) return false;
  if (kept < w->need) return true;
  uint8_t (*parse)(const uint8_t *, uint32_t, struct rm_packet *) = rules->inner ? rm_parse_inner : rm_parse;
  parse(b->frame, bytes, &zeros);
  memset(b->frame + kept, 0xff, bytes - kept);
  parse(b->frame, bytes, &ones);
  memset(b->frame + kept, 0, bytes - kept);
  if (memcmp(&zeros, &ones, sizeof zeros) != 0) return true;
  for (uint32_t i = 0; i < rules->count; i++)
    if (rm_bpf_reaches(rules->rule[i].bpf, rules->rule[i].bpf_count, b->frame, kept, bytes)) return true;
  return false;
}

static struct rm_verdict judge(struct bench *b, const struct rm_rules *rules, const struct rm_witness *w, const struct rm_packet *p) {
  struct rm_flow *flow;
  switch (p->verdict) {
    case RM_PARSE_FLOW:
      return rm_decide(&b->flows, rules, p, rm_flows_hash(&b->flows, p), b->frame, w->now, w->observed, &flow);
    case RM_PARSE_FRAGMENT:
      return rm_decide_fragment(&b->flows, rules, p, b->frame, w->now, w->observed);
    default:
      rm_witness_begin(&b->flows, rules, p, w->now, w->observed);
      b->witness.kind = RM_WITNESS_NEIGHBOUR;
      struct rm_verdict v = {p->verdict == RM_PARSE_NEIGHBOUR ? RM_WHY_NEIGHBOUR : RM_WHY_NONE, 0xff, RM_WHY_NONE};
      if (v.why) rm_budget_take(&b->budget, v.why, w->frame_bytes, w->now);
      rm_witness_end(&b->flows, NULL, v);
      return v;
  }
}

static bool same(const struct rm_witness *a, const struct rm_witness *b) {
  return a->kind == b->kind && a->why == b->why && a->rule == b->rule && a->shed == b->shed &&
         a->hot_after == b->hot_after && a->digest == b->digest;
}

enum rm_retold rm_witness_retell(const struct rm_rules *rules, const struct rm_witness *w, const uint8_t *frame, uint32_t kept,
                                 struct rm_witness *again) {
  *again = *w;
  if (!makes_sense(rules, w, kept)) return RM_RETOLD_IMPOSSIBLE;
  if (w->kind == RM_WITNESS_SHADOW) return RM_RETOLD_SAME;
  struct bench *b = aligned_alloc(RM_CACHE_LINE, (sizeof *b + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1));
  if (!b) return RM_RETOLD_IMPOSSIBLE;
  memset(b, 0, offsetof(struct bench, frame));
  memcpy(b->frame, frame, kept);
  memset(b->frame + kept, 0, w->frame_bytes - kept);
  struct rm_packet p;
  (rules->inner ? rm_parse_inner : rm_parse)(b->frame, w->frame_bytes, &p);
  set_table(b, rules, w, &p);
  b->flows.witness = &b->witness;
  b->flows.witnessed = RM_WITNESSED_ENDS | RM_WITNESSED_REST;
  judge(b, rules, w, &p);
  *again = b->witness;
  enum rm_retold told = same(w, again) ? RM_RETOLD_SAME : is_cut(b, rules, w, kept) ? RM_RETOLD_CUT : RM_RETOLD_OTHER;
  free(b);
  return told;
}
