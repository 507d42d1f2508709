/* Sender's ring and receiver's window of a channel; channel.h says what they are for. */
#include "channel.h"
#include <string.h>

#define TOKEN_NS 500000ull /* half a resend each, whatever is sent */

/* ---- sender ---- */

void channel_out_open(struct channel_out *o, struct channel_unit *unit, uint32_t units, uint8_t *memory, uint32_t bytes) {
  *o = (struct channel_out){.unit = unit, .units = units, .memory = memory, .bytes = bytes};
  channel_out_reset(o);
}

void channel_out_reset(struct channel_out *o) {
  o->next = o->oldest = 1;
  o->head = 0;
  o->tokens = 2 * CHANNEL_TOKENS_MAX;
  o->tokens_ns = 0;
}

static struct channel_unit *unit_of(struct channel_out *o, uint64_t sequence) { return &o->unit[sequence & (o->units - 1)]; }

struct channel_unit *channel_put(struct channel_out *o, const uint8_t *body, uint16_t bytes, uint8_t flags) {
  uint64_t at = o->head;
  if (at % o->bytes + bytes > o->bytes) at += o->bytes - at % o->bytes; /* in one piece */
  uint64_t end = at + bytes;
  while (o->oldest < o->next && (o->next - o->oldest >= o->units || end - unit_of(o, o->oldest)->at > o->bytes)) o->oldest++;
  memcpy(o->memory + at % o->bytes, body, bytes);
  struct channel_unit *u = unit_of(o, o->next++);
  *u = (struct channel_unit){.at = at, .bytes = bytes, .flags = flags};
  o->head = end;
  if (o->tokens < 2 * CHANNEL_TOKENS_MAX) o->tokens++;
  return u;
}

void channel_take_back(struct channel_out *o, uint64_t from) {
  if (from >= o->next) return;
  if (from < o->oldest) from = o->oldest;
  if (from == o->next) return;
  o->head = unit_of(o, from)->at;
  o->next = from;
}

/* Time alone allows some resends, half as many as units are sent come on top. */
static bool may_send_again(struct channel_out *o, uint64_t now) {
  if (now > o->tokens_ns) {
    uint64_t more = (now - o->tokens_ns) / TOKEN_NS;
    o->tokens = o->tokens + more > 2 * CHANNEL_TOKENS_MAX ? 2 * CHANNEL_TOKENS_MAX : o->tokens + more;
    o->tokens_ns += more * TOKEN_NS;
  }
  if (o->tokens < 2) return false;
  o->tokens -= 2;
  return true;
}

const struct channel_unit *channel_again(struct channel_out *o, uint64_t sequence, uint64_t gap_ns, uint64_t now) {
  if (sequence >= o->next) return NULL;
  if (sequence < o->oldest) return o->gone++, NULL;
  struct channel_unit *u = unit_of(o, sequence);
  if (u->again_ns && now - u->again_ns < gap_ns) return NULL; /* asked twice before the answer can be there */
  if (!may_send_again(o, now)) return o->shed++, NULL;
  u->again_ns = now;
  o->again++;
  return u;
}

/* ---- receiver ---- */

void channel_in_open(struct channel_in *i, struct channel_place *place, uint32_t units) {
  *i = (struct channel_in){.place = place, .units = units};
  channel_in_reset(i);
}

void channel_in_reset(struct channel_in *i) {
  i->next = i->known = 1;
  i->missing = 0;
  i->broken = false;
  i->passed = i->due_ns = CHANNEL_NEVER;
}

static struct channel_place *place_of(struct channel_in *i, uint64_t sequence) { return &i->place[sequence & (i->units - 1)]; }

static void give_up(struct channel_in *i, struct channel_place *place) {
  place->state = CHANNEL_GIVEN_UP;
  i->missing--;
  i->lost++;
}

/* Everything before `to` exists, as far as there are places for it. */
static void know(struct channel_in *i, uint64_t to, uint64_t now) {
  if (to > i->next + i->units) to = i->next + i->units;
  if (to <= i->known) return;
  for (; i->known < to; i->known++) {
    struct channel_place *place = place_of(i, i->known);
    *place = (struct channel_place){.state = CHANNEL_MISSING, .since_ns = now};
    i->missing++;
  }
  if (now + i->reorder_ns < i->due_ns) i->due_ns = now + i->reorder_ns;
}

