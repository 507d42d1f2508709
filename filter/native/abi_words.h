/* Words of the board: its enumerations and limits. Part of the law (abi.h), with names in filter/names.ts. */
#ifndef RM_ABI_WORDS_H
#define RM_ABI_WORDS_H

/* Ports, in the order of the picture in docs/architecture.md. An even role is the client side. */
enum rm_role {
  RM_UPSTREAM,
  RM_DOWNSTREAM,
  RM_PRIMARY_IN,
  RM_PRIMARY_OUT,
  RM_REDUNDANT_IN,
  RM_REDUNDANT_OUT,
  RM_REDUNDANT_2_IN, /* further boxes; a role without a spec does not exist */
  RM_REDUNDANT_2_OUT,
  RM_REDUNDANT_3_IN,
  RM_REDUNDANT_3_OUT,
  RM_ROLES
};
enum rm_side { RM_SIDE_UP, RM_SIDE_DOWN, RM_SIDES };
enum rm_box { RM_PRIMARY, RM_REDUNDANT, RM_REDUNDANT_2, RM_REDUNDANT_3, RM_BOXES };

/* Where traffic goes. The first values equal enum rm_box. */
enum rm_path {
  RM_PATH_PRIMARY,
  RM_PATH_REDUNDANT,
  RM_PATH_REDUNDANT_2,
  RM_PATH_REDUNDANT_3,
  RM_PATH_WIRE,
  RM_PATH_BLOCK,
  RM_PATHS
};

