/* Inside the plane: what its files share. A `struct plane` is one worker's: its thread owns everything in it.
 *
 * With one core there is one worker, which has both sides. With more each has a side, or a queue of each of its
 * ports; what they share is in crew.h. A turn: receive from each port, decide, queue on the way out, flush, then the reflexes look at the
 * clock. Nothing waits; a frame that a port does not take is dropped and counted where it happened.
 */
#ifndef RM_PLANE_H
#define RM_PLANE_H
#include <rte_mbuf.h>
#include <pthread.h>
#include <string.h>
#include "bfd.h"
#include "bypass.h"
#include "capture.h"
#include "carrier.h"
#include "crew.h"
#include "filter.h"
#include "grey.h"
#include "pace.h"
#include "port_memif.h"
#include "reflex.h"
#include "match.h"
#include "seed.h"
#include "value_rank.h"

#define RM_BURST 64
#define RM_QUEUE 256       /* frames queued per port within a turn: every port may aim at one */
#define RM_PENDING 16384   /* SYNs waiting to be seen on the other side, in sets of RM_PENDING_WAYS */
#define RM_PENDING_WAYS 8  /* connections are opened in bursts: two must not push each other out */
#define RM_HELD 1024       /* frames that wait for a seed; the oldest waits no longer if there are more */
#define RM_PAUSED 2048     /* frames of a side that wait for a planned switch; the way they went goes on if there are more */
#define RM_NEIGHBOURS 4096 /* per side */
#define RM_ADDRESSES 64    /* of the boxes, per side: so many words at once after a switch */
#define RM_MS 1000000ull

struct port;
struct plane;
struct replay;
struct matching;
struct aliases;
struct infers;
struct steering;

/* A way to move frames. receive: fills up to n; send: returns how many were taken, from the front. */
struct port_driver {
  const char *name;
  int (*open)(struct plane *p, struct port *port, const char *argument); /* each worker, the first one first */
  int (*start)(struct plane *p, struct port *port); /* when all have opened it; null: nothing is left to do */
  uint16_t (*receive)(struct port *port, struct rte_mbuf **frames, uint16_t n);
  uint16_t (*send)(struct port *port, struct rte_mbuf **frames, uint16_t n);
  void (*refresh)(struct port *port, uint64_t now); /* link and missed counters, a few times a second or more */
  void (*link)(struct port *port, uint64_t now); /* its link alone, each millisecond or less often; null: it is told */
  void (*close)(struct port *port);
  void (*set_link)(struct port *port, bool up); /* may wait, in a thread of its own; null: cannot */
};

struct port {
  const struct port_driver *driver;
  struct rm_port *view;
  struct plane *plane;
  uint32_t role;
  bool receives;     /* this worker receives from it; the others only send */
  uint32_t sender;   /* the worker that sends for this one; itself but where a device has too few queues */
  struct port *first; /* the first worker's, when this is another's */
  int fd;            /* readable when frames wait; -1: only polling tells */
  int interface;     /* index of the kernel interface whose carrier counts; 0: none */
  uint16_t dpdk;     /* DPDK port id */
  struct memif memif;
  uint64_t link_due_ns; /* its link is not asked for before */
  uint16_t rx_queue, tx_queue, tx_queues; /* of it: this worker's own, and how many there are to send by */
  uint16_t queued;
  uint64_t queued_bytes;
  uint64_t asked_ns;   /* when the kernel was last asked why it takes no frame */
  struct carrier carrier;
  uint64_t released_ns; /* when the node let up a link that it had taken down; 0: not lately */
  uint32_t errand;      /* a thread is about to set its link */
  uint64_t wake_ns;     /* it has something to do by then, though nothing comes; 0: not */
  struct rte_mbuf *queue[RM_QUEUE];
  uint8_t *scratch;  /* driver's own */
};

