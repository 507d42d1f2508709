/* The filter core: parse a frame, find its flow, decide whether it is copied to the standby.
 *
 * No DPDK, no clock, no I/O: a frame, a table and `now` go in, a verdict comes out. The same decisions
 * stand once more in filter/model.ts; tests hold the two against each other packet by packet.
 */
#ifndef RM_FILTER_H
#define RM_FILTER_H
#include <stdbool.h>
#include <stddef.h>
#include "abi.h"

#define RM_TCP_FIN 1u
#define RM_TCP_SYN 2u
#define RM_TCP_RST 4u
#define RM_TCP_ACK 16u

/* Of a frame with verdict RM_PARSE_FRAGMENT. */
enum rm_fragment_kind {
  RM_FRAGMENT_NONE,
  RM_FRAGMENT_FIRST, /* with a whole transport header: everything a flow needs is there */
  RM_FRAGMENT_BARE,  /* first, but cut before the end of that header */
  RM_FRAGMENT_LATER
};

/* What the parser found. Offsets are from the start of the frame; valid up to what `verdict` allows. */
struct rm_packet {
  uint8_t verdict; /* enum rm_parse */
  uint8_t dir;     /* 0: sent by the lower (address, port) end of the key */
  uint8_t proto;   /* IP protocol; for IPv6 the one after all extension headers */
  uint8_t ipv6;
  uint8_t tcp_flags;
  uint8_t scale;   /* TCP SYN: window scale option, 0xff absent */
  uint8_t sack;    /* TCP SYN: SACK permitted */
  uint8_t tags;    /* VLAN tags passed */
  uint8_t fragment; /* enum rm_fragment_kind */
  uint8_t inner;    /* tunnels this packet lies in; 0 unless rm_parse_inner() was asked */
  uint16_t vlan;   /* innermost id, 0 none */
  uint16_t window;
  uint16_t ip_offset, transport_offset, payload_offset;
  uint16_t port[2];    /* host order, in key order */
  uint32_t seq, ack;
  uint32_t fragment_id;
  uint32_t payload_bytes; /* by IP length, never link padding */
  uint32_t frame_bytes;
  uint8_t addr[2][16];    /* in key order */
};

/* Fill `out` from a frame of `bytes` bytes. Never reads beyond it. Returns out->verdict.
 *
 * Ethernet: LINK_LOCAL before anything else. Tags are 0x8100, 0x88a8, 0x9100; the fifth is DEEP_VLAN. A length
 *   instead of an EtherType (802.3, LLC, SNAP) is NOT_IP, and so are MPLS and PPPoE.
 * IPv4: MF or an offset is FRAGMENT. IPv6: extension headers are hop-by-hop, routing, destination, fragment and
 *   AH; the ninth is DEEP_IPV6, one that is cut by the payload length is BAD_IP_HEADER. A fragment header with
 *   offset 0 and no more fragments is a whole packet (RFC 6946). A jumbogram (length 0) is not supported.
 * TCP 6, UDP 17, SCTP 132 have ports; ICMP 1 in IPv4 and ICMPv6 58 in IPv6 have an identifier in echo request and
 *   reply (8, 0; 128, 129), which is both ports. Anything else is a flow by address, its payload all that
 *   follows the IP headers. Headers of TCP 20, UDP 8, SCTP 12, ICMP 8 bytes or it is SHORT_TRANSPORT.
 * SYN options: the walk ends at the first broken one; a scale above 14 counts as 14 (RFC 7323 2.3).
 * Fragments: the first one is read like a whole packet whose payload ends with it. A second fragment header makes it BARE.
 * Key: IPv6 with IPv4-mapped addresses is not the IPv4 flow. Both ends equal: dir is 0. */
uint8_t rm_parse(const uint8_t *frame, uint32_t bytes, struct rm_packet *out);