enum rm_state { RM_STATE_SETUP, RM_STATE_STARTING, RM_STATE_RUNNING, RM_STATE_STOPPED, RM_STATE_FAILED };
enum rm_poll { RM_POLL_BUSY, RM_POLL_SLEEP };
/* Senses that judge a box, each on its own; what they say together is a vote (reflex.c). */
enum rm_detector {
  RM_DETECTOR_LINK,
  RM_DETECTOR_SILENCE,
  RM_DETECTOR_PROBE,  /* frames of the node's own through the box */
  RM_DETECTOR_BFD,
  RM_DETECTOR_GREY,   /* loss, latency, one kind of flows alone */
  RM_DETECTOR_CHECK,  /* control's: is the box itself reachable */
  RM_DETECTORS
};
enum rm_light { RM_LIGHT_OFF, RM_LIGHT_GREEN, RM_LIGHT_YELLOW, RM_LIGHT_RED, RM_LIGHTS };
enum rm_event_kind {
  RM_EVENT_SWITCH,
  RM_EVENT_LINK,
  RM_EVENT_BOX,
  RM_EVENT_STALL,
  RM_EVENT_DETECTOR, /* a detector changed its light */
  RM_EVENT_MEMBER,   /* a box joined or left */
  RM_EVENT_STEER,    /* a box to which rules lead flows died or left: they go by the path */
  RM_EVENT_KINDS
};
enum rm_cause {
  RM_CAUSE_START,
  RM_CAUSE_LINK,
  RM_CAUSE_SILENCE,
  RM_CAUSE_ORDER,
  RM_CAUSE_RETURN,
  RM_CAUSE_STALL,
  RM_CAUSE_PROBE,
  RM_CAUSE_BFD,
  RM_CAUSE_GREY,
  RM_CAUSE_CHECK,
  RM_CAUSE_PROPAGATION, /* the node took a link down, or let it up, because of another */
  RM_CAUSES
};
/* Which links follow when an outside link is lost. */
enum rm_propagate {
  RM_PROPAGATE_OFF,
  RM_PROPAGATE_ONE,  /* the other outside port */
  RM_PROPAGATE_BOTH, /* and the boxes' ports of the side that lost its link */
  RM_PROPAGATES
};
/* A relay in a NIC that joins two ports without the node. */
enum rm_bypass {
  RM_BYPASS_NONE,    /* no NIC has one, or it is not used */
  RM_BYPASS_NORMAL,  /* frames go through the node */
  RM_BYPASS_ON,      /* the ports are joined */
  RM_BYPASS_ISOLATE, /* the ports are cut off */
  RM_BYPASSES
};
/* Why a copy was made, in falling order of value: a budget sheds from the end. RM_WHY_NONE: it was not. */
enum rm_why {
  RM_WHY_NONE,
  RM_WHY_NEIGHBOUR,
  RM_WHY_HANDSHAKE,
  RM_WHY_TEARDOWN,
  RM_WHY_KEEPALIVE, /* by time or by window */
  RM_WHY_FIRST,
  RM_WHY_PAYLOAD,
  RM_WHY_ACK,       /* acknowledges what was copied */
  RM_WHY_FRAGMENT,  /* follows its first fragment */
  RM_WHY_BYTES,
  RM_WHY_TURN,
  RM_WHY_SAMPLE,
  RM_WHY_ALL,
  RM_WHYS
};
/* What the payload of a flow showed so far. The handshakes of TLS, SSH and QUIC can be read, what follows cannot. */
enum rm_nature {
  RM_NATURE_UNKNOWN, /* no payload yet */
  RM_NATURE_PLAIN,
  RM_NATURE_TLS,     /* or DTLS, in its handshake */
  RM_NATURE_SSH,
  RM_NATURE_QUIC,
  RM_NATURE_OPAQUE,  /* encrypted from here on */
  RM_NATURES
};
/* What the parser made of a frame. Everything but RM_PARSE_FLOW is forwarded without a flow. */
enum rm_parse {
  RM_PARSE_FLOW,            /* has a flow key */
  RM_PARSE_NEIGHBOUR,       /* ARP, or ICMPv6 133-137 */
  RM_PARSE_LINK_LOCAL,      /* destination 01:80:C2:00:00:00-0F */
  RM_PARSE_NOT_IP,          /* any other EtherType, LLC */
  RM_PARSE_FRAGMENT,        /* IP fragment, first or later */
  RM_PARSE_SHORT_ETHERNET,  /* from here on: malformed */
  RM_PARSE_SHORT_VLAN,
  RM_PARSE_DEEP_VLAN,       /* more than four tags */
  RM_PARSE_SHORT_IP,
  RM_PARSE_BAD_IP_VERSION,
  RM_PARSE_BAD_IP_HEADER,   /* header length below 20 or beyond the frame */
  RM_PARSE_BAD_IP_LENGTH,   /* total length below the header or beyond the frame */
  RM_PARSE_DEEP_IPV6,       /* more than eight extension headers */
  RM_PARSE_SHORT_TRANSPORT,
  RM_PARSE_BAD_TCP_OFFSET,
  RM_PARSES
};
enum rm_counter {
  RM_COUNT_TX_FULL,          /* drop: the port did not take the frame */
  RM_COUNT_MIRROR_FULL,      /* a copy was not made: standby port full or no buffer */
  RM_COUNT_BLOCKED,          /* drop: no box alive and policy is block */
  RM_COUNT_SHADOW,           /* output of the standby, held back */
  RM_COUNT_DRAINED,          /* output of the box that served before, forwarded while draining */
  RM_COUNT_ARP_ANSWERED,     /* neighbour requests of the standby answered by the node */
  RM_COUNT_ARP_UNKNOWN,      /* ... for which the node knows no answer */
  RM_COUNT_SEEDED,           /* flows resynchronised in the serving box after a switch */
  RM_COUNT_SEED_UNPAIRED,    /* flows that could not be, their other half is unknown */
  RM_COUNT_SEED_SWALLOWED,   /* frames of seeds that came out of the box and were held back */
  RM_COUNT_SEED_FULL,        /* seeds not made: port full or no buffer */
  RM_COUNT_FLOW_EVICTED,     /* a live flow gave its place to a new one */
  RM_COUNT_FLOW_EXPIRED,
  RM_COUNT_EVENT_LOST,       /* the event ring was full */
  RM_COUNT_TOO_BIG,          /* drop: larger than frame_bytes_max */
  RM_COUNT_STALLS,           /* turns that took longer than the stall bar: the node's own fault */
  RM_COUNT_FLOW_EVICTED_LIVE, /* ... of RM_COUNT_FLOW_EVICTED, those that had been answered and were not closing */
  RM_COUNT_HANDOVER_FULL,    /* drop: the worker that sends for this port had no room for the frame */
  RM_COUNT_CROSSING_FULL,    /* messages to another worker that found no room; what they would have told stays unknown */
  RM_COUNT_SEED_HELD,        /* frames that waited for another worker's seed of their connection */
  RM_COUNT_PAUSED,           /* frames that waited for a planned switch */
  RM_COUNT_INJECTED,         /* frames of control put into a box that does not serve */
  RM_COUNT_INJECT_REFUSED,   /* ... not put in: the box serves, the frame is no frame, or no buffer */
  RM_COUNT_CANARY_TAKEN,     /* frames of a canary that came out of a box that serves, and went no further */
  RM_COUNT_REPLAYED,         /* frames that the old box did not let out, put into the new one */
  RM_COUNT_REPLAY_SEEN,      /* ... that need not be, or not twice: they came out after all, or were acknowledged */
  RM_COUNT_REPLAY_DROPPED,   /* ... that could not be: there was no room to keep them or to follow them */
  RM_COUNT_REPLAY_UNKNOWN,   /* ... that were not: the box changes such frames too much to tell which came out */
  RM_COUNT_GUARDED,          /* drop: a box that had just begun to serve would have ended a connection that lives */
  RM_COUNT_ANNOUNCED,        /* addresses told to the network after a switch */
  RM_COUNT_PROBE_TAKEN,      /* probes of the node's own that came out of a box and were held back */
  RM_COUNT_PROBE_STRAY,      /* other frames for the address that probes are sent from, held back */
  RM_COUNT_PROBE_UNSENT,     /* probes not made: no buffer, or no address of the box is known */
  RM_COUNT_FIXED_UP,         /* frames translated, because a box knows their flow by another name */
  RM_COUNT_FIXUP_COLLISION,  /* new flows that got another name than the box gave them, as that one is in use */
  RM_COUNT_FIXUP_FULL,       /* not translated: no place, no buffer or no free name */
  RM_COUNT_SEED_ALIKE,       /* seeds whose first frame came out as the network knows the flow */
  RM_COUNT_SEED_TRANSLATED,  /* ... as something else, and the node translates */
  RM_COUNT_SEED_UNLIKE,      /* ... as something else, and nobody does: the rest was not played */
  RM_COUNT_SEED_UNHEARD,     /* ... did not come out in time: the rest was played all the same */
  RM_COUNT_SEED_REPEATED,    /* first frames that were played once more, because none came out */
  RM_COUNT_SEED_HURRIED,     /* seeds that could not wait for their box, because too much waited */
  RM_COUNT_SEED_LEFT,        /* seeds that were given up, because their box does not serve any more */
  RM_COUNT_RESYNCED,         /* flows made known to a box by resync or refresh */
  RM_COUNT_RECORDED,         /* decisions told to the flight recorder */
  RM_COUNT_RECORD_SHED,      /* ... not told: there were more than its rate allows */
  RM_COUNT_VALUE_REFUSED,    /* copies not made for a box whose table is full, of flows that it does not hold */
  RM_COUNT_VALUE_SEEDED,     /* flows seeded into such a box because they are worth more than others */
  RM_COUNT_VALUE_REMOVED,    /* flows taken out of such a box for them */
  RM_COUNT_STEERED,          /* frames put into a box by a rule or a move, not by the path */
  RM_COUNT_STEER_HELD,       /* frames held back by a move */
  RM_COUNT_STEER_AGAIN,      /* frames played into the destination of a move once more */
  RM_COUNT_STEER_FORGOTTEN,  /* noted frames that gave their place to newer ones */
  RM_COUNTERS
};

