/* The table of openings, and the verdicts. */
#include <netinet/in.h>
#include <string.h>
#include "twin.h"

#define SETS (RM_TWINS / RM_TWIN_WAYS)
#define INIT 1u
#define INIT_BYTES 20u
#define LOOKED_AT 64u /* bytes of payload that tell one datagram from another */

static bool is_echo(const struct rm_packet *p, const uint8_t *icmp) {
  return (p->proto == IPPROTO_ICMP && icmp[0] == 8) || (p->proto == IPPROTO_ICMPV6 && icmp[0] == 128);
}

bool twin_tells(const struct rm_packet *p) {
  if (p->verdict != RM_PARSE_FLOW || p->inner || p->fragment) return false;
  if (p->proto == IPPROTO_TCP) return (p->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == RM_TCP_SYN;
  return p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP || p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;
}

static uint64_t mix(uint64_t h, uint64_t with) {
  h = (h ^ with) * 0x9e3779b97f4a7c15ull;
  return h ^ h >> 29;
}

/* An opening has window and scale, a later segment what it acknowledges and how long it is. */
static uint64_t segment_evidence(uint64_t h, const struct rm_packet *p) {
  bool opens = (p->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == RM_TCP_SYN;
  return mix(mix(h, p->seq), opens ? (uint64_t)p->scale << 16 | p->window : (uint64_t)p->ack << 32 | p->payload_bytes) | 1;
}

/* RFC 9260 3.3.2: of an INIT the tag that the answers are to have, and the first number; both are drawn at random. */
static uint64_t association_evidence(uint64_t h, const uint8_t *frame, const struct rm_packet *p) {
  if (p->payload_bytes < INIT_BYTES || p->payload_offset + INIT_BYTES > p->frame_bytes) return 0;
  const uint8_t *chunk = frame + p->payload_offset;
  uint32_t tag, first;
  memcpy(&tag, chunk + 4, 4);
  memcpy(&first, chunk + 16, 4);
  return chunk[0] == INIT ? mix(h, (uint64_t)tag << 32 | first) | 1 : 0;
}

uint64_t twin_evidence(uint64_t secret, const uint8_t *frame, const struct rm_packet *p) {
  /* A box between IPv6 and IPv4 makes one echo of the other (RFC 7915). */
  uint64_t h = mix(secret, p->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : p->proto);
  if (p->proto == IPPROTO_TCP) return segment_evidence(h, p);
  if (p->proto == IPPROTO_SCTP) return association_evidence(h, frame, p);
  const uint8_t *transport = frame + p->transport_offset;
  if (p->proto != IPPROTO_UDP) {
    if (p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6) return 0;
    if (!is_echo(p, transport)) return 0;
    h = mix(h, (uint64_t)transport[6] << 8 | transport[7]);
  }
  uint32_t n = p->payload_bytes < LOOKED_AT ? p->payload_bytes : LOOKED_AT;
  if (p->payload_offset >= p->frame_bytes || n > p->frame_bytes - p->payload_offset) return 0;
  h = mix(h, p->payload_bytes);
  for (uint32_t i = 0; i < n; i += 8) {
    uint64_t word = 0;
    memcpy(&word, frame + p->payload_offset + i, n - i < 8 ? n - i : 8);
    h = mix(h, word);
  }
  return h | 1;
}

uint64_t twin_evidence_ends(uint64_t secret, const struct rm_packet *p) {
  struct twin_tuple ends = twin_tuple(p);
  uint64_t word[4], h = mix(mix(~secret, p->tcp_flags & RM_TCP_ACK), (uint64_t)ends.port[0] << 16 | ends.port[1]);
  memcpy(word, ends.addr, sizeof word);
  for (uint32_t i = 0; i < 4; i++) h = mix(h, word[i]);
  return h | 1;
}

uint64_t twin_evidence_clock(uint64_t secret, const struct rm_packet *p, uint32_t clock) {
  uint64_t ports = (uint64_t)p->port[p->dir] << 16 | p->port[1 - p->dir];
  return mix(mix(mix(~secret, ports), (uint64_t)p->scale << 16 | p->window), clock) | 1;
}

static struct twin *place(struct twins *t, uint64_t what, uint64_t now) {
  struct twin *set = &t->twin[(what >> 32) % SETS * RM_TWIN_WAYS], *best = set;
  for (struct twin *o = set; o < set + RM_TWIN_WAYS; o++) {
    if (o->evidence == what && now - o->ns <= RM_TWIN_NS) return o;
    if ((o->evidence ? o->ns : 0) < (best->evidence ? best->ns : 0)) best = o;
  }
  *best = (struct twin){.evidence = what, .ns = now, .slot = RM_NO_FLOW};
  return best;
}

static void set_verdict(struct twins *t, const struct twin *o, uint32_t box, enum twin_verdict verdict) {
  uint32_t *word = &t->word[o->slot], known = (*word & ~RM_TWIN_VERDICTS) == o->word ? *word : o->word;
  *word = (known & ~(3u << (2 * box))) | (uint32_t)verdict << (2 * box);
}

void twins_learn(struct twins *t, uint32_t slot, uint32_t box, enum twin_verdict verdict) {
  set_verdict(t, &(struct twin){.slot = slot, .word = twin_word(&t->entries[slot])}, box, verdict);
}

uint32_t twin_verdicts(const struct rm_flow *f, uint32_t word) {
  bool is = word && (__atomic_load_n(&f->flags, __ATOMIC_ACQUIRE) & RM_FLOW_USED) && twin_word(f) == (word & ~RM_TWIN_VERDICTS);
  return is ? word & RM_TWIN_VERDICTS : 0;
}

uint32_t twins_word(const struct twins *t, uint32_t slot) { return twin_verdicts(&t->entries[slot], t->word[slot]); }

struct twin_tuple twin_tuple(const struct rm_packet *p) {
  struct twin_tuple made = {.port = {p->port[p->dir], p->port[1 - p->dir]}};
  memcpy(made.addr[0], p->addr[p->dir], 16);
  memcpy(made.addr[1], p->addr[1 - p->dir], 16);
  return made;
}

bool twin_same(const struct twin_tuple *a, const struct twin_tuple *b) {
  return memcmp(a->addr, b->addr, sizeof a->addr) == 0 && a->port[0] == b->port[0] && a->port[1] == b->port[1];
}

/* Bit of each box that is found to differ now. */
static uint32_t judge(struct twins *t, struct twin *o) {
  uint32_t differ = 0;
  for (uint32_t left = twin_judged(o); left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    bool equal = twin_same(&o->made[box], &o->made[o->master]) && o->seq[box] == o->seq[o->master];
    bool was = twin_verdict(twins_word(t, o->slot), box) == TWIN_DIFFERENT;
    set_verdict(t, o, box, equal ? TWIN_EQUAL : TWIN_DIFFERENT);
    differ |= (uint32_t)(!equal && !was) << box;
  }
  return differ;
}

const struct twin *twins_note(struct twins *t, const struct twin_sight *s, uint32_t *differ) {
  uint64_t what = s->evidence ? s->evidence : twin_evidence(t->secret, s->frame, s->packet);
  if (what == 0) return NULL;
  const struct rm_packet *p = s->packet;
  struct twin *o = place(t, what, s->now);
  struct twin_tuple made = twin_tuple(p);
  /* The same opening twice is a repetition; in another guise there are two, and nobody knows whose the standby's is. */
  uint32_t seq = p->proto == IPPROTO_TCP ? p->seq : 0;
  if ((o->seen >> s->box & 1) && (!twin_same(&made, &o->made[s->box]) || seq != o->seq[s->box])) o->vague = 1;
  o->made[s->box] = made;
  o->seq[s->box] = seq;
  o->seen |= (uint8_t)(1u << s->box);
  o->proto = p->proto;
  o->answer = p->proto == IPPROTO_TCP && (p->tcp_flags & RM_TCP_ACK);
  if (s->flow) {
    o->slot = (uint32_t)(s->flow - t->entries);
    o->word = twin_word(s->flow);
    o->master = (uint8_t)s->box;
  }
  if (o->vague || o->slot == RM_NO_FLOW) return NULL;
  *differ = o->answer ? 0 : judge(t, o);
  return o;
}

uint32_t twins_walk(struct twins *t, uint32_t n, uint64_t now, const struct twin_owed *owed) {
  uint32_t dropped = 0;
  for (; n > 0; n--) {
    struct twin *o = &t->twin[t->walked++ % RM_TWINS];
    if (o->evidence == 0 || now - o->ns <= RM_TWIN_NS) continue;
    if (!o->vague && o->slot != RM_NO_FLOW && twin_word(&t->entries[o->slot]) == o->word) {
      uint32_t missing = owed->expected(owed->context, o) & ~(uint32_t)o->seen;
      for (; missing; missing &= missing - 1, dropped++) {
        uint32_t box = (uint32_t)__builtin_ctz(missing);
        if (!o->answer) set_verdict(t, o, box, TWIN_DROPPED);
        owed->missing(owed->context, o, box);
      }
    }
    o->evidence = 0;
  }
  return dropped;
}

/* Of places whose words share a line. */
static bool is_blank(const uint32_t word[RM_TWIN_RUN]) {
  uint32_t any = 0;
  for (uint32_t i = 0; i < RM_TWIN_RUN; i++) any |= word[i];
  return any == 0;
}

static uint32_t flows_due(const struct twins_round *r) {
  uint32_t each_ms = r->last / RM_TWIN_ROUND_MS;
  return (each_ms < RM_TWIN_FLOWS_MIN ? RM_TWIN_FLOWS_MIN : each_ms < RM_TWIN_FLOWS_MAX ? each_ms : RM_TWIN_FLOWS_MAX) / RM_PACE;
}

/* Go on to the end of the step. Returns how many places have a word; their flows are asked for. */
static uint32_t gather(const struct twins *t, struct twins_round *r, uint32_t slot[]) {
  uint32_t places = RM_TWIN_PLACES / RM_PACE, flows = flows_due(r), n = 0;
  uint32_t end = r->slots - r->at < places ? r->slots : r->at + places;
  for (; r->at < end && n < flows; r->at += RM_TWIN_RUN) {
    uint32_t first = r->first + r->at;
    if (is_blank(t->word + first)) continue;
    for (uint32_t at = first; at < first + RM_TWIN_RUN; at++) {
      if (t->word[at] == 0) continue;
      __builtin_prefetch(&t->entries[at]);
      __builtin_prefetch(&t->entries[at].first_ns);
      slot[n++] = at;
    }
  }
  return n;
}

bool twins_go(const struct twins *t, struct twins_round *r, const struct twins_tally *tally) {
  uint32_t slot[RM_TWIN_FLOWS_MAX / RM_PACE + RM_TWIN_RUN], n = gather(t, r, slot);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t verdicts = twins_word(t, slot[i]);
    if (verdicts) tally->known(tally->context, slot[i], verdicts);
  }
  r->seen += n;
  if (r->at < r->slots) return false;
  r->last = r->seen;
  r->at = r->seen = 0;
  return true;
}
