/* Fuzz target of BFD: an input is a byte that chooses a session, and a frame. Every frame lies in an allocation of exactly
 * its size. What its reader finds must lie in it; what is UDP goes through the codec, the session and the echoes, what
 * is a question is answered, and all of it under the sanitizers.
 *
 * With FUZZ_MAIN it is a program of its own: bfd_fuzz RUNS SEED makes frames, good ones first, and breaks them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bfd_frame.h"
#include "bfd_session.h"

#define NOW 1000000000ull
#define DISCR 0x2a2a2a2au

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "bfd_fuzz: broken: %s\n", what);
  abort();
}

static uint64_t taken, udp_frames;

static struct bfd_terms terms_of(uint8_t choice) {
  static const uint32_t AUTH[4] = {0, RM_BFD_AUTH_SHA1, RM_BFD_AUTH_SHA1_METICULOUS, 0};
  return (struct bfd_terms){.min_tx_us = 10000, .min_rx_us = 10000, .multiplier = 1 + choice % 5, .echo_us = 5000,
                            .passive = choice >> 7, .key = {AUTH[choice & 3], 7, 3, "key"}};
}

/* A packet twice, as it would come again, then whatever the session makes of it. */
static void feed(uint8_t choice, const uint8_t *payload, size_t n) {
  struct bfd_session s;
  struct bfd_terms terms = terms_of(choice);
  uint8_t to[BFD_BYTES_MAX];
  bfd_open(&s, &terms, (struct bfd_start){DISCR, choice}, NOW);
  for (uint64_t i = 0, now = NOW; i < 3; i++, now += 5000000) {
    taken += bfd_receive(&s, payload, n, now) == RM_BFD_TAKEN;
    bfd_take_echo(&s, payload, n, now);
    bfd_expire(&s, now, now);
    bfd_stalled(&s, 1000000);
    for (int sent = 0; bfd_send(&s, now, to) > 0; sent++) must(sent < 4, "sends without end");
    for (int sent = 0; bfd_send_echo(&s, now, to) > 0; sent++) must(sent < 4, "echoes without end");
    must(s.state <= RM_BFD_UP && bfd_light(&s, now) < RM_LIGHTS, "state");
    bfd_due_ns(&s);
  }
  bfd_expire(&s, UINT64_MAX / 4, UINT64_MAX / 4);
  must(s.state == RM_BFD_DOWN, "down after an age");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  size_t n = size - 1;
  uint8_t *frame = malloc(n ? n : 1), out[BFD_FRAME_MAX];
  if (!frame) return 0;
  memcpy(frame, data + 1, n);
  struct bfd_frame f;
  bfd_read_frame(frame, n, &f);
  if (f.kind == BFD_KIND_UDP) {
    udp_frames++;
    must(f.payload_at + f.payload_bytes <= n && f.ip_at < f.payload_at, "payload in the frame");
    feed(data[0], frame + f.payload_at, f.payload_bytes);
    bfd_turn_back(frame, &f, f.mac);
    uint8_t ttl = f.ttl;
    bfd_read_frame(frame, n, &f);
    must(f.kind == BFD_KIND_UDP && f.ttl == (uint8_t)(ttl - 1), "still whole on its way back");
  } else if (f.kind == BFD_KIND_ASK) {
    struct bfd_way way = {.vlan = f.vlan};
    memcpy(way.from, f.target, 16);
    memcpy(way.to, f.source, 16);
    size_t answer = bfd_frame_tell(out, &way);
    must(answer > 0 && answer <= BFD_FRAME_MAX, "length of an answer");
  }
  free(frame);
  return 0;
}

#ifdef FUZZ_MAIN
static uint64_t state;
static uint32_t draw(uint32_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)(state >> 33) % below;
}

/* A good frame of some kind. */
static size_t make(uint8_t *to) {
  static const uint8_t V4[16] = {[10] = 0xff, 0xff, 10, 1, 0, 1}, V6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
  struct bfd_way way = {.vlan = draw(2) * 100, .from_port = 50000, .to_port = 3784, .ttl = 255};
  const uint8_t *address = draw(2) ? V4 : V6;
  memcpy(way.from, address, 16);
  memcpy(way.to, address, 16);
  if (draw(4) == 0) return draw(2) ? bfd_frame_ask(to, &way) : bfd_frame_tell(to, &way);
  struct bfd_terms terms = terms_of((uint8_t)draw(4));
  struct bfd_packet p = {.state = (uint8_t)draw(4), .multiplier = 3, .my_discr = 1 + draw(9), .poll = draw(2),
                         .your_discr = draw(2) * DISCR, .desired_tx_us = 10000, .required_rx_us = 10000,
                         .required_echo_us = draw(2) * 1000, .sequence = draw(100), .demand = draw(4) == 0};
  uint8_t payload[BFD_BYTES_MAX];
  return bfd_frame_udp(to, &way, payload, bfd_write(payload, &p, &terms.key));
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  long runs = atol(argv[1]);
  state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull | 1;
  for (long i = 0; i < runs; i++) {
    uint8_t input[1 + BFD_FRAME_MAX];
    input[0] = (uint8_t)draw(256);
    size_t n = 1 + make(input + 1);
    for (uint32_t flips = draw(4); flips > 0; flips--) input[draw((uint32_t)n)] ^= (uint8_t)(1u << draw(8));
    if (draw(8) == 0) n = draw((uint32_t)n + 1);
    LLVMFuzzerTestOneInput(input, n);
  }
  printf("runs %ld udp %s taken %s\n", runs, udp_frames > 0 ? "some" : "none", taken > 0 ? "some" : "none");
  return 0;
}
#endif
