/* The exported eBPF program in user space, with the kernel's part played here: its maps, its clock and its packets.
 *
 * In: for each frame its time (ns, u64), length and whether it came out of the box (u32 each), then its bytes, in the
 * machine's order. Out: a letter for each, 'a' plus why it was copied. EXPORTED is the program's file.
 */
#include EXPORTED
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (1u << 18)
#define FRAME_MAX 65536u

struct table {
  const void *map;
  u32 key_bytes, value_bytes;
  u8 *used, *keys, *values;
};

static struct table tables[] = {
    {&FLOWS, sizeof(struct key), sizeof(struct flow), 0, 0, 0},
    {&fragments, sizeof(struct fragment_key), sizeof(struct fragment_fate), 0, 0, 0},
    {&heads, sizeof(u32), sizeof(struct head), 0, 0, 0},
    {&copies, sizeof(u32), sizeof(struct tally), 0, 0, 0},
};
static u64 now_ns, clones;
static u8 frame[FRAME_MAX];

static void *checked(void *memory) {
  if (!memory) abort();
  return memory;
}

static struct table *table_of(const void *map) {
  for (u32 i = 0; i < sizeof tables / sizeof *tables; i++)
    if (tables[i].map == map) return &tables[i];
  abort();
}

/* The place of a key, or the free one where it would be. */
static u32 place_of(const struct table *t, const void *key) {
  u32 hash = 0x811c9dc5u;
  for (u32 i = 0; i < t->key_bytes; i++) hash = (hash ^ ((const u8 *)key)[i]) * 0x01000193u;
  for (u32 tries = 0; tries < PLACES; tries++) {
    u32 at = (hash + tries) & (PLACES - 1);
    if (!t->used[at] || memcmp(t->keys + (size_t)at * t->key_bytes, key, t->key_bytes) == 0) return at;
  }
  abort();
}

void *bpf_map_lookup_elem(void *map, const void *key) {
  struct table *t = table_of(map);
  u32 at = place_of(t, key);
  return t->used[at] ? t->values + (size_t)at * t->value_bytes : 0;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags) {
  (void)flags;
  struct table *t = table_of(map);
  u32 at = place_of(t, key);
  t->used[at] = 1;
  memcpy(t->keys + (size_t)at * t->key_bytes, key, t->key_bytes);
  memcpy(t->values + (size_t)at * t->value_bytes, value, t->value_bytes);
  return 0;
}

long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 bytes) {
  if ((u64)at + bytes > skb->len) return -1;
  memcpy(to, frame + at, bytes);
  return 0;
}

long bpf_clone_redirect(struct __sk_buff *skb, __u32 ifindex, __u64 flags) {
  (void)skb, (void)flags;
  clones += ifindex == STANDBY_IFINDEX;
  return 0;
}

__u64 bpf_ktime_get_ns(void) { return now_ns; }

static void open_tables(void) {
  for (u32 i = 0; i < sizeof tables / sizeof *tables; i++) {
    struct table *t = &tables[i];
    t->used = checked(calloc(PLACES, 1));
    t->keys = checked(calloc(PLACES, t->key_bytes));
    t->values = checked(calloc(PLACES, t->value_bytes));
  }
  static const struct head none;
  static const struct tally zero;
  u32 first = 0;
  bpf_map_update_elem(&heads, &first, &none, 0);
  for (u32 why = 0; why < WHYS; why++) bpf_map_update_elem(&copies, &why, &zero, 0);
}

/* As the kernel shows it: the outer tag beside the frame. */
static struct __sk_buff skb_of(u32 bytes) {
  struct __sk_buff skb = {.len = bytes, .ifindex = 1};
  u32 type = bytes >= 18 ? (u32)frame[12] << 8 | frame[13] : 0;
  if (type != 0x8100 && type != 0x88a8) return skb;
  skb.vlan_present = 1;
  skb.vlan_proto = bpf_ntohs((u16)type);
  skb.vlan_tci = (u32)frame[14] << 8 | frame[15];
  memmove(frame + 12, frame + 16, bytes - 16);
  skb.len -= 4;
  return skb;
}

/* Why the hook that this frame passes copied it, by its own count. */
static u32 why_of(struct __sk_buff *skb, u32 observed) {
  u64 before[WHYS], cloned = clones;
  for (u32 why = 0; why < WHYS; why++) before[why] = ((struct tally *)bpf_map_lookup_elem(&copies, &why))->packets;
  int verdict = observed ? remediate_egress(skb) : remediate_ingress(skb);
  if (verdict != TC_ACT_UNSPEC || clones - cloned > 1) abort();
  for (u32 why = 0; why < WHYS; why++)
    if (((struct tally *)bpf_map_lookup_elem(&copies, &why))->packets != before[why]) {
      if (clones == cloned) abort();
      return why;
    }
  return WHY_NONE;
}

int main(void) {
  open_tables();
  struct {
    u64 ns;
    u32 bytes, observed;
  } next;
  while (fread(&next, sizeof next, 1, stdin) == 1) {
    if (next.bytes > FRAME_MAX || fread(frame, 1, next.bytes, stdin) != next.bytes) return 1;
    now_ns = next.ns;
    struct __sk_buff skb = skb_of(next.bytes);
    putchar('a' + (int)why_of(&skb, next.observed));
  }
  return ferror(stdin) || fflush(stdout);
}
