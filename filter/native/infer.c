/* Inference: by which name the box that has begun to serve knows a flow that began before.
 *
 * Where a standby's opening was seen, its twin tells. A box that has got no copy, or has lost what it knew, makes a binding of
 * the first packet that it gets after the switch. What a box leaves alone of that packet is noted on the side where
 * it will come out, with the flow that it belongs to there; the frame that comes out with it has the name.
 *
 * One client's packets must never reach another. So nothing is inferred where a second frame looks the same: of another older flow, of a
 * new one (pair.c tells of their openings), or of one that is not known on the other side.
 */
#include <string.h>
#include "entry.h"
#include "pair.h"
#include "plane.h"
#include "twin.h"

#define INFERS 2048u
#define WAYS 4u
#define INFER_NS RM_S

struct infer { uint64_t evidence, ns; uint32_t slot; bool vague; };
struct infers { uint64_t last_ns; struct infer of[INFERS]; };

int infer_open(struct plane *p) {
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->aliases[s]) continue;
    p->infers[s] = crew_memory(sizeof *p->infers[s]);
    if (!p->infers[s]) return plane_fail(p, "Cannot make a table of what is to be inferred: no memory");
  }
  return 0;
}

/* As much of it as a message can carry, as in pair.c. */
static uint64_t key_of(const struct plane *p, const uint8_t *frame, const struct rm_packet *packet) {
  return twin_evidence(p->crew->trace_secret, frame, packet) >> 8;
}

static bool is_young(const struct plane *p, const struct infer *i) { return p->now <= i->ns || p->now - i->ns <= INFER_NS; }

static struct infer *set_of(struct infers *t, uint64_t evidence) {
  return &t->of[(evidence * 0x9e3779b97f4a7c15ull >> 40) % (INFERS / WAYS) * WAYS];
}

static void note(struct plane *p, uint32_t side, const struct infer *what) {
  struct infers *t = p->infers[side];
  if (!t) return;
  struct infer *set = set_of(t, what->evidence), *best = set;
  for (struct infer *i = set; i < set + WAYS; i++) {
    if (i->evidence == what->evidence && is_young(p, i)) {
      i->vague |= i->slot != what->slot;
      return;
    }
    if (i->ns < best->ns) best = i;
  }
  *best = *what;
  best->vague = pair_waits(p, 1 - side, what->evidence);
  t->last_ns = what->ns;
}

/* A name that a box chose and still has needs no inference. */
static bool is_known(const struct plane *p, uint32_t side, uint32_t slot) {
  if (slot == RM_NO_FLOW) return false;
  enum twin_verdict verdict = match_holds(p, side, slot, (uint32_t)serving(p));
  return verdict == TWIN_EQUAL || verdict == TWIN_DIFFERENT;
}

void infer_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow) {
  bool up = !packet->dir == !(flow->flags & RM_FLOW_CLIENT);
  if (!p->board->command.fixup || p->crew->queues > 1 || serving(p) < 0 || !up || packet->inner) return;
  uint32_t peer = flow->peer;
  if (peer != RM_NO_FLOW && entry_peer(&p->entries[1 - side][peer]) != slot_of(p, side, flow)) peer = RM_NO_FLOW;
  uint64_t key = is_known(p, 1 - side, peer) ? 0 : key_of(p, frame, packet);
  if (key == 0) return;
  if (p->has[1 - side]) return note(p, 1 - side, &(struct infer){.evidence = key, .ns = p->now, .slot = peer});
  crew_send_side(p, 1 - side, &(struct message){.kind = MESSAGE_INFER, .slot = peer, .seq = (uint32_t)key,
                                                .peer = (uint32_t)(key >> 32), .ns = p->now});
}

void infer_take(struct plane *p, const struct message *said) {
  uint32_t side = p->has[RM_SIDE_UP] ? RM_SIDE_UP : RM_SIDE_DOWN;
  note(p, side, &(struct infer){.evidence = (uint64_t)said->peer << 32 | said->seq, .ns = said->ns, .slot = said->slot});
}

bool infer_expects(const struct plane *p, uint32_t side) {
  const struct infers *t = p->infers[side];
  return __builtin_expect(t && t->last_ns && (p->now <= t->last_ns || p->now - t->last_ns <= INFER_NS), 0);
}

void infer_heed(struct plane *p, uint32_t side, uint64_t key) {
  if (!infer_expects(p, side)) return;
  struct infer *set = set_of(p->infers[side], key);
  for (struct infer *i = set; i < set + WAYS; i++) i->vague |= i->evidence == key;
}

/* The name of a flow that the network knows. */
static bool has_own_name(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  const struct rm_flow *f = rm_flows_find(&p->table[side], packet, rm_flows_hash(&p->table[side], packet));
  return f && f->age != RM_AGE_TCP_CLOSING;
}

const struct rm_flow *infer_find(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet) {
  uint32_t side = role_side(role);
  if ((int)role_of_box(role) != serving(p) || packet->verdict != RM_PARSE_FLOW || has_own_name(p, side, packet)) return NULL;
  uint64_t key = key_of(p, frame, packet);
  struct infer *set = set_of(p->infers[side], key);
  for (struct infer *i = set; key && i < set + WAYS; i++) {
    if (i->evidence != key || !is_young(p, i)) continue;
    if (i->vague || i->slot == RM_NO_FLOW) return NULL;
    const struct rm_flow *f = &p->entries[side][i->slot];
    bool is = (f->flags & RM_FLOW_USED) && f->proto == packet->proto && f->first_ns < p->reflex.path_since;
    i->evidence = 0;
    return is ? f : NULL;
  }
  return NULL;
}
