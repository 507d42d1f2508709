/* The filter core as a library for TypeScript: no ports, no DPDK, a batch of frames per call.
 *
 * Serves tests (the C core against filter/model.ts) and offline reading of captures. Like the board it describes its
 * structures by name, so the caller repeats no offset. One handle belongs to one thread.
 */
#include <stdlib.h>
#include <string.h>
#include "hot.h"

#define EXPORT __attribute__((visibility("default")))

/* One frame of a batch: where it lies in the caller's bytes, and how it came. */
struct rm_shim_frame {
  uint64_t time_ns;
  uint32_t offset, bytes;
  uint32_t observed;
  uint32_t pad;
};

/* What became of it. From `age` on but for `shed` only for verdict RM_PARSE_FLOW; `half` is the sender's, after the packet. */
struct rm_shim_result {
  struct rm_packet packet;
  uint8_t why, rule, age, flow_flags, outer_dir, shed, nature;
  uint8_t quiet; /* nothing was to do */
  uint32_t slot, turn_left, turn_spent;
  uint32_t peek; /* 0: the frame is not plain; 1: what the peek told of it is so; 2: it is not */
  struct rm_half half;
};

struct rm_shim {
  struct rm_flows flows;
  struct rm_rules rules;
  struct rm_budget budget;
};

EXPORT void rm_filter_close(struct rm_shim *s) {
  if (!s) return;
  free(s->flows.entries);
  free(s->flows.buckets);
  free(s);
}

/* Null: no memory, or slots is not a power of two of at least 16. */
EXPORT struct rm_shim *rm_filter_open(uint32_t slots, uint64_t secret0, uint64_t secret1) {
  if (slots < 16 || (slots & (slots - 1))) return NULL;
  struct rm_shim *s = aligned_alloc(RM_CACHE_LINE, sizeof *s);
  struct rm_flow *entries = aligned_alloc(RM_CACHE_LINE, (size_t)slots * sizeof *entries);
  size_t bucket_bytes = slots / RM_WAYS * sizeof(struct rm_flow_bucket);
  struct rm_flow_bucket *buckets = aligned_alloc(RM_CACHE_LINE, bucket_bytes);
  if (!s || !entries || !buckets) {
    free(s), free(entries), free(buckets);
    return NULL;
  }
  memset(s, 0, sizeof *s);
  memset(entries, 0, (size_t)slots * sizeof *entries);
  memset(buckets, 0, bucket_bytes);
  rm_flows_open(&s->flows, entries, buckets, slots, (uint64_t[2]){secret0, secret1});
  s->flows.budget = &s->budget;
  return s;
}

/* Take over rules and ages. -1: too many rules or a program too long; nothing is changed then. */
EXPORT int32_t rm_filter_rules(struct rm_shim *s, const struct rm_rule *rules, uint32_t count, uint32_t generation,
                               const uint64_t *age_ns) {
  if (count > RM_RULES) return -1;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t length; /* the caller's bytes need not be aligned as the type demands */
    memcpy(&length, (const char *)rules + i * sizeof *rules + offsetof(struct rm_rule, bpf_count), sizeof length);
    if (length > RM_BPF_MAX) return -1;
  }
  memcpy(s->rules.rule, (const void *)rules, count * sizeof *rules);
  memcpy(s->rules.age_ns, age_ns, sizeof s->rules.age_ns);
  s->rules.count = count;
  s->rules.generation = generation;
  return 0;
}

/* Tunnels and budget; the buckets start full at `now`. */
EXPORT void rm_filter_options(struct rm_shim *s, uint32_t inner, uint64_t bytes_per_s, uint64_t packets_per_s,
                              uint64_t now) {
  s->rules.inner = inner;
  rm_budget_set(&s->budget, bytes_per_s, packets_per_s, now);
}

/* Packets, then bytes, that the budget shed for each reason. */
EXPORT void rm_filter_shed(const struct rm_shim *s, uint64_t out[2 * RM_WHYS]) {
  memcpy(out, s->budget.shed_packets, sizeof s->budget.shed_packets);
  memcpy(out + RM_WHYS, s->budget.shed_bytes, sizeof s->budget.shed_bytes);
}

/* What the peek and the parser both tell of a frame. */
static uint32_t compare_peek(const struct rm_shim *s, const struct rm_look *l, uint32_t i, const struct rm_packet *p) {
  struct rm_peek peek = rm_look_peek(l, i), *k = &peek;
  struct rm_packet again;
  rm_parse_looked(l, i, &again);
  if (memcmp(&again, p, sizeof again) != 0) return 2;
  if (!k->plain) return 0;
  bool calm = !(p->tcp_flags & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST));
  bool same = p->verdict == RM_PARSE_FLOW && k->hash == rm_flows_hash(&s->flows, p) &&
              k->kind == p->dir * 2 + (p->payload_bytes > 0) && k->payload_bytes == p->payload_bytes &&
              k->calm == calm && k->tcp == (p->proto == 6) && k->transport_offset == p->transport_offset;
  return same ? 1 : 2;
}

