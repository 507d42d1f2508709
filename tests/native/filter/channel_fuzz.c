/* What a channel makes of datagrams: broken, cut, forged, recorded earlier. Under the address and undefined-behaviour
 * sanitizers. argv: runs, seed. Two ends with one key greet each other; then every broken datagram has to be refused, every
 * whole one taken once, in the open and encrypted, and no hello of an earlier session may open another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "channel_seal.h"
#include "channel_session.h"

static uint64_t state;
static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static void fresh(uint8_t to[CHANNEL_NONCE]) {
  for (uint32_t i = 0; i < CHANNEL_NONCE; i++) to[i] = (uint8_t)chance();
}
static void check(bool good, const char *what) {
  if (good) return;
  printf("failed: %s\n", what);
  exit(1);
}

struct end { struct channel_session session; struct channel_seal seal, unseal; };
static struct channel_secret secret = {.bytes = 20, .key = "a key of twenty chars"};

static enum channel_greeting greet(struct end *to, const uint8_t hello[CHANNEL_HELLO_BYTES], uint8_t answer[CHANNEL_HELLO_BYTES], uint64_t now) {
  uint8_t random[CHANNEL_NONCE], heard[CHANNEL_HELLO_BYTES];
  fresh(random);
  memcpy(heard, hello, sizeof heard);
  enum channel_greeting what = channel_session_hear(&to->session, heard, random, now);
  channel_session_say(&to->session, heard, answer);
  return what;
}

static void derive(struct end *e, bool listens, const struct channel_secret *with) {
  struct channel_pair pair = {.vni = 1};
  memcpy(pair.dials, listens ? e->session.peer : e->session.own, CHANNEL_NONCE);
  memcpy(pair.listens, listens ? e->session.own : e->session.peer, CHANNEL_NONCE);
  check(channel_seal_open(&e->seal, with, &pair, listens) && channel_seal_open(&e->unseal, with, &pair, !listens), "keys");
}

/* A session; the last hello of the dialing end is kept in `third`. */
static void meet(struct end *dials, struct end *listens, uint8_t third[CHANNEL_HELLO_BYTES], uint64_t now) {
  uint8_t hello[CHANNEL_HELLO_BYTES], answer[CHANNEL_HELLO_BYTES];
  channel_session_say(&dials->session, NULL, hello);
  check(greet(listens, hello, answer, now) == CHANNEL_ANSWER && !listens->session.open, "a first hello is answered, no more");
  check(greet(dials, answer, third, now) == CHANNEL_OPENED, "its answer opens");
  check(greet(listens, third, answer, now) == CHANNEL_OPENED, "and the answer to that");
  check(greet(listens, third, hello, now) == CHANNEL_IGNORE && greet(dials, answer, hello, now) == CHANNEL_IGNORE, "an open session listens to no hello");
  derive(dials, false, &secret), derive(listens, true, &secret);
}

static uint32_t make(struct end *from, uint8_t *d, const uint8_t *body, uint32_t bytes) {
  struct channel_head h = {.number = ++from->session.sent, .vni = 1, .sequence = (uint32_t)chance(), .kind = CHANNEL_FRAME,
                           .flags = CHANNEL_FIRST | CHANNEL_LAST};
  memcpy(d + CHANNEL_HEADER, body, bytes);
  uint32_t all = channel_write(d, bytes, &h);
  check(channel_seal(&from->seal, d, all, h.number), "sealed");
  return all;
}

/* As the port does it. */
static bool take(struct end *to, const uint8_t *d, uint32_t bytes, uint8_t *body) {
  struct channel_head h;
  int n = channel_read(d, bytes, &h);
  if (n < 0 || channel_session_replayed(&to->session, h.number) || !channel_unseal(&to->unseal, d, bytes, h.number, body)) return false;
  channel_session_mark(&to->session, h.number, 1);
  return true;
}

static void pass(struct end *a, struct end *b) {
  uint8_t body[1600], d[1700], broken[1700], got[1700];
  uint32_t bytes = (uint32_t)(chance() % sizeof body);
  for (uint32_t i = 0; i < bytes; i++) body[i] = (uint8_t)chance();
  uint32_t all = make(a, d, body, bytes);
  memcpy(broken, d, all);
  broken[chance() % all] ^= (uint8_t)(1 + chance() % 255);
  check(!take(b, broken, all, got), "a broken datagram is refused");
  check(!take(b, d, (uint32_t)(chance() % all), got), "a cut one too");
  check(!take(a, d, all, got), "and one that comes back");
  check(take(b, d, all, got) && memcmp(got, body, bytes) == 0, "a whole one is taken");
  check(!take(b, d, all, got), "once");
}

static void parse_noise(void) {
  uint8_t noise[600];
  struct channel_head h;
  struct channel_words w;
  struct channel_range range[CHANNEL_RANGES];
  uint32_t bytes = (uint32_t)(chance() % sizeof noise);
  uint8_t *exact = malloc(bytes ? bytes : 1); /* so that a byte beyond its end is found */
  for (uint32_t i = 0; i < bytes; i++) exact[i] = (uint8_t)chance();
  if (bytes > 60) exact[0] = 0x0c | (chance() & 1), exact[bytes - 24] = (uint8_t)(chance() % 6);
  channel_read(exact, bytes, &h);
  channel_read_state(exact, bytes, &w);
  channel_read_ask(exact, bytes, chance(), range);
  free(exact);
}

static void reorder(struct end *a, struct end *b) {
  static uint8_t d[200][100];
  uint8_t got[100];
  uint32_t all = 0;
  for (int i = 0; i < 200; i++) all = make(a, d[i], (const uint8_t *)"frame", 5);
  for (int i = 199; i >= 0; i--) check(take(b, d[i], all, got), "datagrams may overtake each other");
  for (int i = 0; i < 200; i++) check(!take(b, d[i], all, got), "none counts twice");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t runs = strtoull(argv[1], NULL, 10);
  state = strtoull(argv[2], NULL, 10);
  for (int encrypts = 0; encrypts < 2; encrypts++) {
    struct end a = {.seal.encrypts = encrypts, .unseal.encrypts = encrypts}, b = a;
    uint8_t random[CHANNEL_NONCE], third[CHANNEL_HELLO_BYTES], later[CHANNEL_HELLO_BYTES], answer[CHANNEL_HELLO_BYTES], old[100], got[100];
    fresh(random), channel_session_open(&a.session, random);
    fresh(random), channel_session_open(&b.session, random);
    meet(&a, &b, third, 1);
    uint32_t old_bytes = make(&a, old, (const uint8_t *)"frame", 5);
    for (uint64_t i = 0; i < runs / 2; i++) pass(&a, &b), parse_noise();
    reorder(&a, &b);
    check(!channel_session_silent(&b.session, 10, 10) && channel_session_silent(&b.session, 10, 11) && channel_session_silent(&a.session, 10, 11), "silence ends a session");
    check(greet(&b, third, answer, 12) == CHANNEL_ANSWER && !b.session.open, "a hello of before opens nothing");
    meet(&a, &b, later, 13);
    check(!take(&b, old, old_bytes, got), "a datagram of before is refused");
    channel_seal_close(&a.seal), channel_seal_close(&a.unseal), channel_seal_close(&b.seal), channel_seal_close(&b.unseal);
  }
  printf("runs %lu\n", runs);
  return 0;
}