/* What the flight recorder keeps of a frame. */
enum rm_witness_kind {
  RM_WITNESS_FLOW,      /* rm_decide() */
  RM_WITNESS_FRAGMENT,  /* rm_decide_fragment() of one that has no ports */
  RM_WITNESS_NEIGHBOUR,
  RM_WITNESS_SHADOW,    /* an opening that came out of a standby: nothing was to decide */
  RM_WITNESSES
};
/* What the reflexes did. */
enum rm_step_kind {
  RM_STEP_VERDICT, /* a box counts as alive, or does not any more */
  RM_STEP_SWITCH,  /* the path was moved by reflex */
  RM_STEP_ORDER,   /* ... by an order */
  RM_STEP_WAIT,    /* an order waits for the old box to hand over */
  RM_STEP_STAY,    /* an order is given up: the box it names died meanwhile */
  RM_STEP_KINDS
};

/* Where a frame of the capture ring was seen: copied for the standby, received by a port, handed to a port. */
enum rm_tap { RM_TAP_COPY, RM_TAP_IN, RM_TAP_OUT, RM_TAPS };

enum rm_probe_kind { RM_PROBE_ICMP, RM_PROBE_UDP, RM_PROBE_TCP, RM_PROBE_RAW, RM_PROBE_KINDS };
/* What is to become of a probe: it comes out on the other side, a host beyond answers it, or it does not come out. */
enum rm_probe_expect { RM_PROBE_SEEN, RM_PROBE_ANSWERED, RM_PROBE_BLOCKED, RM_PROBE_EXPECTS };
/* Why a probe has its light; in the detail of the detector: reason << 16 | side << 8 | number of the probe. */
enum rm_probe_reason {
  RM_PROBE_WELL,
  RM_PROBE_LOST,      /* so many in a row */
  RM_PROBE_SOME_LOST,
  RM_PROBE_NEVER,     /* none has come through so far: no evidence against the box */
  RM_PROBE_LEAKED,    /* came out and should not */
  RM_PROBE_NEITHER,   /* through neither box since the same moment: something that they share is to blame */
  RM_PROBE_NO_MAC,    /* not sent, the box's address is not known yet */
  RM_PROBE_REASONS
};
/* Why traffic through a box is grey; in the detail: reason << 16 | side where it goes in << 8. */
enum rm_grey_reason {
  RM_GREY_WELL,
  RM_GREY_LOSS_LOW,  /* above the lowest of the three bars, and so on */
  RM_GREY_LOSS,
  RM_GREY_LOSS_HIGH,
  RM_GREY_ONE_WAY,   /* most is lost one way and nothing the other */
  RM_GREY_OPENINGS,  /* new connections fail, old ones are well */
  RM_GREY_REPEATS,   /* a wave of retransmissions */
  RM_GREY_DELAY,
  RM_GREY_REASONS
};