/* The same, then inside: GRE, IP in IP, VXLAN, GTP-U, MPLS and PPPoE are opened while what is in them has a verdict of
 * FLOW or FRAGMENT, at most RM_INNER_MAX deep; the innermost such packet is what `out` describes. Anything else in a
 * tunnel leaves the packet around it. `out->inner` counts how deep it lies.
 *
 * GRE (RFC 2784, 2890): version 0, protocols IPv4, IPv6, MPLS and transparent Ethernet. VXLAN (RFC 7348): UDP to 4789.
 *   GTP-U (3GPP TS 29.281): UDP to 2152, version 1, G-PDU. MPLS (RFC 3032): up to eight labels, IP or, behind a
 *   control word, Ethernet (RFC 4448). PPPoE (RFC 2516): session, IPv4 and IPv6. Tags of an inner frame are not counted
 *   in `tags`, but its innermost id is `vlan`. */
uint8_t rm_parse_inner(const uint8_t *frame, uint32_t bytes, struct rm_packet *out);
#define RM_INNER_MAX 4u

/* What the mirror may take. Two token buckets, both filled with RM_BUDGET_DEPTH_NS of their rate, never less than
 * RM_BUDGET_BYTES_MIN and RM_BUDGET_PACKETS_MIN. A copy of class `why` is made while more than its share of each
 * bucket is left: the share grows along enum rm_why from nothing (HANDSHAKE) to seven eighths (ALL), so that the
 * least valuable is shed first. NEIGHBOUR is always made, and taken from what is there. */
struct rm_bucket { uint64_t rate, level, depth; }; /* rate: units per second; level, depth: 1e-9 units */
struct rm_budget {
  struct rm_bucket bytes, packets; /* rate 0: no bound */
  uint64_t filled_ns;
  uint64_t shed_packets[RM_WHYS], shed_bytes[RM_WHYS];
};
#define RM_BUDGET_DEPTH_NS 50000000ull
#define RM_BUDGET_BYTES_MIN 262144u /* the eighth that is everybody's holds a jumbo frame */
#define RM_BUDGET_PACKETS_MIN 64u
/* Set the rates; the buckets start full. What was counted stays. */
void rm_budget_set(struct rm_budget *b, uint64_t bytes_per_s, uint64_t packets_per_s, uint64_t now);
/* May a copy of `bytes` bytes be made? If so it is taken from the budget, else counted as shed. */
bool rm_budget_take(struct rm_budget *b, uint8_t why, uint32_t bytes, uint64_t now);

/* What became of the first fragment of a packet. One place for each, chosen by an open hash: who takes another's place on
 * purpose makes the node copy too much, never too little. */
struct rm_fragment {
  uint8_t addr[2][16]; /* source, destination */
  uint32_t id;
  uint16_t vlan;
  uint8_t proto;       /* IPv6: 44 */
  uint8_t state;       /* 0 free, 1 not copied, 2 copied */
  uint8_t rule, pad[7];
  uint64_t ns;
};
#define RM_FRAGMENTS 1024u
#define RM_FRAGMENT_NS 60000000000ull /* RFC 8200 4.5 */

/* What every packet needs of eight flows, on one line: who they are, and whether there is anything to do. */
#define RM_WAYS 8u
struct rm_flow_bucket {
  uint32_t signature[RM_WAYS]; /* 0: free */
  uint32_t state[RM_WAYS];     /* RM_HOT_* */
} RM_ALIGNED;
#define RM_TICK_SHIFT 30          /* a tick is 2^30 ns, about a second */
#define RM_PATIENCE_MAX 256u      /* ticks */
#define RM_HOT_TICK 0x7ffu        /* of the last packet */
#define RM_HOT_FOLDED 0x800u      /* the tick is void, last_ns of the entry is right */
#define RM_HOT_AGE_SHIFT 12       /* three bits: enum rm_age */
#define RM_HOT_TIMED (1u << 15)   /* one packet in each tick is not quiet */
#define RM_HOT_QUIET_SHIFT 16     /* four bits: quiet without payload and with, of direction 0, then of 1 */
#define RM_HOT_QUIET (15u << RM_HOT_QUIET_SHIFT)
#define RM_HOT_PASSES (1u << 20)  /* RM_FLOW_PASSES */
#define RM_HOT_OUTER (1u << 21)   /* outer_dir */
#define RM_HOT_TRACKED (1u << 22) /* quiet packets are followed in the entry as well */
#define RM_HOT_ANSWERED (1u << 23)
#define RM_HOT_USED (1u << 24)    /* since somebody last looked for a place here */
#define RM_HOT_EPOCH_SHIFT 25     /* seven bits: quiet as long as the table's epoch is the same */
#define RM_EPOCH_MASK 0x7fu

