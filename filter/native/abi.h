/* The board: the one shared-memory page set between the plane and control.
 *
 * This header is the law for both sides. C compiles it; TypeScript never repeats an offset: the plane
 * writes a table of every field (name, offset, width, count, stride) into the board and the reader
 * looks fields up by name. RM_ABI_VERSION changes with every change of meaning or layout, and a
 * reader of another version refuses the board with both versions in the message.
 *
 * Who writes what: `setup` before the plane starts; `command` by control, then a generation or a
 * sequence number is bumped with release order; everything else by the plane alone.
 */
#ifndef RM_ABI_H
#define RM_ABI_H
#include <stdint.h>

#define RM_MAGIC 0x42584d52u /* "RMXB" */
#define RM_ABI_VERSION 11u
#define RM_CACHE_LINE 64
#define RM_ALIGNED __attribute__((aligned(RM_CACHE_LINE)))

#include "abi_words.h"
#include "abi_probe.h"
#include "abi_bfd.h"
#include "abi_steer.h"

/* One field of the board, as told to the reader. */
struct rm_field {
  char name[40];   /* "port.rx_packets" */
  uint32_t offset; /* of element 0, from the start of the board; for "flow.*" from the start of an entry */
  uint32_t width;  /* bytes of one element: 1, 2, 4, 8, or the length of a byte string */
  uint32_t count;  /* elements */
  uint32_t stride; /* bytes from one element to the next */
};

struct rm_header {
  uint32_t magic, abi;
  uint64_t size;            /* of the whole board in bytes */
  uint32_t field_offset, field_count, field_bytes; /* struct rm_field[], field_bytes = its size */
  uint32_t state;           /* enum rm_state */
  uint32_t plane_pid;
  uint32_t flow_bytes;      /* sizeof(struct rm_flow) */
  uint64_t boot;            /* random; changes with every start of a plane */
  uint64_t started_wall_ns;
  uint64_t flow_offset[RM_SIDES]; /* struct rm_flow[flow_slots] */
  uint64_t twin_offset[RM_SIDES]; /* uint32_t[flow_slots]: what standbys made of each flow, see twin.h */
  uint64_t carried_offset[RM_SIDES]; /* uint32_t[flow_slots]: of each flow, the last switch after which something was noted,
                                        RM_CARRIED_SHIFT bits up, and RM_CARRIED_* */
  uint64_t flow_slots;
  char version[RM_NAME_BYTES]; /* of the plane's product */
  char error[RM_ERROR_BYTES];  /* why state is failed */
} RM_ALIGNED;

/* Fixed for the life of a plane. */
struct rm_setup {
  char spec[RM_ROLES][RM_SPEC_BYTES]; /* "af_packet:eth1", "0000:03:00.0", "memif:/run/x.sock", ... */
  uint32_t flow_slots;     /* per side, power of two */
  uint32_t frame_bytes_max;
  uint32_t huge;           /* 0: run without hugepages */
  uint32_t memory_mib;
  uint32_t core;           /* CPU of the first poll loop, the others follow it; RM_NO_CPU: not pinned */
  uint32_t spin_us;        /* empty polling before the loop sleeps */
  uint32_t capture_room;   /* bytes of all capture rings together; 0: there is none */
  uint32_t capture_bytes;  /* bytes of a frame that a ring keeps */
  uint32_t first_box;      /* enum rm_box: serves first if it is alive */
  uint32_t cores;          /* poll loops: 1, or a power of two up to RM_WORKERS; 0 counts as 1 */
  uint32_t recorder_room;  /* bytes of the rings of the flight recorder together; 0: there is none */
  uint32_t recorder_bytes; /* bytes of a frame that it keeps */
} RM_ALIGNED;

struct rm_bpf { uint16_t code; uint8_t jt, jf; uint32_t k; };

