/* A channel's core across a network that loses, repeats, delays and reorders, by seed, in simulated time.
 *
 * argv: units, seed, and for the network loss (per 10,000), repeats (per 10,000), delay and jitter (us), then units that the
 * ring holds, wait (us), units sent in a millisecond, and how long nothing passes in the middle (ms). Both directions suffer.
 * Sequences begin shortly before their 32 bits wrap. Every unit that comes out has to be newer than the one before and hold
 * what was put in; says how many came out, were lost, asked for and so on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "channel.h"

#define WINDOW 4096u
#define US 1000ull
#define TICK_NS (10 * US)
#define REORDER_NS (500 * US)
#define BEAT_NS (1000 * US)
#define BODY_MAX 1514u
#define START 0xfffff000ull

struct datagram { uint64_t at_ns; struct datagram *link; bool asks; uint32_t sequence, oldest, next, count, first, bytes; uint8_t body[]; };

/* Those under way by the tick of their arrival. */
#define WHEEL 65536u
static struct datagram *wheel[WHEEL];
static uint64_t now, state, sent_units, out_units, bad, flying;
static uint64_t loss, repeats, delay_ns, jitter_ns, dark_from, dark_to;
static struct channel_out out;
static struct channel_in in;

static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void launch(struct datagram *d) {
  if (chance() % 10000 < loss || (now >= dark_from && now < dark_to)) return free(d);
  d->at_ns = now + delay_ns + (jitter_ns ? chance() % jitter_ns : 0) + TICK_NS;
  struct datagram **slot = &wheel[d->at_ns / TICK_NS % WHEEL];
  d->link = *slot;
  *slot = d;
  flying++;
}

static void fly(struct datagram *d) {
  if (chance() % 10000 < repeats) {
    struct datagram *twin = malloc(sizeof *d + d->bytes);
    memcpy(twin, d, sizeof *d + d->bytes);
    launch(twin);
  }
  launch(d);
}

static uint32_t length_of(uint64_t sequence) { return 14 + (uint32_t)((sequence * 2654435761u) % (BODY_MAX - 13)); }

static void fill(uint8_t *body, uint64_t sequence, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i++) body[i] = (uint8_t)(sequence >> i % 8 * 8);
}

static void send_unit(uint64_t sequence, const uint8_t *body, uint32_t bytes) {
  struct datagram *d = malloc(sizeof *d + bytes);
  *d = (struct datagram){.sequence = (uint32_t)sequence, .oldest = (uint32_t)out.oldest, .bytes = bytes};
  memcpy(d->body, body, bytes);
  fly(d);
}

static void send_new(void) {
  uint8_t body[BODY_MAX];
  uint64_t sequence = out.next;
  uint32_t bytes = length_of(sequence);
  fill(body, sequence, bytes);
  channel_put(&out, body, (uint16_t)bytes, CHANNEL_FIRST | CHANNEL_LAST);
  sent_units++;
  if (chance() % 64 == 0) { /* the kernel took none of it */
    channel_take_back(&out, sequence);
    channel_put(&out, body, (uint16_t)bytes, CHANNEL_FIRST | CHANNEL_LAST);
  }
  send_unit(sequence, body, bytes);
}

static void beat(void) {
  struct datagram *d = malloc(sizeof *d);
  *d = (struct datagram){.next = (uint32_t)out.next, .oldest = (uint32_t)out.oldest};
  fly(d);
}

static void pull(void) {
  uint8_t flags;
  bool broken;
  static uint64_t last;
  for (struct datagram *d; (d = channel_pull(&in, &flags, &broken)); free(d), out_units++) {
    uint8_t body[BODY_MAX];
    uint64_t sequence = channel_widen(START, d->sequence);
    fill(body, sequence, length_of(sequence));
    bad += sequence <= last || d->bytes != length_of(sequence) || memcmp(body, d->body, d->bytes) != 0;
    bad += last && !broken && sequence != last + 1;
    last = sequence;
  }
}