/* Buckets of eight entries; a flow has two candidate buckets. Entries live where the board says, the
 * buckets are private to the plane. */
struct rm_flows {
  struct rm_flow *entries;
  struct rm_flow_bucket *buckets;
  uint32_t slots;       /* power of two, at least 16 */
  uint32_t sweep_at;
  uint64_t secret[2];
  uint32_t patience[16]; /* ticks that a flow of each class may pause and be quiet still; from 8 on, with RM_HOT_TIMED, none */
  uint64_t tick;        /* of rm_flows_begin() */
  uint64_t round_tick;  /* no flow's tick is older and not folded */
  uint64_t sweep_tick;  /* when the sweep began its round */
  uint32_t generation;  /* of the rules for which the epoch stands */
  uint32_t epochs_left; /* until the sweep has to have gone round */
  uint8_t epoch;
  bool wide;            /* the processor can do what look.c has been compiled for once more */
  uint64_t live, evicted, evicted_live, expired;
  struct rm_budget *budget; /* of the copies; null: no bound */
  struct rm_witness *witness; /* decisions are put down here with all they depend on... */
  uint32_t witnessed;       /* ... those of these RM_WITNESSED_*; 0: none are */
  struct rm_fragment fragment[RM_FRAGMENTS];
};

struct rm_rules {
  uint32_t generation, count;
  uint32_t inner; /* boolean: frames are parsed with rm_parse_inner() */
  uint64_t age_ns[RM_AGES];
  struct rm_rule rule[RM_RULES];
};

struct rm_verdict {
  uint8_t why;  /* enum rm_why */
  uint8_t rule; /* index, 0xff none */
  uint8_t shed; /* enum rm_why: a copy for this reason was not made, the budget is spent */
};

/* The first look at a frame: enough to find its flow and to see that there is nothing to do. */
struct rm_peek {
  uint64_t hash;
  uint32_t slot;          /* where the flow was found, or RM_NO_FLOW */
  uint32_t payload_bytes;
  uint16_t transport_offset;
  uint8_t kind;           /* direction * 2 + (payload_bytes > 0): which of the quiet bits counts */
  uint8_t plain;          /* 0: only rm_parse() can tell, and nothing else here is set but slot */
  uint8_t calm;           /* TCP without SYN, FIN and RST, or UDP */
  uint8_t tcp;
};

/* Look at a frame. A plain packet is untagged or has one tag, IPv4 with a header of 20 bytes and no fragment or IPv6
 * without extension headers, TCP or UDP with whole headers and, if tunnels are looked into, not UDP to one of
 * their ports; rm_parse() then says RM_PARSE_FLOW and agrees on everything that is here. */
void rm_peek(const struct rm_flows *t, const uint8_t *frame, uint32_t bytes, bool inner, struct rm_peek *out);

#define RM_LOOK 64 /* frames at most that are looked at together */