/* One filter rule. First match wins; a flow that no rule matches is not mirrored. */
struct rm_rule {
  char name[RM_NAME_BYTES];
  uint32_t bpf_count;           /* 0: matches everything */
  uint32_t handshake, teardown; /* booleans */
  uint32_t all, none, seed;     /* booleans */
  uint32_t acks;                /* boolean: ACKs of what was copied */
  uint32_t plaintext;           /* boolean: bytes and turns end where the flow is encrypted */
  uint32_t keepalive_window;    /* boolean: a copy at least every half receive window */
  uint32_t first_packets;         /* per direction; 0: off, likewise below */
  uint32_t first_payload_packets; /* per direction, packets with payload */
  uint32_t first_bytes_up, first_bytes_down; /* payload bytes sent by the client, and to it */
  uint32_t turn_bytes_up, turn_bytes_down;   /* payload bytes each time that side starts talking */
  uint32_t turn_bytes_max;        /* of both sides together, per flow; 0: no bound */
  uint32_t sample;                /* one in so many packets of each direction */
  uint64_t keepalive_ns;          /* at most this long without a copy while the flow talks */
  struct rm_bpf bpf[RM_BPF_MAX];
} RM_ALIGNED;

struct rm_check { uint32_t light, detail; uint64_t seen_ns; };

/* An end that the node plays on a side, for canaries through the box that serves. */
struct rm_canary {
  uint64_t mac;                 /* the first of its six bytes lowest */
  uint64_t until_ns;            /* monotonic; from then on there is none, and nothing goes into such a box */
  uint8_t ip[16];               /* as in a flow's key */
};

/* A frame of control for a port of a box that does not serve, or of a canary. */
struct rm_inject { uint32_t role, bytes; uint8_t frame[RM_INJECT_BYTES]; };