struct pending { uint32_t seq, slot; uint64_t ns; uint16_t window; uint8_t scale; uint8_t used; };
struct held { struct rte_mbuf *frame; uint64_t ns; uint32_t side, claim; };
struct pause { uint32_t first, count, over; struct rte_mbuf *frame[RM_PAUSED]; }; /* over: order for which there is no room */
/* An IP address that a box has said to have, and on which MAC address each of them has it. */
struct address { uint64_t asked_ns; uint8_t ip[16], mac[RM_BOXES][6], known; };
struct addresses { uint32_t count; struct address of[RM_ADDRESSES]; };
struct neighbour { uint8_t ip[16]; uint8_t mac[6]; uint8_t used; };

/* The flight recorder's end in the plane: a ring of its own, so that no capture crowds it out. */
struct recorder {
  struct capture capture;
  struct rm_witness witness; /* the last decision; now == 0: there is none that was not noted */
  struct rm_budget budget;   /* of records: what forms state before what does not */
  uint32_t rate;             /* for all workers */
  uint32_t tries[2];         /* witnesses that may still be made in vain until the next tick: of ends, of the rest */
  bool on;
};

/* value.c: a round over the flows of a worker's part of the client side. */
struct valuing {
  uint32_t at, boxes;                 /* the next place; the boxes that are counted for */
  uint32_t count[RM_VALUES];          /* of this round */
  uint32_t held[RM_BOXES], missing[RM_BOXES];
  uint32_t surplus[RM_BOXES];         /* that may still be taken away in this round */
  uint8_t bar[RM_BOXES];              /* rank above which all fit, by the round before */
  bool sure;                          /* there was such a round */
  uint8_t *tried;                     /* by slot: second in which it was seeded or taken away, 1 to 255; 0: not */
  uint64_t began_ns;
};

struct plane {
  struct rm_board *board;
  struct rm_live *live;     /* what this worker counts; the board's own if it is alone */
  struct crew *crew;
  uint32_t index, queue;    /* of this worker; worker 0 owns the reflexes and the board */
  uint32_t roles;           /* ports there are: the first so many of enum rm_role */
  uint32_t members;         /* bit of each box that may get copies */
  bool has[RM_SIDES];       /* the sides it receives on */
  pthread_t thread;
  uint64_t turn;            /* begins and ends of turns: odd within one */
  struct tally tally, taken[RM_WORKERS];
  struct rm_flow *entries[RM_SIDES]; /* of all workers: slots count from here */
  struct rm_flows table[RM_SIDES]; /* of the sides it has: its own part of these entries */
  struct rm_rules rules;
  struct rm_budget budget;  /* its part of those below */
  uint64_t budget_bytes, budget_packets;
  struct reflex reflex;     /* workers but the first: only the path, as published */
  struct bfd bfd;
  struct capture capture;
  struct recorder recorder;
  uint32_t woken[RM_SIDES]; /* number of the switch since when no flow of the table was quiet */
  struct port port[RM_ROLES];
  struct rte_mempool *pool;
  int netlink;
  struct bypass bypass;     /* of the NIC that has upstream */
  bool real_time;           /* scheduled before everything else */
  uint64_t priority_ns, priority_cpu_ns, yield_ns;
  uint64_t now, last_packet_ns, last_refresh_ns, last_tick_ns, judged_ns;
  struct pace pace;
  RM_ALIGNED struct pending pending[RM_SIDES][RM_PENDING];
  RM_ALIGNED struct pending named[RM_PENDING]; /* by their ends, those that workers of the other side told of */
  struct seeding *seeding;
  struct valuing valuing;   /* likewise */
  struct walking walking;   /* of a worker that has the client side */
  struct held held[RM_HELD]; /* in the order in which they came */
  struct replay *replay[RM_SIDES]; /* of the sides it has */
  uint32_t replayed[RM_SIDES]; /* number of the last switch of which nothing is left to replay */
  bool keeps;               /* the hold ring is on */
  bool steers;              /* there are rules for single flows, or moves of them */
  struct steering *steering; /* null: several workers cannot */
  uint32_t held_count;
  struct pause pause[RM_SIDES];
  struct neighbour neighbour[RM_SIDES][RM_NEIGHBOURS];
  uint32_t neighbour_turn;
  struct addresses addresses[RM_SIDES];
  uint32_t announced_switch, announcements; /* number of the switch, and how often the network was told of it */
  struct matching *matching[RM_SIDES]; /* of the sides it has */
  struct aliases *aliases[RM_SIDES];   /* likewise; null: nothing is translated */
  struct infers *infers[RM_SIDES];     /* likewise */
  struct probing probe;
  struct greying grey;
};