/* Frames that came together, from one port, and what is left to do for them. */
struct rm_look {
  const uint8_t *frame[RM_LOOK];
  RM_ALIGNED uint32_t bytes[RM_LOOK]; /* of them that may be read */
  uint32_t n;
  bool inner, observed;    /* as for rm_peek() and rm_decide() */
  bool wary;               /* all are left to do: the caller has to see them first */
  uint32_t todo_count;
  uint8_t todo[RM_LOOK];   /* indices, rising, of frames that were not done with */
  uint64_t again;          /* bit for each of them for which rm_quiet() is to be asked in its turn */
  uint64_t passes;         /* bit for each of the others whose flow has RM_FLOW_PASSES */
  uint64_t hash[RM_LOOK];
  RM_ALIGNED uint32_t slot[RM_LOOK];
  uint32_t place[RM_LOOK]; /* of those in todo that are plain: slot or, if there is none, where the flow will most likely begin */
  RM_ALIGNED uint32_t payload[RM_LOOK], facts[RM_LOOK]; /* the rest of a struct rm_peek */
  /* The key: addresses as they lie in memory, numbers of the ports, vlan and protocol; the end that comes first is near. And
   * how the frames compare with their flows. */
  uint32_t near[RM_LOOK], far[RM_LOOK], ports[RM_LOOK], rest[RM_LOOK];
  uint32_t expect[RM_LOOK], mask[RM_LOOK], never[RM_LOOK];
} RM_ALIGNED;
#define RM_LOOK_PLAIN 1u       /* of facts; without it there is no other */
#define RM_LOOK_CALM 2u
#define RM_LOOK_TCP 4u
#define RM_LOOK_EVERYDAY 8u    /* IPv4 of at least 54 bytes: near, far, ports and rest are its key */
#define RM_LOOK_KIND_SHIFT 8   /* two bits */
#define RM_LOOK_AT_SHIFT 16    /* offset of the transport header */

/* Look at look->n frames at once: rm_peek() for each, and all that rm_quiet() does for those that are quiet whatever becomes of
 * the frames before them. The others are for the caller, one after the other: rm_quiet() if `again` says so, and, if
 * that says 0 or was not asked, rm_decide() or what else the parser's verdict calls for. Memory that will be
 * needed for them is asked for. */
void rm_look(struct rm_flows *t, struct rm_look *look);
/* The same in two halves, between which nothing becomes of the table's epoch and tick. Bytes are read, facts, keys and hashes are known,
 * and buckets are asked for; nothing is let pass. Then the rest, with bytes read again of frames whose facts were set to 0. */
void rm_look_keys(const struct rm_flows *t, struct rm_look *look);
void rm_look_rest(struct rm_flows *t, struct rm_look *look);
/* Can this processor do it the wide way? */
bool rm_look_wide(void);

static inline struct rm_peek rm_look_peek(const struct rm_look *l, uint32_t i) {
  uint32_t facts = l->facts[i];
  return (struct rm_peek){.hash = l->hash[i], .slot = l->slot[i], .payload_bytes = l->payload[i],
                          .transport_offset = (uint16_t)(facts >> RM_LOOK_AT_SHIFT), .kind = facts >> RM_LOOK_KIND_SHIFT & 3,
                          .plain = facts & RM_LOOK_PLAIN, .calm = (facts & RM_LOOK_CALM) != 0, .tcp = (facts & RM_LOOK_TCP) != 0};
}

/* rm_parse(), or rm_parse_inner(), of a frame that was looked at: what is known already is not worked out again. */
uint8_t rm_parse_looked(const struct rm_look *l, uint32_t i, struct rm_packet *out);

/* `entries` and `buckets` are zeroed memory of `slots` and `slots` / RM_WAYS elements, aligned to a cache line. */
void rm_flows_open(struct rm_flows *t, struct rm_flow *entries, struct rm_flow_bucket *buckets, uint32_t slots,
                   const uint64_t secret[2]);