/* Connections as the match counts them. */
enum rm_match_class { RM_MATCH_TCP, RM_MATCH_UDP, RM_MATCH_OTHER, RM_MATCH_CLASSES };

#define RM_PROBES 16
#define RM_PROBE_BYTES 1536 /* of a probe's frame */
#define RM_PROBE_PORTS 32   /* of each box in turn, where a host answers: it may still know the last one */
#define RM_DELAYS 64        /* places of a histogram of delays, two for each doubling from 1024 ns on */
#define RM_SPEC_BYTES 240
#define RM_NAME_BYTES 32
#define RM_ERROR_BYTES 256
#define RM_RULES 16
#define RM_BPF_MAX 128
#define RM_EVENTS 256 /* power of two; control drains it every 10 ms, a burst of switches is tens */
#define RM_FIELDS 512
#define RM_STEPS 32 /* power of two; control takes them every 10 ms, one death is a handful */
#define RM_UNLIKES 64 /* power of two */
#define RM_INJECTS 32 /* power of two */
#define RM_INJECT_BYTES 1536
#define RM_INJECT_BYTES_MIN 14
#define RM_NO_FLOW 0xffffffffu
#define RM_WORKERS 16 /* poll loops, each on a core of its own */
#define RM_NO_CPU 0xffffffffu

/* Class of a flow for ageing. */
enum rm_age { RM_AGE_TCP_OPENING, RM_AGE_TCP, RM_AGE_TCP_CLOSING, RM_AGE_UDP, RM_AGE_ICMP, RM_AGE_OTHER, RM_AGES };

/* Seen of a flow on one side since a switch: a frame came from outside, one came out of the box that serves. A reset is none:
 * an end that cannot use what it got answers with one. */
#define RM_CARRIED_IN 1u
#define RM_CARRIED_OUT 2u
/* A seed has changed the verdict on the box that serves: two bits above this say what it was before the switch. */
#define RM_CARRIED_LEARNT 4u
#define RM_CARRIED_BEFORE_SHIFT 3
#define RM_CARRIED_SHIFT 5
#endif
