/* What a seed says of a connection, by its two entries. Pure.
 *
 * Sequence numbers: the highest that has come *out* of the old box each way. Anything sent later is a
 * retransmission or new data inside the window, and no end can acknowledge more.
 */
#include <netinet/in.h>
#include <string.h>
#include "seed.h"

uint32_t seed_emerged(const struct rm_flow *f) { return f->half[1 - f->outer_dir].next; }
/* What the outer end sent. */
static const struct rm_half *sent(const struct rm_flow *f) { return &f->half[f->outer_dir]; }

void seed_handshake(const struct rm_flow *opener, const struct rm_flow *other, const struct numbers_gap gap[2],
                    struct seed_segment step[RM_SEED_STEPS], struct seed_numbers out[RM_SEED_STEPS]) {
  uint32_t there = seed_emerged(other), c = there - gap[0].seq, s = seed_emerged(opener), back_there = s + gap[1].seq;
  const struct rm_half *from = sent(opener), *back = sent(other);
  bool sack = from->flags & back->flags & RM_HALF_SACK;
  /* RFC 7323: scaling counts only when both sides offered it. */
  bool scaled = from->scale != 0xff && back->scale != 0xff;
  step[0] = (struct seed_segment){c - 1, 0, 65535, RM_TCP_SYN, scaled ? from->scale : 0xff, sack};
  step[1] = (struct seed_segment){back_there - 1, there, 65535, RM_TCP_SYN | RM_TCP_ACK, scaled ? back->scale : 0xff, sack};
  step[2] = (struct seed_segment){c, s, from->window, RM_TCP_ACK, 0, false};
  step[3] = (struct seed_segment){back_there, there, back->window, RM_TCP_ACK, 0, false};
  out[0] = (struct seed_numbers){there - 1, 0};
  out[1] = (struct seed_numbers){s - 1, c};
  out[2] = (struct seed_numbers){there, back_there};
  out[3] = (struct seed_numbers){s, c};
}

/* Was the head of a frame from outside kept? It is where a rule says `seed`. */
static bool is_headed(const struct rm_flow *f) {
  static const uint8_t NOWHERE[sizeof f->outer_mac];
  return f->tags < 2 && memcmp(f->outer_mac, NOWHERE, sizeof NOWHERE) != 0;
}

static bool is_numbered(const struct rm_half *h) { return h->packets && (h->flags & (RM_HALF_SEQ | RM_HALF_SYN)); }

bool seed_takes(uint8_t proto) {
  return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* An opening counts from the moment that the SYN-ACK has come through: its ACK may be the first packet after a switch. */
bool seed_usable(const struct rm_flow *f) {
  if (!(f->flags & RM_FLOW_USED) || (f->flags & (RM_FLOW_RESET | RM_FLOW_INNER))) return false;
  if (f->proto == IPPROTO_SCTP) return f->opener && is_headed(f) && seed_emerged(f) != 0;
  if (f->proto != IPPROTO_TCP) return seed_takes(f->proto) && f->opener && (f->opener != f->outer_dir + 1 || is_headed(f));
  return f->age != RM_AGE_TCP_CLOSING && is_headed(f) && is_numbered(&f->half[0]) && is_numbered(&f->half[1]);
}