/* Before the packets of a moment: take note of the rules' generation and of the tick. */
void rm_flows_begin(struct rm_flows *t, const struct rm_rules *rules, uint64_t now);
/* No flow is quiet any more. */
void rm_flows_wake(struct rm_flows *t);
uint64_t rm_flows_hash(const struct rm_flows *t, const struct rm_packet *p);
/* Where a flow stands, told by bucket and signature alone, or RM_NO_FLOW. */
uint32_t rm_flows_seek(const struct rm_flows *t, uint64_t hash);
/* This flow is not quiet any more. */
void rm_flow_wake(struct rm_flows *t, const struct rm_flow *f);
/* Set or clear RM_FLOW_PASSES. */
void rm_flow_passes(struct rm_flows *t, struct rm_flow *f, bool passes);
/* The entry of a packet's flow, or null. Aged or not. */
struct rm_flow *rm_flows_find(struct rm_flows *t, const struct rm_packet *p, uint64_t hash);
/* Make `f` the entry of the packet's flow as if nothing had been seen of it: counters and halves zero, scale 0xff,
 * first_ns = last_ns = now, rule 0xff, peer RM_NO_FLOW, seed_switch 0. The client is the sender of this packet, or of a
 * SYN-ACK the receiver. */
void rm_flow_start(struct rm_flow *f, const struct rm_packet *p, uint64_t now);
/* Step 5 of rm_decide. */
uint8_t rm_flow_age(const struct rm_flow *f);
/* The entry, made if need be. Takes a free place of its two buckets, or that of a closed flow, else an aged one, else (counted in `evicted`, a
 * closing one in `expired`) the least valuable: closing before unanswered (a half without packets, or TCP opening) before the rest (counted in
 * `evicted_live` as well), the least recently used among equals, nearly. A found entry whose age is over is counted in
 * `expired` and starts anew. *fresh tells whether the entry is new. Never fails.
 * Aged: age_ns of its class is not 0 and now - last_ns >= age_ns. Wherever times are compared, a clock that went
 * back counts as standing still. */
struct rm_flow *rm_flows_get(struct rm_flows *t, const struct rm_packet *p, uint64_t hash,
                             const struct rm_rules *rules, uint64_t now, bool *fresh);
/* Free what is aged in the next `buckets` buckets. */
void rm_flows_sweep(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint32_t buckets);

