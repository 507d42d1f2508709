/* The policy of a bypass relay against a NIC that is made up: prints what the NIC was told, a word a line. */
#include <stdio.h>
#include "bypass.h"

static enum rm_bypass state = RM_BYPASS_ON;
static bool there, obeys;

static bool fake_open(void *nic) { return (void)nic, there; }
static bool fake_set(void *nic, enum rm_bypass to) {
  (void)nic;
  printf("set %s\n", to == RM_BYPASS_ON ? "on" : "normal");
  if (obeys) state = to;
  return obeys;
}
static enum rm_bypass fake_get(void *nic) { return (void)nic, state; }
static bool fake_watch(void *nic, bool on) { return (void)nic, printf("watch %d\n", on), true; }
static void fake_feed(void *nic) { (void)nic, printf("feed\n"); }
static const struct bypass_driver FAKE = {"fake", fake_open, fake_set, fake_get, fake_watch, fake_feed};
static const struct bypass_driver *const DRIVERS[] = {&FAKE};

static void tick(struct bypass *b, bool wanted, uint64_t ms) {
  printf("= %d\n", bypass_tick(b, wanted, ms * 1000000ull));
}

int main(void) {
  struct bypass b;
  bypass_open(&b, DRIVERS, 1, NULL);
  tick(&b, true, 1000);
  bypass_close(&b);
  there = true;
  printf("refuses\n");
  bypass_open(&b, DRIVERS, 1, NULL);
  tick(&b, false, 1000);
  tick(&b, true, 1300);
  printf("obeys\n");
  obeys = true;
  tick(&b, true, 1600);
  tick(&b, true, 1610);
  tick(&b, true, 1900);
  tick(&b, false, 2200);
  bypass_close(&b);
  printf("ends\n");
  tick(&b, true, 2500);
  bypass_close(&b);
  return 0;
}