/* What is known of the flow after the packet. */
static void tell_flow(const struct rm_shim *s, const struct rm_flow *f, struct rm_shim_result *out) {
  out->age = f->age;
  out->flow_flags = f->flags;
  out->outer_dir = f->outer_dir;
  out->nature = f->nature;
  out->turn_left = f->turn_left;
  out->turn_spent = f->turn_spent;
  out->slot = (uint32_t)(f - s->flows.entries);
  out->half = f->half[out->packet.dir];
}

static void tell_quiet(const struct rm_shim *s, const struct rm_peek *k, struct rm_shim_result *out) {
  const struct rm_flow *f = &s->flows.entries[k->slot];
  out->quiet = 1;
  out->rule = f->rule;
  tell_flow(s, f, out);
}

static void tell_verdict(struct rm_verdict v, struct rm_shim_result *out) {
  out->why = v.why;
  out->rule = v.rule;
  out->shed = v.shed;
}

/* A frame that was not done with at a look. */
static void decide_one(struct rm_shim *s, const struct rm_shim_frame *in, struct rm_look *look, uint32_t i,
                       struct rm_shim_result *out) {
  struct rm_peek k = rm_look_peek(look, i);
  const uint8_t *frame = look->frame[i];
  bool observed = in->observed != 0, again = look->again >> i & 1;
  if (out->packet.verdict == RM_PARSE_FRAGMENT)
    tell_verdict(rm_decide_fragment(&s->flows, &s->rules, &out->packet, frame, in->time_ns, observed), out);
  if (out->packet.verdict != RM_PARSE_FLOW) return;
  if (again && rm_quiet(&s->flows, &k, frame, in->bytes, in->time_ns, observed)) return tell_quiet(s, &k, out);
  struct rm_flow *f;
  uint64_t hash = rm_flows_hash(&s->flows, &out->packet);
  tell_verdict(rm_decide(&s->flows, &s->rules, &out->packet, hash, frame, in->time_ns, observed, &f), out);
  tell_flow(s, f, out);
}

/* Every other burst in two halves, as what comes out of a box is looked at: some of its frames are changed in between. */
static void look_at(struct rm_flows *t, struct rm_look *l) {
  if (l->n % 2 == 0) return rm_look(t, l);
  rm_look_keys(t, l);
  for (uint32_t i = 0; i < l->n; i += 3) l->facts[i] = 0;
  rm_look_rest(t, l);
}

/* Frames of one tick and from one side, as a burst of the plane is. */
static void decide_burst(struct rm_shim *s, const uint8_t *bytes, const struct rm_shim_frame *frames, uint32_t count,
                         struct rm_shim_result *results) {
  struct rm_look look = {.n = count, .inner = s->rules.inner != 0, .observed = frames->observed != 0};
  rm_flows_begin(&s->flows, &s->rules, frames->time_ns);
  for (uint32_t i = 0; i < count; i++) {
    struct rm_packet *p = &results[i].packet;
    memset(&results[i], 0, sizeof results[i]);
    look.frame[i] = bytes + frames[i].offset;
    look.bytes[i] = frames[i].bytes;
    (s->rules.inner ? rm_parse_inner : rm_parse)(look.frame[i], look.bytes[i], p);
  }
  look_at(&s->flows, &look);
  for (uint32_t i = 0, todo = 0; i < count; i++) {
    struct rm_peek k = rm_look_peek(&look, i);
    results[i].peek = compare_peek(s, &look, i, &results[i].packet);
    if (todo < look.todo_count && look.todo[todo] == i) todo++;
    else tell_quiet(s, &k, &results[i]);
  }
  for (uint32_t n = 0; n < look.todo_count; n++) {
    uint32_t i = look.todo[n];
    decide_one(s, &frames[i], &look, i, &results[i]);
  }
}

EXPORT void rm_filter_decide(struct rm_shim *s, const uint8_t *bytes, const struct rm_shim_frame *frames,
                             uint32_t count, struct rm_shim_result *results) {
  for (uint32_t i = 0, n; i < count; i += n) {
    const struct rm_shim_frame *first = &frames[i];
    for (n = 1; i + n < count && n < RM_LOOK; n++) {
      const struct rm_shim_frame *next = &frames[i + n];
      if (!next->observed != !first->observed || next->time_ns >> RM_TICK_SHIFT != first->time_ns >> RM_TICK_SHIFT) break;
    }
    decide_burst(s, bytes, first, n, &results[i]);
  }
}

EXPORT void rm_filter_sweep(struct rm_shim *s, uint64_t now, uint32_t buckets) {
  rm_flows_sweep(&s->flows, &s->rules, now, buckets);
}