/* Decide for one packet with verdict RM_PARSE_FLOW, and update its flow.
 *
 * `observed`: the frame came out of the box: it updates the flow and is never copied.
 * *flow receives the entry.
 *
 * In this order, for a packet of direction d (h = half[d], o = half[1-d]):
 *  0. Quiet: a plain (rm_peek) and calm packet of a flow whose quiet bit for d and for whether it has payload is set, for
 *     these rules; outer_dir is as step 1 would set it; the tick of the flow's last packet is this one's or, if the
 *     rule has no keepalive_ns, at most so many before that the flow cannot be aged: age_ns in whole ticks less one, and no
 *     more than RM_PATIENCE_MAX. It is not copied. If the rule has seed or keepalive_window, steps 4
 *     and 6 are done; else only last_ns becomes the later of itself and the start of the tick. Flows are told by bucket and signature
 *     here: one in 2^28 may be taken for another.
 *  1. Find or make the entry. A TCP SYN without ACK (observed or not) whose entry is not in age TCP_OPENING, or
 *     whose end (step 4) differs from h.next while h.packets > 0, starts the entry anew with rm_flow_start (the
 *     place is kept; from here on the entry is new). A repeated SYN does not. outer_dir is set: d of
 *     a packet from outside, 1-d of an observed one.
 *  2. Rule: if the entry is new or its rule_generation differs from rules->generation, the first rule whose
 *     BPF program accepts the frame (bpf_count 0: accepts) is cached. BPF runs on the frame as it is.
 *     If the rule says plaintext and the packet has payload, the flow's nature is judged (rm_nature_next): while it is
 *     UNKNOWN or PLAIN, of the first RM_NATURE_PACKETS packets with payload of each direction only.
 *     If the rule has turns (one of its turn_bytes is not 0) and they are not over (plaintext and nature OPAQUE, or
 *     turn_bytes_max not 0 and turn_spent not below it); else nothing of them is looked at or changed: payload from another side than the last, or the first payload of all, makes d the
 *     talker and sets turn_left to the rule's turn_bytes_up if d is the client, else turn_bytes_down.
 *  3. A rule matched and it is not `none`; the first that applies:
 *     a. all -> ALL
 *     b. handshake and TCP: SYN flag -> HANDSHAKE; ACK flag without SYN, RST and FIN while h has ACK_DUE ->
 *        HANDSHAKE. A protocol that is not TCP has no handshake: its first packet of each direction
 *        (h.packets == 0) is HANDSHAKE.
 *     c. teardown and TCP: FIN or RST -> TEARDOWN; ACK while h has FIN_ACK_DUE -> TEARDOWN
 *     d. h.packets < first_packets -> FIRST
 *     e. payload_bytes > 0 and h.payload_packets < first_payload_packets -> PAYLOAD
 *     f. payload_bytes > 0, not (plaintext and nature OPAQUE), and h.payload_bytes < first_bytes_up (d is the client) or
 *        first_bytes_down -> BYTES; likewise turn_left > 0 and turns not over -> TURN
 *     g. TCP, ACK without RST, h has REPLY_DUE, ack at or after o.copied -> ACK
 *     h. keepalive_ns and now - (h.mirrored_ns or first_ns if never) >= keepalive_ns -> KEEPALIVE
 *     i. keepalive_window, TCP with payload, SYN in both halves, h COPIED, o SEQ, and end (step 4) is later than h.copied by
 *        more than half of o.window << o.scale (unshifted unless both SYNs had the option) -> KEEPALIVE
 *     j. sample and (h.packets + rm_flow_salt) % sample == 0, in 32 bits -> SAMPLE
 *     A copy that the budget refuses is shed: from here on as if there were no reason.
 *     An observed packet is judged in the same way, because the other side of the node decides for it: it counts as copied
 *     below, but for `mirrored`, and is never copied here.
 *  4. Update h: packets, bytes += frame_bytes; payload_packets, payload_bytes; if copied: mirrored++ (not observed),
 *     mirrored_ns = now. Counters of 32 bits wrap, payload_bytes stops. Payload: turn_left falls by it, to 0 at least;
 *     turn_spent grows by it if the reason is TURN, to 2^32 - 1 at most.
 *     TCP, copied: copied = the later of copied and end, COPIED set. If it has ACK and is at or after o.copied, REPLY_DUE of
 *     h is cleared (before the next). If it has payload, and the rule says acks or the reason is KEEPALIVE, o gets REPLY_DUE.
 *     TCP: end = seq + payload_bytes + SYN + FIN. next = the later of next and end (what is up to 2^30
 *     behind, the largest window, is not later, and any other is; first packet of h: end). ACK flag: ack likewise the later one
 *     (first ACK of h: taken), window = raw window, RM_HALF_SEQ set. SYN: flags |= SYN, scale, SACK taken (a SYN without SACK
 *     clears it). SYN without ACK: ACK_DUE set. An ACK without SYN clears ACK_DUE and FIN_ACK_DUE. FIN: h FIN set; o FIN_ACK_DUE set. RST: flow
 *     RM_FLOW_RESET set.
 *  5. Age: TCP: RST seen, or FIN in each half that has packets -> TCP_CLOSING; both halves have sent a segment with ACK set
 *     (RM_HALF_SEQ in both) -> TCP; else TCP_OPENING. UDP 17 -> UDP; ICMP 1 and ICMPv6 58 -> ICMP; else OTHER.
 *  6. last_ns = now.
 *  7. Quiet bits. Those of the other direction are cleared if the packet has FIN, the talker or the nature changed, or o got
 *     REPLY_DUE. Those of d are set as follows. None for TCP without SEQ in h. Both if no rule matched or it is `none`. None
 *     for `all`, sample, a keepalive_ns below two ticks; TCP with ACK_DUE, FIN_ACK_DUE or REPLY_DUE in h; h.packets below
 *     first_packets. Without payload: else. With payload: else, unless keepalive_window; h.payload_packets below
 *     first_payload_packets; plaintext and nature TLS, SSH or QUIC, or UNKNOWN or PLAIN and h.payload_packets below
 *     RM_NATURE_PACKETS; not (plaintext and OPAQUE) and h.payload_bytes below the first bytes of its side; turns not
 *     over and d not the talker, or turn_left > 0. */