struct rm_command {
  uint32_t rule_generation;     /* bumped after everything up to budget_packets is written; odd while writing */
  uint32_t rule_count;
  uint64_t age_ns[RM_AGES];
  struct rm_rule rules[RM_RULES];
  uint32_t inner;               /* boolean: flows inside tunnels */
  uint64_t budget_bytes, budget_packets; /* of the mirror, per second; 0: no bound */
  /* Reflex table. */
  uint64_t silence_ns;          /* 0: off */
  uint32_t silence_packets;     /* at least so many put in, from two flows or more */
  uint32_t dead_path;           /* RM_PATH_WIRE or RM_PATH_BLOCK */
  uint64_t hold_up_ns;          /* a box that returns counts as alive after so long without a fault */
  uint64_t drain_ns;            /* the old box's output is still forwarded after a switch */
  uint64_t stall_ns;            /* a turn longer than this is the node's own stall */
  uint32_t automatic;           /* 0: reflexes only report, control decides */
  /* Orders: order_path and order_cause first, then order_sequence. */
  uint32_t order_path, order_sequence;
  uint32_t stop;                /* 1: the plane ends after this turn */
  /* Votes: a box is dead while the weights of its red detectors reach `votes`. A link that is down and silence
   * always suffice. What a detector said longer ago than stale_ns counts as not said; 0: never stale. */
  uint32_t votes;
  uint32_t weight[RM_DETECTORS];
  uint64_t stale_ns[RM_DETECTORS];
  /* Probes: everything first, then probe_generation, which is odd while they are written. */
  uint32_t probe_generation, probe_count;
  struct rm_probe probe[RM_PROBES];
  struct rm_probe_frame probe_frame[RM_PROBES * RM_SIDES]; /* by probe, then side where it goes in */
  struct rm_grey grey;
  /* What control's own checks say: light and detail first, then seen_ns, which changes with every look. */
  struct rm_check check[RM_BOXES];
  uint64_t pause_ns;            /* a planned switch waits so long at most for the old box to hand over; 0: not at all */
  uint32_t inject_sequence;     /* of the last frame in the ring `inject`; slot = sequence % RM_INJECTS */
  /* Members: a box that has left gets no copies and is not chosen. Of those alive the lowest rank takes over; equal
   * ranks go by their number. */
  uint32_t left;                /* bit of each enum rm_box */
  uint32_t rank[RM_BOXES];
  /* With no other box alive, votes take traffic away from one to dead_path only if those of the detectors in last_mask
   * (a bit of each) reach `votes` by themselves, and for so long. */
  uint32_t last_mask;
  uint32_t order_force;         /* boolean, belongs to order_path: the red votes of that moment do not count */
  uint64_t last_ns;
  uint32_t suppressed[RM_BOXES]; /* boolean: died too often lately, serves only while no other box is alive */
  /* Learnt silence: on a steady way the bar follows what is usual there, within these. Min 0: silence_ns is the bar. */
  uint64_t silence_ns_min, silence_ns_max;
  uint64_t silence_learn_ns;    /* so much has to have been seen of a way before its bar falls below silence_ns */
  /* Ports of further boxes, opened while the plane runs: setup.spec first, then this. */
  uint32_t open_sequence;
  /* BFD sessions (abi_bfd.h), between an odd and an even generation. */
  uint32_t bfd_generation, bfd_count;
  struct rm_bfd_order bfd[RM_BFD_SESSIONS];
  /* What a switch does besides moving the path. */
  uint64_t hold_ns;             /* frames that went in so long ago and did not come out are replayed; 0: off */
  uint64_t guard_ns;            /* for so long after a switch no box may end a connection that is known alive; 0: off */
  uint32_t fixup;               /* boolean: where a box knows a flow by another name, translate */
  uint32_t announce;            /* boolean: tell the network the new box's MAC addresses */
  uint32_t propagate;           /* enum rm_propagate */
  uint32_t bypass;              /* enum rm_bypass: RM_BYPASS_ON is what the NIC does when the plane fails */
  /* Seeds for all live connections: a higher order begins anew, and one that is stopped ends. */
  uint32_t resync_order[RM_BOXES], resync_stop[RM_BOXES];
  uint64_t seed_rate;           /* of them, flows per second and box */
  uint64_t seed_wait_ns;        /* for the first frame of a seed to come out, twice */
  uint64_t refresh_ns;          /* standbys get them again so often; 0: never */
  uint64_t capacity[RM_BOXES];  /* flows that a box's table holds; 0: more than there are. Of more it gets those worth most */
  uint32_t recorder_rate;       /* decisions per second that are recorded at most; 0: none */
  struct rm_canary canary[RM_SIDES]; /* until_ns last */
} RM_ALIGNED;

struct rm_port {
  uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, tx_full, rx_missed;
  uint64_t mirrored_packets, mirrored_bytes; /* copies and seeds sent out of this port */
  uint64_t link_changes, link_ns;            /* monotonic time of the last change */
  uint32_t link;                             /* 1 up */
  uint32_t mtu;
  uint8_t mac[8];                            /* six used */
  char driver[RM_NAME_BYTES];
  uint32_t taken;                            /* 1: the node itself took it down, because another link is lost */
} RM_ALIGNED;

/* The channel of a remote port. Units are frames, or the parts of those that are too long for one datagram. */
struct rm_channel {
  uint32_t present, open;    /* the port is remote; a session is open */
  uint32_t unit_bytes;       /* of a frame, at most, that fit into one datagram */
  uint32_t pad;
  uint64_t sessions, rtt_ns;
  uint64_t sent, again;      /* units sent; sent again */
  uint64_t gone, shed;       /* asked for, but not kept any more; not sent again, lest they crowd out others */
  uint64_t received, asked, recovered; /* units; those asked for; of them, those that then came */
  uint64_t lost, beyond;     /* given up; not taken for lack of room */
  uint64_t repeated, torn;   /* came twice or too late; frames of which a part was lost */
  uint64_t refused;          /* datagrams without a good seal, of another session, or replayed */
  uint64_t far_lost;         /* units given up by the far end */
} RM_ALIGNED;

