/* Two buckets for each name, told by a signature; a chain of at most one alias for each box hangs on a flow's place. */
#include <string.h>
#include "alias.h"
#include "hot.h"

#define LOOKS 8 /* a worker that learns is done in some hundred steps, unless it has to wait for memory or for its processor */

void aliases_open(struct aliases *t, const struct rm_flow *entries, const struct aliases_room *room, uint32_t places) {
  t->entries = entries;
  t->alias = room->alias;
  t->quick = room->quick;
  t->signature = room->words;
  t->first = room->words + places;
  t->mark = room->words + 2 * (size_t)places;
  t->sieve = room->sieve;
  t->places = places;
}

struct twin_tuple alias_own(const struct rm_flow *f) {
  uint32_t d = 1 - f->outer_dir;
  struct twin_tuple own = {.port = {f->port[d], f->port[1 - d]}};
  memcpy(own.addr[0], f->addr[d], 16);
  memcpy(own.addr[1], f->addr[1 - d], 16);
  return own;
}

/* Words that another worker may be reading (aliases_read). */
static void put(uint32_t *to, uint32_t v) { __atomic_store_n(to, v, __ATOMIC_RELEASE); }
static uint32_t get(const uint32_t *from) { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }

typedef uint32_t __attribute__((may_alias)) part;
_Static_assert(sizeof(struct alias) % sizeof(part) == 0, "an alias is read part by part");
#define PARTS (sizeof(struct alias) / sizeof(part))

static void put_alias(struct alias *to, const struct alias *from) {
  for (size_t i = 0; i < PARTS; i++) __atomic_store_n((part *)to + i, ((const part *)from)[i], __ATOMIC_RELEASE);
}

static void get_alias(const struct alias *from, struct alias *to) {
  for (size_t i = 0; i < PARTS; i++) ((part *)to)[i] = __atomic_load_n((const part *)from + i, __ATOMIC_ACQUIRE);
}

static void mark(struct aliases *t, const struct alias *a, bool has) {
  uint32_t *word = &t->mark[a->box * aliases_marks(t->places) + a->slot / 32], bit = 1u << a->slot % 32;
  *word = has ? *word | bit : *word & ~bit;
}

static uint32_t last_word(const uint8_t address[16]) {
  uint32_t word;
  memcpy(&word, address + 12, sizeof word);
  return word;
}

/* All aliases of a place are of one flow, so those of two boxes share its key. */
void aliases_hasten(struct aliases *t, const struct alias *a) {
  const struct rm_flow *f = &t->entries[a->slot];
  struct alias_quick *q = &t->quick[a->slot];
  uint32_t which = RM_ALIAS_QUICK(a->box);
  struct twin_tuple own = alias_own(f), is = translate_turned(&own), to = translate_turned(&a->made.ends);
  q->near = last_word(f->addr[0]), q->far = last_word(f->addr[1]);
  q->ports = (uint32_t)f->port[0] << 16 | f->port[1];
  q->rest = (uint32_t)f->vlan << 16 | (uint32_t)f->proto << 8 | (f->flags & RM_FLOW_IPV6 ? 1 : 0);
  q->word = a->word;
  q->dir[which] = f->outer_dir;
  q->box[which] = a->made.clock == 0 && translate_plan(&is, &to, &q->plan[which]) ? (uint8_t)(a->box + 1) : 0;
  q->plan[which].ack = 0u - a->made.shift;
}

static void slow_down(struct aliases *t, const struct alias *a) {
  uint8_t *box = &t->quick[a->slot].box[RM_ALIAS_QUICK(a->box)];
  if (*box == a->box + 1) *box = 0;
}

static void begin_change(struct aliases *t) { put(&t->edition, t->edition + 1); }
static void end_change(struct aliases *t) { put(&t->edition, t->edition + 1); }

static uint64_t mix(uint64_t h, uint64_t with) {
  h = (h ^ with) * 0x9e3779b97f4a7c15ull;
  return h ^ h >> 32;
}

#define MAPPED 0xffff0000u /* what stands before an address of IPv4, as a word is read from memory */

/* Whose name it is: box, protocol, VLAN. */
static uint64_t hash_of(const struct aliases *t, const struct twin_tuple *name, uint32_t whose) {
  uint64_t w[4], h = mix(t->secret, (uint64_t)whose << 32 | (uint32_t)name->port[0] << 16 | name->port[1]);
  memcpy(w, name->addr, sizeof w);
  /* Of IPv4 the last words alone, at once: each step has to wait for the one before it. */
  if (!(w[0] | w[2]) && (uint32_t)w[1] == MAPPED && (uint32_t)w[3] == MAPPED) h = mix(h, w[1] >> 32 | w[3] >> 32 << 32);
  else for (uint32_t i = 0; i < 4; i++) h = mix(h, w[i]);
  /* Once more, so that the last bits of the last address reach those that a bucket is chosen by. */
  return mix(h, 0);
}