struct rm_verdict rm_decide(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                            uint64_t hash, const uint8_t *frame, uint64_t now, bool observed,
                            struct rm_flow **flow);

/* The same for a frame with verdict RM_PARSE_FRAGMENT. A FIRST one is decided for as a packet of its flow, and what became
 * of it is kept for RM_FRAGMENT_NS; the later ones of the same packet do likewise, as FRAGMENT. Those whose first one is
 * not known, and BARE ones, are copied as FRAGMENT if any rule copies anything. Observed ones are never copied. */
struct rm_verdict rm_decide_fragment(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                                     const uint8_t *frame, uint64_t now, bool observed);

/* Where the fate of a packet's first fragment stands. */
struct rm_fragment *rm_fragment_place(struct rm_flows *t, const struct rm_packet *p);

#define RM_WITNESSED_ENDS 1u /* on SYN, FIN and RST */
#define RM_WITNESSED_REST 2u
static inline bool rm_is_witnessed(const struct rm_flows *t, const struct rm_packet *p) {
  uint32_t ends = p->tcp_flags & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST);
  return t->witnessed && (t->witnessed & (ends ? RM_WITNESSED_ENDS : RM_WITNESSED_REST));
}

/* witness.c: put down a decision in t->witness, in these steps; of a frame that is no flow without the second one. */
void rm_witness_begin(const struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p, uint64_t now, bool observed);
void rm_witness_flow(struct rm_flows *t, const struct rm_flow *before);
void rm_witness_fragment(struct rm_flows *t, const struct rm_fragment *before);
void rm_witness_end(const struct rm_flows *t, const struct rm_flow *after, struct rm_verdict v);

/* Take a decision again. `kept` bytes of the frame are there; a frame is judged with as many zeros behind them as it was
 * long. The verdict, state and digest that come out go to *again. */
enum rm_retold {
  RM_RETOLD_SAME,
  RM_RETOLD_OTHER,
  RM_RETOLD_CUT,       /* it depended on bytes of the frame that were not kept */
  RM_RETOLD_IMPOSSIBLE, /* no plane can have written this */
  RM_RETOLDS
};
enum rm_retold rm_witness_retell(const struct rm_rules *rules, const struct rm_witness *w, const uint8_t *frame, uint32_t kept,
                                 struct rm_witness *again);

/* What the payload of packet `p` says of its flow, of which `h` (the sender's half, before this packet) is known. */
uint8_t rm_nature_next(uint8_t nature, const struct rm_packet *p, const uint8_t *payload, const struct rm_half *h);
#define RM_NATURE_PACKETS 8u

/* A number of the flow that spreads samples: the last words of both addresses, and both ports. */
uint32_t rm_flow_salt(const struct rm_packet *p);

/* Run a classic BPF program as libpcap's bpf_filter does: nonzero accepts. No program (count 0) accepts. A read
 * outside the frame, division by zero, an unknown instruction and running off the end reject. Jumps are forward. */
uint32_t rm_bpf_run(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes);
/* The same for a frame of which only the first bytes are at hand: would the program look at others? */
bool rm_bpf_reaches(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes, uint32_t wire_bytes);
#endif