struct rm_box_view {
  uint32_t alive;      /* would be chosen now */
  uint32_t silent;     /* judged silent and not proven since */
  uint64_t down_ns;    /* monotonic time it was last judged dead; 0: never */
  uint64_t up_ns;      /* monotonic time its links came back; 0: never lost */
  uint64_t in_packets, out_packets; /* put in, came out, both directions */
  uint32_t present;    /* it has ports */
  uint32_t member;     /* it has not left */
} RM_ALIGNED;

/* What one detector says of one box. */
struct rm_detection {
  uint32_t light;      /* enum rm_light; off: not in use, or stale */
  uint32_t detail;     /* why, in the detector's own terms */
  uint64_t since_ns;   /* monotonic time of the last change of light */
  uint64_t seen_ns;    /* monotonic time it was last told */
};

/* What is usual on one way through a box, from the side where frames go in. */
struct rm_usual {
  uint64_t quiet_ns;   /* longest time without output that ended by itself, slowly forgotten */
  uint64_t bar_ns;     /* silence is judged after this long; 0: it is not */
};

struct rm_named { char name[RM_NAME_BYTES]; uint64_t packets, bytes; };

struct rm_event {
  uint64_t sequence;   /* from 1; the slot is valid when it equals the expected number */
  uint64_t mono_ns, wall_ns;
  uint32_t kind, cause;
  uint32_t before, after;   /* switch: paths; link: 0/1; box: alive before, after; detector: enum rm_light; member: 0/1 */
  uint32_t subject;         /* link: role; box, detector, member: enum rm_box */
  uint32_t order;           /* sequence of the order that caused it, else 0 */
  uint64_t silent_ns;       /* time since the box was last seen working */
  uint64_t lost_packets;    /* put into the box and not seen to come out, an upper estimate */
} RM_ALIGNED;

/* One poll loop. */
struct rm_worker {
  uint32_t cpu;            /* RM_NO_CPU: not pinned */
  uint32_t ports;          /* bit of each enum rm_role it receives from */
  uint32_t queue;          /* which receive queue of these ports is its own */
  uint32_t poll;           /* enum rm_poll */
  uint64_t turns, loop_ns_max, cpu_ns, heartbeat_ns;
  uint64_t rx_packets, tx_packets;
} RM_ALIGNED;

/* Live connections by what a standby made of their opening. Followed: of those that differ, the ones that would be translated. */
struct rm_match { uint64_t equal, different, followed, dropped; };

/* One that a standby opened otherwise than the serving box, of which the flow's entry tells. */
struct rm_unlike {
  uint64_t sequence;       /* from 1; 0 while it is being written. Place = sequence % RM_UNLIKES */
  uint32_t slot;           /* of the flow, on `side` */
  uint8_t side, box;       /* enum rm_box: the standby */
  uint16_t port[2];        /* of who sends, then of who it is for, as the standby has it */
  uint8_t addr[2][16];     /* likewise */
};

/* Seeds for all live connections into one box: the last time, or now. */
struct rm_resync {
  uint64_t order;          /* the command's; several workers: the sum of what each has taken */
  uint64_t running;        /* how many workers are at it */
  uint64_t refreshes;      /* likewise, of a refresh */
  uint64_t flows;          /* that it began with */
  uint64_t done;           /* seeded by now, with what the box made of them: */
  uint64_t unlike;         /* ... another binding, that nobody translates */
  uint64_t unheard;        /* ... nothing that came out */
  uint64_t failed;         /* could not be: no buffer, no room */
  uint64_t gone;           /* ended meanwhile, or were told to the box in another way */
  uint64_t begun_ns, ended_ns; /* monotonic; ended 0: it runs */
};