static uint32_t whose(uint32_t box, uint8_t proto, uint16_t vlan) { return box << 24 | (uint32_t)vlan << 8 | proto; }

static uint32_t bucket(const struct aliases *t, uint64_t h, uint32_t which) {
  uint32_t mask = t->places / RM_ALIAS_WAYS - 1, first = (uint32_t)h & mask;
  uint32_t step = (uint32_t)(h >> 40) & mask;
  return (which ? first ^ (step ? step : 1) : first) * RM_ALIAS_WAYS;
}

/* As rm_look() hashes frames of every day; of others it is never asked. */
static uint32_t sieve_place(const struct aliases *t, const struct twin_tuple *name, uint16_t vlan, uint8_t proto) {
  int order = memcmp(name->addr[0], name->addr[1], sizeof name->addr[0]);
  uint32_t low = order > 0 || (order == 0 && name->port[0] > name->port[1]);
  uint64_t rest = key_rest(name->port[low], name->port[1 - low], vlan, proto, 0);
  return (uint32_t)hash_secret4(t->key, last_word(name->addr[low]), last_word(name->addr[1 - low]), rest) & (t->places - 1);
}

static void sieve_put(struct aliases *t, uint32_t at) { t->sieve[at] += t->sieve[at] < UINT8_MAX; }
static void sieve_take(struct aliases *t, uint32_t at) { t->sieve[at] -= t->sieve[at] < UINT8_MAX; }

static bool is_live(const struct aliases *t, const struct alias *a) {
  const struct rm_flow *f = &t->entries[a->slot];
  return (f->flags & RM_FLOW_USED) && twin_word(f) == a->word;
}

/* The place of a name, or RM_NO_FLOW. */
static uint32_t seek(const struct aliases *t, uint64_t h, const struct twin_tuple *name, uint32_t of) {
  uint32_t signature = signature_of(h);
  for (uint32_t which = 0; which < 2; which++) {
    uint32_t at = bucket(t, h, which);
    for (uint32_t i = at; i < at + RM_ALIAS_WAYS; i++) {
      const struct alias *a = &t->alias[i];
      if (t->signature[i] == signature && whose(a->box, a->proto, a->vlan) == of && twin_same(&a->made.ends, name)) return i;
    }
  }
  return RM_NO_FLOW;
}

static void take_out(struct aliases *t, uint32_t at) {
  struct alias *a = &t->alias[at];
  uint32_t *link = &t->first[a->slot];
  while (*link && *link != at + 1) link = &t->alias[*link - 1].next;
  if (*link) put(link, a->next);
  mark(t, a, false);
  slow_down(t, a);
  sieve_take(t, a->own);
  sieve_take(t, sieve_place(t, &a->made.ends, a->vlan, a->proto));
  t->signature[at] = 0;
  put(&t->count[a->box], t->count[a->box] - 1);
}

/* A free place, or that of a flow that is gone; RM_NO_FLOW: there is none. */
static uint32_t room(struct aliases *t, uint64_t h) {
  for (uint32_t which = 0; which < 2; which++) {
    uint32_t at = bucket(t, h, which);
    for (uint32_t i = at; i < at + RM_ALIAS_WAYS; i++)
      if (t->signature[i] == 0) return i;
  }
  for (uint32_t which = 0; which < 2; which++) {
    uint32_t at = bucket(t, h, which);
    for (uint32_t i = at; i < at + RM_ALIAS_WAYS; i++)
      if (!is_live(t, &t->alias[i])) return take_out(t, i), i;
  }
  return RM_NO_FLOW;
}

/* The place of the flow's alias for a box, or RM_NO_FLOW. */
static uint32_t place_for(const struct aliases *t, const struct rm_flow *f, uint32_t box) {
  uint32_t slot = (uint32_t)(f - t->entries), word = twin_word(f);
  for (uint32_t at = t->first[slot]; at; at = t->alias[at - 1].next)
    if (t->alias[at - 1].box == box && t->alias[at - 1].word == word) return at - 1;
  return RM_NO_FLOW;
}

/* What hangs on the place of a flow from the flow that was there before, and what this box, if it is one, had for it. */
static void clear(struct aliases *t, const struct rm_flow *f, uint32_t box) {
  uint32_t slot = (uint32_t)(f - t->entries), word = twin_word(f);
  for (uint32_t at = t->first[slot], next; at; at = next) {
    const struct alias *a = &t->alias[at - 1];
    next = a->next;
    if (a->word != word || a->box == box) take_out(t, at - 1);
  }
}

