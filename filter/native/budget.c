/* Budget: two token buckets, and a share of each kept back for what is worth more.
 *
 * Whole numbers only, so that filter/budget.ts says the same to the last bit. Levels count in 1e-9 units: a rate per
 * second times nanoseconds needs no division.
 */
#include "filter.h"

#define UNIT 1000000000ull

static void set_rate(struct rm_bucket *b, uint64_t rate, uint64_t least) {
  uint64_t depth = rate * RM_BUDGET_DEPTH_NS;
  b->rate = rate;
  b->depth = b->level = depth > least * UNIT ? depth : least * UNIT;
}

void rm_budget_set(struct rm_budget *b, uint64_t bytes_per_s, uint64_t packets_per_s, uint64_t now) {
  set_rate(&b->bytes, bytes_per_s, RM_BUDGET_BYTES_MIN);
  set_rate(&b->packets, packets_per_s, RM_BUDGET_PACKETS_MIN);
  b->filled_ns = now;
}

static void fill(struct rm_bucket *b, uint64_t passed_ns) {
  uint64_t room = b->depth - b->level;
  b->level = b->rate && passed_ns >= room / b->rate + 1 ? b->depth : b->level + b->rate * passed_ns;
}

/* What may not be touched by class `why`. */
static uint64_t kept(const struct rm_bucket *b, uint8_t why) {
  return why <= RM_WHY_HANDSHAKE ? 0 : b->depth / 8 * 7 / (RM_WHY_ALL - RM_WHY_HANDSHAKE) * (why - RM_WHY_HANDSHAKE);
}

static bool has(const struct rm_bucket *b, uint8_t why, uint64_t cost) {
  return !b->rate || why <= RM_WHY_NEIGHBOUR || b->level >= kept(b, why) + cost;
}

static void take(struct rm_bucket *b, uint64_t cost) {
  b->level -= b->level < cost ? b->level : cost;
}

bool rm_budget_take(struct rm_budget *b, uint8_t why, uint32_t bytes, uint64_t now) {
  if (!b->bytes.rate && !b->packets.rate) return true;
  if (now > b->filled_ns) {
    fill(&b->bytes, now - b->filled_ns);
    fill(&b->packets, now - b->filled_ns);
    b->filled_ns = now;
  }
  if (!has(&b->bytes, why, bytes * UNIT) || !has(&b->packets, why, UNIT)) {
    b->shed_packets[why]++;
    b->shed_bytes[why] += bytes;
    return false;
  }
  take(&b->bytes, bytes * UNIT);
  take(&b->packets, UNIT);
  return true;
}