struct rm_live {
  uint32_t path;               /* enum rm_path; the one word that decides */
  uint32_t order_done;         /* last order_sequence carried out */
  uint32_t rule_done;          /* last rule_generation taken over */
  uint32_t poll;               /* enum rm_poll */
  uint32_t huge;               /* 1: running on hugepages */
  uint32_t draining;
  uint64_t switches, turns, heartbeat_ns, loop_ns_max, cpu_ns;
  uint64_t path_since_ns;
  uint64_t flows[RM_SIDES];    /* live entries */
  uint64_t event_sequence;     /* last written */
  uint64_t event_read;         /* last read by control (control writes) */
  struct rm_port port[RM_ROLES];
  struct rm_box_view box[RM_BOXES];
  struct rm_named counter[RM_COUNTERS]; /* packets used; bytes where it applies */
  struct rm_named why[RM_WHYS];         /* copies by reason */
  struct rm_named shed[RM_WHYS];        /* copies not made because the budget was spent, by reason */
  struct rm_named parse[RM_PARSES];     /* frames by parser verdict */
  struct rm_named rule[RM_RULES + 1];   /* copies by rule; the last: by rules that were replaced */
  uint32_t inject_done;                 /* last of command.inject_sequence that was taken */
  uint32_t workers;                     /* how many poll loops there are */
  struct rm_worker worker[RM_WORKERS];
  struct rm_detection detection[RM_BOXES * RM_DETECTORS]; /* by box, then detector */
  struct rm_usual usual[RM_BOXES * RM_SIDES];             /* by box, then side */
  uint32_t forgiven[RM_BOXES];          /* bits of red detectors that a forced order has overruled */
  uint32_t against[RM_BOXES];           /* votes that count against each box */
  uint32_t open_done;                   /* last open_sequence carried out */
  uint32_t open_failed;                 /* 1: no port of it was kept, header.error says why */
  uint32_t bfd_done;                    /* last bfd_generation taken over */
  struct rm_named bfd_discard[RM_BFD_DISCARDS]; /* packets for BFD that were not taken, by reason */
  struct rm_bfd_view bfd[RM_BFD_SESSIONS];
  uint32_t bypass;                      /* enum rm_bypass: of the NIC that has one, as last read */
  uint32_t would, would_cause;          /* enum rm_path, rm_cause: where the reflexes would have the traffic, and why */
  struct rm_probe_view probe[RM_PROBES * RM_BOXES * RM_SIDES]; /* by probe, box, then side where it goes in */
  struct rm_grey_view grey[RM_SIDES];
  struct rm_channel channel[RM_ROLES];
  struct rm_match match[RM_BOXES * RM_MATCH_CLASSES]; /* by box, then class */
  uint64_t held[RM_BOXES];     /* of a standby with a bound: live flows that it is known to hold, */
  uint64_t missing[RM_BOXES];  /* and those that it does not and that are worth more than the rest */
  uint64_t unlike_sequence;             /* last written */
  uint64_t step_sequence;               /* last written */
  struct rm_unlike unlike[RM_UNLIKES];
  struct rm_resync resync[RM_BOXES];
} RM_ALIGNED;

/* One direction of a flow. dir 0 is sent by the end whose (address, port) is lower. */
struct rm_half {
  uint64_t bytes;          /* frame bytes */
  uint64_t mirrored_ns;    /* monotonic time of the last packet that was copied, or passed the other side as a copy */
  uint32_t packets, payload_packets, mirrored;
  uint32_t payload_bytes;  /* transport payload; stays at 2^32 - 1 */
  uint32_t copied;         /* TCP: highest sequence number copied, plus one */
  uint32_t next;           /* TCP: highest sequence number sent, plus one; SCTP: tag of what came out of a box, 0: not seen */
  uint32_t ack;            /* TCP: highest acknowledgment sent */
  uint16_t window;         /* TCP: last raw window */
  uint8_t scale;           /* TCP: shift from the SYN; 0xff: option absent */
  uint8_t flags;           /* RM_HALF_* */
  uint8_t rest[16];        /* fills the line; struct rm_flow says with what */
};
#define RM_HALF_SYN 1u        /* a SYN (or SYN-ACK) was sent */
#define RM_HALF_ACK_DUE 2u    /* sent the opening SYN; its first ACK is part of the handshake */
#define RM_HALF_FIN 4u
#define RM_HALF_SEQ 8u        /* next and ack are valid */
#define RM_HALF_SACK 16u      /* SACK permitted in the SYN */
#define RM_HALF_FIN_ACK_DUE 32u /* the other end sent FIN; the next ACK closes */
#define RM_HALF_COPIED 64u      /* copied is valid */
#define RM_HALF_REPLY_DUE 128u  /* payload of the other end was copied; the ACK that covers it is to follow */