static bool same_guise(const struct alias_guise *a, const struct alias_guise *b) {
  return a->shift == b->shift && a->clock == b->clock && twin_same(&a->ends, &b->ends);
}

static enum alias_learnt put_in(struct aliases *t, const struct rm_flow *f, uint32_t box, const struct alias_guise *made) {
  uint32_t slot = (uint32_t)(f - t->entries), of = whose(box, f->proto, f->vlan);
  struct alias_guise own = {.ends = alias_own(f)};
  clear(t, f, box);
  if (same_guise(&own, made)) return ALIAS_NONE;
  uint64_t h = hash_of(t, &made->ends, of);
  /* The box means another flow by this name now. */
  uint32_t at = seek(t, h, &made->ends, of);
  if (at != RM_NO_FLOW) take_out(t, at);
  else at = room(t, h);
  if (at == RM_NO_FLOW) return ALIAS_FULL;
  struct alias fresh = {.made = *made, .slot = slot, .word = twin_word(f), .next = t->first[slot], .vlan = f->vlan,
                        .proto = f->proto, .box = (uint8_t)box, .own = sieve_place(t, &own.ends, f->vlan, f->proto)};
  sieve_put(t, fresh.own);
  sieve_put(t, sieve_place(t, &made->ends, f->vlan, f->proto));
  put_alias(&t->alias[at], &fresh);
  put(&t->first[slot], at + 1);
  mark(t, &fresh, true);
  aliases_hasten(t, &fresh);
  t->signature[at] = signature_of(h);
  put(&t->count[box], t->count[box] + 1);
  return ALIAS_NEW;
}

enum alias_learnt aliases_learn(struct aliases *t, const struct rm_flow *f, uint32_t box, const struct alias_guise *made) {
  uint32_t known = place_for(t, f, box);
  struct alias_guise own = {.ends = alias_own(f)};
  if (known != RM_NO_FLOW && same_guise(&t->alias[known].made, made)) return ALIAS_KNOWN;
  if (t->first[f - t->entries] == 0 && same_guise(&own, made)) return ALIAS_NONE;
  /* One change: nobody may see the flow without an alias between two. */
  begin_change(t);
  enum alias_learnt how = put_in(t, f, box, made);
  end_change(t);
  return how;
}

void aliases_tidy(struct aliases *t, const struct rm_flow *f) {
  uint32_t first = t->first[f - t->entries];
  if (!first || t->alias[first - 1].word == twin_word(f)) return;
  begin_change(t);
  clear(t, f, RM_BOXES);
  end_change(t);
}

const struct alias *aliases_of(const struct aliases *t, const struct rm_flow *f, uint32_t box) {
  uint32_t at = place_for(t, f, box);
  return at == RM_NO_FLOW ? NULL : &t->alias[at];
}

enum alias_there aliases_read(const struct aliases *t, uint32_t slot, uint32_t word, uint32_t box, struct alias_guise *made) {
  for (int look = 0; look < LOOKS; look++) {
    uint32_t edition = get(&t->edition), at = get(&t->first[slot]);
    struct alias a = {.next = 0};
    bool found = false;
    /* A chain that is changed meanwhile may lead in a circle. */
    for (uint32_t n = 0; at && !found && n < RM_BOXES; n++, at = a.next) {
      get_alias(&t->alias[at - 1], &a);
      found = a.slot == slot && a.word == word && a.box == box;
    }
    if ((edition & 1) || __atomic_load_n(&t->edition, __ATOMIC_RELAXED) != edition) continue;
    if (found) *made = a.made;
    return found ? ALIAS_THERE : ALIAS_ABSENT;
  }
  return ALIAS_MOVES;
}

const struct alias *aliases_at(const struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *ends) {
  uint32_t of = whose(box, p->proto, p->vlan), at = seek(t, hash_of(t, ends, of), ends, of);
  return at == RM_NO_FLOW || !is_live(t, &t->alias[at]) ? NULL : &t->alias[at];
}

uint64_t aliases_name(const struct aliases *t, uint32_t box, const struct rm_look *l, uint32_t i) {
  bool turn = l->facts[i] >> (RM_LOOK_KIND_SHIFT + 1) & 1;
  uint32_t of = whose(box, (uint8_t)(l->rest[i] >> 8), (uint16_t)(l->rest[i] >> 16)), ports = l->ports[i];
  uint64_t from = turn ? l->far[i] : l->near[i], to = turn ? l->near[i] : l->far[i];
  uint64_t h = mix(t->secret, (uint64_t)of << 32 | (turn ? ports >> 16 | ports << 16 : ports));
  h = mix(mix(h, from | to << 32), 0); /* as hash_of() does */
  for (uint32_t which = 0; which < 2; which++) __builtin_prefetch(&t->signature[bucket(t, h, which)]);
  return h;
}