/* live, evicted, expired, and of the evicted those with a live connection */
EXPORT void rm_filter_counts(const struct rm_shim *s, uint64_t counts[4]) {
  counts[3] = s->flows.evicted_live;
  counts[0] = s->flows.live;
  counts[1] = s->flows.evicted;
  counts[2] = s->flows.expired;
}

/* 1 and a copy of the entry, or 0: the slot is free or does not exist. */
EXPORT int32_t rm_filter_flow(const struct rm_shim *s, uint32_t slot, struct rm_flow *out) {
  if (slot >= s->flows.slots || !(s->flows.entries[slot].flags & RM_FLOW_USED)) return 0;
  memcpy((void *)out, &s->flows.entries[slot], sizeof *out);
  return 1;
}

EXPORT uint32_t rm_filter_bpf(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes) {
  return rm_bpf_run(program, count, frame, bytes);
}

#define FIELD(label, type, member) \
  { label "." #member, offsetof(struct type, member), sizeof(((struct type *)0)->member), 1, 0 }
#define SIZE(label, type) \
  { label, 0, sizeof(struct type), 1, 0 }
#define RULE(member) FIELD("rule", rm_rule, member)
#define FLOW(member) FIELD("flow", rm_flow, member)
#define HALF(member) FIELD("half", rm_half, member)
#define FRAME(member) FIELD("frame", rm_shim_frame, member)
#define RESULT(member) FIELD("result", rm_shim_result, member)
#define PACKET(member) FIELD("packet", rm_packet, member)

#define WITNESS(member) FIELD("witness", rm_witness, member)
#define STEP(member) FIELD("step", rm_step, member)

static const struct rm_field FIELDS[] = {
    SIZE("rule", rm_rule), SIZE("flow", rm_flow), SIZE("frame", rm_shim_frame), SIZE("result", rm_shim_result),
    RULE(name), RULE(bpf_count), RULE(handshake), RULE(teardown), RULE(all), RULE(none), RULE(seed),
    RULE(acks), RULE(plaintext), RULE(keepalive_window), RULE(first_packets), RULE(first_payload_packets),
    RULE(first_bytes_up), RULE(first_bytes_down), RULE(turn_bytes_up), RULE(turn_bytes_down), RULE(turn_bytes_max),
    RULE(sample), RULE(keepalive_ns), RULE(bpf),
    FLOW(addr), FLOW(port), FLOW(vlan), FLOW(proto), FLOW(age), FLOW(outer_dir), FLOW(rule), FLOW(flags),
    FLOW(rule_generation), FLOW(first_ns), FLOW(last_ns), FLOW(half), FLOW(peer), FLOW(seed_switch), FLOW(nature), FLOW(turn_left),
    FLOW(turn_spent),
    HALF(bytes), HALF(payload_bytes), HALF(mirrored_ns), HALF(packets), HALF(payload_packets), HALF(mirrored),
    HALF(copied), HALF(next), HALF(ack), HALF(window), HALF(scale), HALF(flags), SIZE("half", rm_half),
    FRAME(time_ns), FRAME(offset), FRAME(bytes), FRAME(observed),
    RESULT(packet), RESULT(why), RESULT(rule), RESULT(age), RESULT(flow_flags), RESULT(outer_dir), RESULT(slot),
    RESULT(half), RESULT(shed), RESULT(nature), RESULT(turn_left), RESULT(turn_spent), RESULT(quiet), RESULT(peek),
    PACKET(verdict), PACKET(dir), PACKET(proto), PACKET(ipv6), PACKET(tcp_flags), PACKET(scale), PACKET(sack),
    PACKET(tags), PACKET(vlan), PACKET(window), PACKET(ip_offset), PACKET(transport_offset), PACKET(payload_offset),
    PACKET(port), PACKET(seq), PACKET(ack), PACKET(payload_bytes), PACKET(frame_bytes), PACKET(addr),
    PACKET(fragment), PACKET(fragment_id), PACKET(inner),
    SIZE("witness", rm_witness), WITNESS(now), WITNESS(kind), WITNESS(observed), WITNESS(known), WITNESS(why), WITNESS(rule),
    WITNESS(shed), WITNESS(generation), WITNESS(frame_bytes), WITNESS(hot_after), WITNESS(digest), WITNESS(before),
    SIZE("step", rm_step), STEP(sequence), STEP(mono_ns), STEP(wall_ns), STEP(kind), STEP(cause), STEP(before), STEP(after),
    STEP(subject), STEP(order), STEP(terms), STEP(detection), STEP(reflex),
};

/* Copy the description of the structures; returns how many fields there are. A name without a dot is a
 * whole structure, its width the size. Offsets count from the start of the structure named before the dot. */
EXPORT uint32_t rm_filter_fields(struct rm_field *out, uint32_t room) {
  uint32_t count = sizeof FIELDS / sizeof FIELDS[0];
  memcpy(out, FIELDS, (room < count ? room : count) * sizeof *out);
  return count;
}