static void give_up_before(struct channel_in *i, uint64_t to) {
  if (to > i->known) to = i->known;
  for (uint64_t s = i->next; i->missing && s < to; s++)
    if (place_of(i, s)->state == CHANNEL_MISSING) give_up(i, place_of(i, s));
}

enum channel_taken channel_take(struct channel_in *i, const struct channel_arrival *a, uint64_t now) {
  if (a->sequence < i->next) return i->repeated++, CHANNEL_REPEATED;
  if (a->sequence >= i->next + i->units) {
    know(i, i->next + i->units, now);
    give_up_before(i, a->sequence - i->units + 1);
    return i->beyond++, CHANNEL_BEYOND;
  }
  know(i, a->sequence + 1, now);
  struct channel_place *place = place_of(i, a->sequence);
  if (place->state == CHANNEL_FILLED) return i->repeated++, CHANNEL_REPEATED;
  if (place->state == CHANNEL_MISSING) i->missing--;
  else i->lost--;
  if (place->asked) i->recovered++;
  place->frame = a->frame;
  place->after = a->after;
  place->flags = a->flags;
  place->state = CHANNEL_FILLED;
  if (i->wait_ns == 0) give_up_before(i, a->sequence);
  if (i->missing == 0) i->due_ns = CHANNEL_NEVER;
  return CHANNEL_TAKEN;
}

void channel_hear(struct channel_in *i, uint64_t next, uint64_t oldest, uint64_t now) {
  if (next > i->known) know(i, next, now);
  if (i->wait_ns == 0) oldest = i->known;
  if (i->missing && oldest > i->next) give_up_before(i, oldest);
  if (i->missing == 0) i->due_ns = CHANNEL_NEVER;
}

bool channel_waits(const struct channel_in *i) {
  const struct channel_place *place = &i->place[i->next & (i->units - 1)];
  return i->next < i->known && place->state == CHANNEL_FILLED && place->after > i->passed;
}

void *channel_pull(struct channel_in *i, uint8_t *flags, bool *broken) {
  while (i->next < i->known) {
    struct channel_place *place = place_of(i, i->next);
    if (place->state == CHANNEL_MISSING || channel_waits(i)) return NULL;
    i->next++;
    if (place->state == CHANNEL_GIVEN_UP) {
      i->broken = true;
      continue;
    }
    *flags = place->flags;
    *broken = i->broken;
    i->broken = false;
    return place->frame;
  }
  return NULL;
}

/* When the place has to be looked at again, now or later. */
static uint64_t next_look(const struct channel_in *i, const struct channel_place *place, uint64_t again_ns) {
  uint64_t ask = place->asked ? place->asked_ns + again_ns : place->since_ns + i->reorder_ns, end = place->since_ns + i->wait_ns;
  return ask < end ? ask : end;
}

uint32_t channel_ask(struct channel_in *i, uint64_t again_ns, struct channel_range *to, uint32_t n, uint64_t now) {
  uint32_t ranges = 0, left = i->missing;
  if (left == 0 || now < i->due_ns) return 0;
  i->due_ns = CHANNEL_NEVER;
  for (uint64_t s = i->next; left && s < i->known; s++) {
    struct channel_place *place = place_of(i, s);
    if (place->state != CHANNEL_MISSING) continue;
    left--;
    if (now - place->since_ns >= i->wait_ns) {
      give_up(i, place);
      continue;
    }
    if (now >= next_look(i, place, again_ns)) {
      bool joins = ranges && to[ranges - 1].first + to[ranges - 1].count == s;
      if (!joins && ranges == n) { /* the rest with the next message */
        i->due_ns = now;
        break;
      }
      if (joins) to[ranges - 1].count++;
      else to[ranges++] = (struct channel_range){s, 1};
      if (!place->asked) i->asked++;
      place->asked = 1;
      place->asked_ns = now;
    }
    uint64_t due = next_look(i, place, again_ns);
    if (due < i->due_ns) i->due_ns = due;
  }
  return ranges;
}

void *channel_drain(struct channel_in *i) {
  while (i->next < i->known) {
    struct channel_place *place = place_of(i, i->next++);
    if (place->state == CHANNEL_FILLED) return place->frame;
    if (place->state == CHANNEL_MISSING) i->missing--;
  }
  return NULL;
}