uint32_t aliases_place(const struct aliases *t, uint64_t h) {
  uint32_t signature = signature_of(h);
  for (uint32_t which = 0; which < 2; which++) {
    uint32_t at = bucket(t, h, which), hits = 0;
    for (uint32_t i = 0; i < RM_ALIAS_WAYS; i++) hits |= (uint32_t)(t->signature[at + i] == signature) << i;
    if (!hits) continue;
    at += (uint32_t)__builtin_ctz(hits);
    __builtin_prefetch(&t->alias[at]);
    return at;
  }
  return RM_NO_FLOW;
}

/* Is the frame's name that of the alias? */
static bool is_named(const struct alias *a, const struct alias_sight *s) {
  const struct rm_look *l = s->look;
  uint32_t i = s->i, turn = l->facts[i] >> (RM_LOOK_KIND_SHIFT + 1) & 1, ports = l->ports[i];
  uint32_t from = turn ? l->far[i] : l->near[i], to = turn ? l->near[i] : l->far[i];
  const struct twin_tuple *ends = &a->made.ends;
  uint32_t differs = (a->box ^ s->box) | (((uint32_t)a->vlan << 16 | (uint32_t)a->proto << 8) ^ l->rest[i]);
  differs |= (from ^ last_word(ends->addr[0])) | (to ^ last_word(ends->addr[1]));
  return !(differs | (((uint32_t)ends->port[0] << 16 | ends->port[1]) ^ (turn ? ports >> 16 | ports << 16 : ports)));
}

bool aliases_plan(const struct aliases *t, const struct alias_sight *s, struct translate_plan *plan, uint32_t *seq) {
  const struct alias *a = &t->alias[s->place];
  uint32_t plain = RM_LOOK_EVERYDAY | RM_LOOK_CALM;
  if ((s->look->facts[s->i] & plain) != plain || !t->signature[s->place] || a->made.clock || !is_named(a, s) || !is_live(t, a)) return false;
  struct twin_tuple own = alias_own(&t->entries[a->slot]);
  if (last_word(own.addr[1]) != last_word(a->made.ends.addr[1]) || !translate_plan(&a->made.ends, &own, plan)) return false;
  *seq = a->made.shift;
  return true;
}

void aliases_walk(struct aliases *t, uint32_t n) {
  for (; n > 0; n--) {
    uint32_t at = t->walked++ & (t->places - 1);
    if (!t->signature[at] || is_live(t, &t->alias[at])) continue;
    begin_change(t);
    take_out(t, at);
    end_change(t);
  }
}

/* The first fragment's protocol is not in the later ones' headers, in IPv6. */
static uint32_t whose_fragment(uint32_t box, const struct rm_packet *p) { return whose(box, p->ipv6 ? 0 : p->proto, p->vlan); }

static struct alias_fragment *fragment_at(const struct aliases *t, const struct rm_packet *p, const struct twin_tuple *ends) {
  uint64_t h = hash_of(t, &(struct twin_tuple){.port = {0, 0}}, p->fragment_id);
  for (uint32_t end = 0; end < 2; end++) {
    uint64_t low;
    memcpy(&low, ends->addr[end] + 8, 8);
    h = mix(h, low);
  }
  return (struct alias_fragment *)&t->fragment[(h >> 32) % RM_ALIAS_FRAGMENTS];
}

void aliases_keep_fragment(struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *to, uint64_t now) {
  struct twin_tuple ends = twin_tuple(p);
  struct alias_fragment *f = fragment_at(t, p, &ends);
  *f = (struct alias_fragment){.ns = now, .id = p->fragment_id, .whose = whose_fragment(box, p)};
  memcpy(f->before, ends.addr, sizeof f->before);
  memcpy(f->after, to->addr, sizeof f->after);
}

bool aliases_find_fragment(const struct aliases *t, uint32_t box, const struct rm_packet *p, uint64_t now, struct twin_tuple *to) {
  *to = twin_tuple(p);
  const struct alias_fragment *f = fragment_at(t, p, to);
  bool young = now <= f->ns || now - f->ns < RM_FRAGMENT_NS;
  bool is = f->ns && young && f->id == p->fragment_id && f->whose == whose_fragment(box, p) &&
            memcmp(f->before, to->addr, sizeof f->before) == 0;
  if (is) memcpy(to->addr, f->after, sizeof f->after);
  return is;
}