static inline uint32_t role_outer(uint32_t side) { return side == RM_SIDE_UP ? RM_UPSTREAM : RM_DOWNSTREAM; }
static inline uint32_t role_box(uint32_t box, uint32_t side) { return RM_PRIMARY_IN + 2 * box + side; }
static inline void count(struct plane *p, enum rm_counter c, uint64_t packets, uint64_t bytes) {
  p->live->counter[c].packets += packets;
  p->live->counter[c].bytes += bytes;
}
static inline uint32_t slot_of(const struct plane *p, uint32_t side, const struct rm_flow *flow) {
  return (uint32_t)(flow - p->entries[side]);
}
static inline int serving(const struct plane *p) { return reflex_serving(&p->reflex); }

/* Keep what of a frame is wanted for people to look at; `v` is of copies alone. */
static inline void capture_frame(struct plane *p, enum rm_tap tap, uint32_t role, const struct rte_mbuf *m,
                                 struct rm_verdict v) {
  if (__builtin_expect(!capture_wants(&p->capture, tap, role), 1)) return;
  struct rm_captured seen = {.mono_ns = p->now, .wire_bytes = m->pkt_len, .role = (uint8_t)role, .tap = (uint8_t)tap,
                             .why = v.why, .rule = v.rule};
  capture_write(&p->capture, &seen, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
}
static inline void capture_frames(struct plane *p, enum rm_tap tap, uint32_t role, struct rte_mbuf *const *frames,
                                  uint16_t n) {
  if (__builtin_expect(!capture_wants(&p->capture, tap, role), 1)) return;
  for (uint16_t i = 0; i < n; i++)
    capture_frame(p, tap, role, frames[i], (struct rm_verdict){RM_WHY_NONE, 0xff, RM_WHY_NONE});
}
/* What the reflexes are to know: at once from worker 0, in its next report from another. */
static inline void note_put(struct plane *p, uint32_t side, const struct put *put) {
  if (__builtin_expect(p->index == 0, 1)) return reflex_put(&p->reflex, side, put);
  if (serving(p) < 0) return;
  struct tally *t = &p->tally;
  if (!t->untold || put->flow != put->other) t->slot[0] = put->flow, t->slot[1] = put->other;
  else if (t->slot[0] != put->flow) t->slot[1] = t->slot[0], t->slot[0] = put->flow;
  t->put += put->frames;
  t->untold = t->news = true;
}
static inline void note_out(struct plane *p, uint32_t side, uint32_t frames) {
  if (__builtin_expect(p->index != 0, 0)) p->tally.out += frames;
  else for (; frames; frames--) reflex_out(&p->reflex, side);
}
static inline void note_drained(struct plane *p, uint32_t frames) {
  if (frames == 0) return;
  if (__builtin_expect(p->index == 0, 1)) return reflex_drained(&p->reflex);
  p->tally.drained += frames;
  p->tally.news = true;
}
static inline void note_shadow(struct plane *p, uint32_t box, uint32_t side) {
  if (__builtin_expect(p->index == 0, 1)) return reflex_shadow(&p->reflex, box, side);
  p->tally.shadow[box]++;
}
/* recorder.c: the flight recorder. Take over whether it is on, once a turn; and how much it may take, now and then. */
void recorder_switch(struct plane *p);
static inline void recorder_turn(struct plane *p) {
  struct recorder *r = &p->recorder;
  capture_turn(&r->capture);
  if (__builtin_expect((r->capture.wanted != 0) != r->on, 0)) recorder_switch(p);
}
void recorder_tick(struct plane *p);
/* A frame that came by `role` was decided for, and stands in the witness. */
void recorder_note(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_packet *packet);
/* ... was no flow's: its verdict. */
void recorder_neighbour(struct plane *p, const struct rm_flows *t, struct rm_verdict v);
/* An opening came out of a standby. */
void recorder_shadow(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_packet *packet);

static inline void hear(struct plane *p) {
  if (__builtin_expect(p->crew->workers > 1, 0)) crew_hear(p);
}

/* memory.c: the buffers of all workers; the tables of one. */
int memory_pool(struct plane *first);
int memory_tables(struct plane *p);
/* plane.c: everything before the first turn, and one turn. False: no frame came. */
int plane_start(struct plane *p);
int plane_eal(struct plane *p); /* DPDK itself */
/* Until a frame, a link change, another worker's word or the next look at the clock. */
void plane_sleep(struct plane *p);
bool plane_turn(struct plane *p);
/* priority.c: look now and then how much of its core a worker uses, `cpu_ns` so far. */
void plane_priority(struct plane *p, uint64_t cpu_ns);
/* Let others of its rank run, now and then. */
void plane_yield(struct plane *p);

/* ports.c */
uint32_t ports_count(const struct rm_setup *setup);
/* Of all workers; roles from `from` to before `to`. */
int ports_open(struct plane *first, uint32_t from, uint32_t to);
void ports_close(struct plane *first, uint32_t from, uint32_t to);
void ports_refresh(struct plane *p);
void ports_links(struct plane *p);
void port_flush(struct plane *p, struct port *port);
/* Queue a frame; the port owns it from here. `copy`: it is a mirror copy or a seed. */
static inline void port_queue(struct plane *p, uint32_t role, struct rte_mbuf *frame, bool copy) {
  struct port *port = &p->port[role];
  if (__builtin_expect(port->queued == RM_QUEUE, 0)) port_flush(p, port);
  if (copy) {
    port->view->mirrored_packets++;
    port->view->mirrored_bytes += frame->pkt_len;
  }
  port->queue[port->queued++] = frame;
  port->queued_bytes += frame->pkt_len;
}
/* The same for frames of `bytes` bytes in all, which keep their order. */
static inline void port_queue_all(struct plane *p, uint32_t role, struct rte_mbuf *const *frames, uint16_t n, uint64_t bytes) {
  struct port *port = &p->port[role];
  if (__builtin_expect(port->queued + n > RM_QUEUE, 0)) port_flush(p, port);
  memcpy(port->queue + port->queued, frames, n * sizeof *frames);
  port->queued = (uint16_t)(port->queued + n);
  port->queued_bytes += bytes;
}
int plane_fail(struct plane *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void interface_set_link(struct port *port, bool up);
extern const struct port_driver port_socket, port_dpdk, port_gen, port_remote, port_listen;
bool port_is_pci(const char *spec);

/* link.c: carrier of kernel interfaces by rtnetlink. */
int link_open(struct plane *p);
void link_poll(struct plane *p);
void link_set(struct plane *p, struct port *port, bool up);

/* propagate.c: worker 0 only. */
void propagate_tick(struct plane *p);
void propagate_close(struct plane *p);
/* The node itself took this link down, or has just let it up: it says nothing about a box. */
bool propagate_hides(const struct plane *p, const struct port *port);

/* bypass_ixgbe.c: when the ports are open. */
void bypass_find(struct plane *p);

/* neighbour.c */
void neighbour_take(struct plane *p, const struct message *said);
void neighbour_learn(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet);
/* The MAC address of a host on this side, if it is known. */
bool neighbour_find(struct plane *p, uint32_t side, const uint8_t ip[16], uint8_t mac[6]);
bool neighbour_answer(struct plane *p, uint32_t role, struct rte_mbuf *frame);
/* The same, if a box asks for an address of the node's own; `mac` is the answer. */
bool neighbour_answer_own(struct plane *p, uint32_t role, struct rte_mbuf *frame, const uint8_t mac[6]);

/* announce.c: a frame came out of a box by `role` that says who has which address. */
void announce_learn(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet);
/* Now and then: tell the network of a switch, ask the boxes. */
void announce_tick(struct plane *p);

/* infer.c. A frame of a flow from before the last switch goes in for the first time since: what comes out of the box tells by which
 * name the box has it. */
int infer_open(struct plane *p);
void infer_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow);
/* What another worker offered. */
void infer_take(struct plane *p, const struct message *said);
/* A new flow goes in by a packet that is known by `key`. */
void infer_heed(struct plane *p, uint32_t side, uint64_t key);
/* Something was offered so shortly ago that infer_find() has to be asked. */
bool infer_expects(const struct plane *p, uint32_t side);
/* The flow of a frame that comes out of the serving box by `role`, if it was offered; else null. */
const struct rm_flow *infer_find(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet);

/* value.c */
int value_open(struct plane *p);
void value_step(struct plane *p);
/* Is it known that a box holds this flow of `side`? */
bool value_holds(const struct plane *p, uint32_t side, const struct rm_flow *f, uint32_t box);
/* Bit of each box that is full and does not hold this flow: it gets no copies. Asked only while value_full(). */
uint32_t value_refused(const struct plane *p, uint32_t side, const struct rm_flow *f);
static inline uint32_t value_full(const struct plane *p) {
  return __builtin_expect(__atomic_load_n(&p->crew->full[p->queue], __ATOMIC_RELAXED), 0);
}

/* hold.c: frames that wait for a seed, in their order. */
void hold_frame(struct plane *p, uint32_t side, struct rte_mbuf *frame, uint32_t claim);
bool hold_has(const struct plane *p, uint32_t claim);
void hold_release(struct plane *p);

/* pause.c: frames from outside that wait for a planned switch; there is always room for one burst. */
void pause_keep(struct plane *p, uint32_t side, struct rte_mbuf *const *frames, uint16_t n);
/* Those that waited, in their order; up to n. */
uint16_t pause_take(struct plane *p, uint32_t side, struct rte_mbuf **frames, uint16_t n);
/* Once a turn while a planned switch waits: look whether the old box has handed over what went in. */
void pause_look(struct plane *p);

/* inject.c: what control wants said to a box. */
void inject_frames(struct plane *p);
/* grow.c: ports of further boxes while the plane runs; now and then. */
void grow(struct plane *p);

/* standby.c: who gets copies, and what they may cost; now and then, and with new rules. */
void standby_refresh(struct plane *p);
/* guard.c. A reset or ICMP message came from outside. */
void guard_note(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet);
/* One came out of a box. True: it would end a connection that lives. */
bool guard_stops(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet);
static inline bool resets(const struct rm_packet *packet) { return packet->tcp_flags & RM_TCP_RST; }
static inline bool may_end(const struct rm_packet *packet) {
  return resets(packet) || packet->proto == 1 || packet->proto == 58;
}

/* replay.c. After ports and pool are there. */
int replay_open(struct plane *p);
/* A frame goes into the serving box on `side`. `copied`: the standby gets it as well. */
void replay_keep(struct plane *p, uint32_t side, struct rte_mbuf *m, const struct rm_peek *k, bool copied);
/* A frame came out of a box by `role` and would leave. False: it already has, by way of the other box. */
bool replay_out(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_peek *k);
/* Once a turn from each outside port, until it says false: then the switch is dealt with and newer frames may follow. */
bool replay_go(struct plane *p, uint32_t side);
/* Did all come out that went in by the sides of this worker, as far as is known? */
bool replay_is_empty(struct plane *p);
/* Now and then: take over how long frames are kept, and let old ones go. */
void replay_tick(struct plane *p);

/* burst.c */
/* Make a connection from before the last switch known to the box that serves now. True: its frames have to wait. */
bool burst_introduce(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow);
bool burst_outer(struct plane *p, uint32_t side);
bool burst_box(struct plane *p, uint32_t role);
#endif