/* One flow of one side. Three cache lines: what every packet needs, and one for each direction, so that a packet in an
 * established flow touches two of them. The halves leave room, which holds what is needed now and then. */
struct rm_flow {
  uint8_t addr[2][16];     /* IPv4 as ::ffff:a.b.c.d; addr[0],port[0] <= addr[1],port[1] as bytes */
  uint16_t port[2];        /* host order; ICMP echo: both are the identifier; others 0 */
  uint16_t vlan;           /* innermost VLAN id, 0: none */
  uint8_t proto;
  uint8_t age;             /* enum rm_age */
  uint8_t outer_dir;       /* direction of frames that come from outside (upstream or downstream port) */
  uint8_t rule;            /* index; 0xff: none matched */
  uint8_t flags;           /* RM_FLOW_* */
  uint8_t nature;          /* enum rm_nature */
  uint32_t rule_generation;
  uint64_t last_ns;
  uint32_t peer;           /* slot of the same connection on the other side; RM_NO_FLOW */
  uint32_t seed_switch;    /* number of the switch for which it was last seeded */
  union {
    struct rm_half half[2];
    struct {
      uint8_t of_half_0[48];
      uint64_t first_ns;
      uint32_t turn_left;  /* payload bytes that the side which talks may still have copied */
      uint32_t turn_spent; /* payload bytes copied in turns */
      uint8_t of_half_1[48];
      uint8_t outer_mac[12]; /* destination and source of a late frame from outside: the head of a seed */
      uint16_t tci;        /* its VLAN tag as on the wire, host order */
      uint8_t tags;        /* how many tags it had; a flow with two or more is not seeded */
      uint8_t opener;      /* direction that sent the opening SYN, plus one; 0: not seen */
    };
  };
} RM_ALIGNED;
#define RM_FLOW_USED 1u
#define RM_FLOW_IPV6 2u
#define RM_FLOW_RESET 4u
#define RM_FLOW_CLIENT 8u  /* the client is end 1, else end 0 */
#define RM_FLOW_TALKER 16u /* end 1 sent the last payload, else end 0 */
#define RM_FLOW_TALKED 32u /* payload was sent */
#define RM_FLOW_INNER 64u  /* the key is that of an inner packet */
#define RM_FLOW_PASSES 128u /* answered, and closed on neither side: a box that works lets its next frame out */

_Static_assert(sizeof(struct rm_half) == RM_CACHE_LINE, "half of a flow");
_Static_assert(__builtin_offsetof(struct rm_half, rest) == 48, "room in a half");
_Static_assert(sizeof(struct rm_flow) == 192, "flow entry");
_Static_assert(sizeof(struct rm_field) == 56, "field description");
_Static_assert(sizeof(struct rm_bpf) == 8, "BPF instruction");

#include "abi_record.h"

struct rm_board {
  struct rm_header header;
  struct rm_setup setup;
  struct rm_command command;
  struct rm_live live;
  struct rm_steering steer;
  struct rm_event event[RM_EVENTS];
  struct rm_inject inject[RM_INJECTS]; /* control writes, up to inject_sequence */
  struct rm_step step[RM_STEPS];       /* what the reflexes decided last; the oldest give way */
  struct rm_field field[RM_FIELDS];
};

#include "abi_capture.h"
#endif
