/* Probes and grey failure under sanitizers: frames of every length in memory of just that length, and tracks, marks and meters
 * driven at random. Prints what was done; a finding ends the program.
 *
 *   probe ROUNDS SEED
 */
#include <stdio.h>
#include <stdlib.h>
#include "grey_core.h"
#include "probe_core.h"

static uint64_t state;
static uint32_t chance(uint32_t below) {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(state >> 33) % below;
}

static const uint8_t SYN_ACK[54] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 0, 1,
                                    10, 2, 0, 1, 0, 80, 1, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 1, 1, 0, 0, 0, 0};

/* A frame with some right bytes in it, so that more than the first comparison is tried. */
static uint8_t *frame_of(uint32_t bytes) {
  uint8_t *frame = malloc(bytes ? bytes : 1);
  for (uint32_t i = 0; i < bytes; i++) frame[i] = i < sizeof SYN_ACK && chance(40) ? SYN_ACK[i] : (uint8_t)chance(256);
  if (bytes > 13 && chance(3) == 0) frame[12] = 0x86, frame[13] = 0xdd;
  if (bytes > 16 && chance(4) == 0) frame[12] = 0x81, frame[13] = 0;
  return frame;
}

static uint64_t frames(const struct rm_probe_frame *raw, uint32_t rounds) {
  const struct probe_key key = {1, 2};
  uint64_t known = 0;
  for (uint32_t i = 0; i < rounds; i++) {
    uint32_t bytes = chance(120);
    uint8_t *frame = frame_of(bytes);
    known += probe_recognise(&key, frame, bytes).is != PROBE_IS_OTHER;
    known += probe_is_raw(&raw[i % 2], frame, bytes);
    known += probe_reset_of(frame, bytes);
    free(frame);
  }
  return known;
}

static uint64_t tracks(uint32_t rounds) {
  static struct probes s;
  static struct rm_probe_view view[RM_TRACKS];
  static struct rm_probe probe[RM_PROBES];
  uint64_t now = RM_S, reds = 0;
  s.view = view;
  for (uint32_t i = 0; i < rounds; i++) {
    if (chance(5000) == 0) {
      for (uint32_t p = 0; p < RM_PROBES; p++)
        probe[p] = (struct rm_probe){.kind = chance(RM_PROBE_KINDS), .expect = chance(RM_PROBE_EXPECTS), .failure = RM_LIGHT_RED,
                                     .ways = 1 + chance(3), .boxes = 1 + chance(3), .fall = 1 + chance(5), .rise = 1 + chance(5),
                                     .interval_ns = 1 + chance(5000000), .timeout_ns = 1 + chance(100000000)};
      probes_set(&s, probe, chance(RM_PROBES + 1), now);
    }
    struct probe_id id;
    now += chance(2000000);
    while (probes_due(&s, now, &id)) {
      if (chance(10) == 0) probes_unsent(&s, id, RM_PROBE_NO_MAC);
      else if (chance(50) == 0) probes_unsent(&s, id, RM_PROBE_WELL), probes_forget(&s, id.track);
      else if (chance(2)) probes_seen(&s, id, now + chance(1000));
    }
    probes_seen(&s, (struct probe_id){chance(RM_TRACKS), chance(1000)}, now);
    probes_seen_raw(&s, chance(RM_TRACKS), now);
    if (chance(20) == 0) probes_excuse(&s, chance(50000000));
    probes_judge(&s, (uint64_t[RM_SIDES]){now - chance(1000), now});
    reds += probes_box(&s, chance(RM_BOXES)).light == RM_LIGHT_RED;
    if (probes_wake_ns(&s) == 0) abort();
  }
  return reds;
}

static uint64_t greys(uint32_t rounds) {
  static struct grey_way way;
  static struct grey_common common;
  static struct grey_judge judge;
  static struct rm_grey_view view[RM_SIDES];
  struct rm_grey c = {1, 1, 10000, 50000, 500000, 500000, 100000, 5, 1000000, 100000000, 1000000000};
  uint64_t now = RM_S, lights = 0;
  judge.serving = -1;
  for (uint32_t i = 0; i < rounds; i++) {
    uint64_t name = (uint64_t)chance(1u << 30) << 34 | (uint64_t)chance(1u << 30) << 8 | chance(256);
    now += chance(300000);
    grey_in(&way, common.mark[0], &(struct grey_packet){name, chance(50), chance(10) == 0}, now);
    if (chance(3)) grey_out(common.mark[0], name, now + chance(100000));
    common.counts[0].repeats[0] += grey_repeats(&way, chance(2) ? name : 7ull << 40, now);
    common.counts[0].segments[0]++;
    if (chance(1000) == 0) grey_forget(&way, common.mark[0]);
    if (i % 300) continue;
    grey_settle(&way, common.mark[0], &common.counts[0], 0, now - c.wait_ns);
    struct grey_counts fresh = common.counts[0];
    memset(&common.counts[0], 0, sizeof common.counts[0]);
    grey_judge(&judge, &c, &fresh, chance(100) == 0 ? (int)chance(3) - 1 : i ? judge.serving : 0, now);
    grey_show(&judge, view);
    lights += grey_said(&judge, &c, chance(RM_BOXES), now).light;
  }
  return lights;
}

int main(int n, char **argument) {
  if (n != 3) return 2;
  uint32_t rounds = (uint32_t)atoi(argument[1]);
  static struct rm_probe_frame raw[2];
  state = (uint64_t)atoi(argument[2]);
  memcpy(raw[0].frame, SYN_ACK, sizeof SYN_ACK);
  raw[0].mark_at = 34, raw[0].mark_bytes = 8;
  raw[1].mark_at = 14, raw[1].mark_bytes = 30;
  for (uint64_t place = 0; place < RM_DELAYS; place++)
    if (rm_delay_place(rm_delay_of((uint32_t)place)) != place) return printf("place %lu is not its own\n", place), 1;
  printf("frames %lu\n", frames(raw, rounds));
  printf("reds %lu\n", tracks(rounds));
  printf("lights %lu\n", greys(rounds));
  return 0;
}