static void arrive(struct datagram *d) {
  flying--;
  if (d->asks) {
    uint64_t first = channel_widen(out.next, d->first);
    for (uint64_t s = first; s < first + d->count; s++) {
      const struct channel_unit *u = channel_again(&out, s, delay_ns, now);
      if (u) send_unit(s, channel_bytes(&out, u), u->bytes);
    }
    return free(d);
  }
  uint64_t near = in.known;
  if (d->bytes == 0) {
    channel_hear(&in, channel_widen(near, d->next), channel_widen(near, d->oldest), now);
    pull();
    return free(d);
  }
  enum channel_taken taken = CHANNEL_BEYOND;
  uint64_t oldest = channel_widen(near, d->oldest);
  for (int i = 0; i < 4 && taken == CHANNEL_BEYOND; i++) {
    struct channel_arrival a = {channel_widen(near, d->sequence), 0, d, CHANNEL_FIRST | CHANNEL_LAST};
    taken = channel_take(&in, &a, now);
    if (taken == CHANNEL_BEYOND) pull();
  }
  if (taken != CHANNEL_TAKEN) free(d);
  channel_hear(&in, in.known, oldest, now);
  pull();
}

static void ask(void) {
  struct channel_range range[64];
  uint32_t n = channel_ask(&in, 2 * (delay_ns + jitter_ns) + 500 * US, range, 64, now);
  for (uint32_t i = 0; i < n; i++) {
    struct datagram *d = malloc(sizeof *d);
    *d = (struct datagram){.asks = true, .first = (uint32_t)range[i].first, .count = range[i].count};
    fly(d);
  }
  pull();
}

static void turn(uint64_t more, uint64_t *beat_ns, bool sends) {
  for (uint64_t i = 0; sends && i < more; i++) send_new();
  if (sends && now >= *beat_ns) *beat_ns = now + BEAT_NS, beat();
  struct datagram *d = wheel[now / TICK_NS % WHEEL];
  wheel[now / TICK_NS % WHEEL] = NULL;
  for (struct datagram *link; d; d = link) link = d->link, arrive(d);
  ask();
  now += TICK_NS;
}

int main(int argc, char **argv) {
  if (argc != 11) return 2;
  uint64_t units = strtoull(argv[1], NULL, 10), ring = strtoull(argv[7], NULL, 10), rate = strtoull(argv[9], NULL, 10), beat_ns = 0;
  state = strtoull(argv[2], NULL, 10);
  loss = strtoull(argv[3], NULL, 10), repeats = strtoull(argv[4], NULL, 10);
  delay_ns = strtoull(argv[5], NULL, 10) * US, jitter_ns = strtoull(argv[6], NULL, 10) * US;
  dark_from = units / rate / 2 * 1000 * US, dark_to = dark_from + strtoull(argv[10], NULL, 10) * 1000 * US;
  uint32_t bytes = (uint32_t)ring * BODY_MAX;
  channel_out_open(&out, calloc(ring, sizeof(struct channel_unit)), (uint32_t)ring, malloc(bytes), bytes);
  channel_in_open(&in, calloc(WINDOW, sizeof(struct channel_place)), WINDOW);
  in.wait_ns = strtoull(argv[8], NULL, 10) * US;
  in.reorder_ns = REORDER_NS;
  out.next = out.oldest = in.next = in.known = START;
  while (sent_units < units) turn((now / TICK_NS + 1) * rate / 100 - now / TICK_NS * rate / 100, &beat_ns, true);
  for (uint64_t end = now + in.wait_ns + 50000 * US; now < end || flying;) turn(0, &beat_ns, now < end);
  for (void *d; (d = channel_drain(&in));) free(d);
  printf("sent %lu out %lu lost %lu bad %lu left %u\n", sent_units, out_units, in.lost, bad, in.missing);
  printf("asked %lu recovered %lu again %lu repeated %lu gone %lu shed %lu beyond %lu\n", in.asked, in.recovered, out.again,
         in.repeated, out.gone, out.shed, in.beyond);
  free(out.unit), free(out.memory), free(in.place);
  return 0;
}
