/**
 * Names of the enumerations in native/abi.h, in their order: a number on the board is an index into these.
 *
 * A test parses the header and holds the two against each other. Names are those of C in lower case; only roles and
 * boxes, which people type, have hyphens.
 */
export const ROLE = [
  "upstream",
  "downstream",
  "primary-in",
  "primary-out",
  "redundant-in",
  "redundant-out",
  "redundant-2-in",
  "redundant-2-out",
  "redundant-3-in",
  "redundant-3-out",
] as const;
export const SIDE = ["up", "down"] as const;
export const BOX = ["primary", "redundant", "redundant-2", "redundant-3"] as const;
export const PATH = [...BOX, "wire", "block"] as const;
export const STATE = ["setup", "starting", "running", "stopped", "failed"] as const;
export const POLL = ["busy", "sleep"] as const;
/** Senses that judge a box. */
export const DETECTOR = ["link", "silence", "probe", "bfd", "grey", "check"] as const;
/** What a detector says. */
export const LIGHT = ["off", "green", "yellow", "red"] as const;
export const EVENT_KIND = ["switch", "link", "box", "stall", "detector", "member", "steer"] as const;
export const CAUSE = [
  "start",
  "link",
  "silence",
  "order",
  "return",
  "stall",
  "probe",
  "bfd",
  "grey",
  "check",
  "propagation",
] as const;
/** How far control wants a move of flows to be, and how far it is. */
export const STEER_PHASE = ["none", "note", "hold", "route", "cancel"] as const;
export const STEER_STATE = ["unknown", "noting", "holding", "broken", "routed", "cancelled"] as const;
/** Which links follow when an outside link is lost. */
export const PROPAGATE = ["off", "one", "both"] as const;
/** A relay in a NIC that joins two ports without the node. */
export const BYPASS = ["none", "normal", "on", "isolate"] as const;
/** Why a copy was made, in falling order of value. */
export const WHY = [
  "none",
  "neighbour",
  "handshake",
  "teardown",
  "keepalive",
  "first",
  "payload",
  "ack",
  "fragment",
  "bytes",
  "turn",
  "sample",
  "all",
] as const;
/** What the payload of a flow showed so far. */
export const NATURE = ["unknown", "plain", "tls", "ssh", "quic", "opaque"] as const;
/** What the parser made of a frame; from "short_ethernet" on it is malformed. */
export const PARSE = [
  "flow",
  "neighbour",
  "link_local",
  "not_ip",
  "fragment",
  "short_ethernet",
  "short_vlan",
  "deep_vlan",
  "short_ip",
  "bad_ip_version",
  "bad_ip_header",
  "bad_ip_length",
  "deep_ipv6",
  "short_transport",
  "bad_tcp_offset",
] as const;
export const COUNTER = [
  "tx_full",
  "mirror_full",
  "blocked",
  "shadow",
  "drained",
  "arp_answered",
  "arp_unknown",
  "seeded",
  "seed_unpaired",
  "seed_swallowed",
  "seed_full",
  "flow_evicted",
  "flow_expired",
  "event_lost",
  "too_big",
  "stalls",
  "flow_evicted_live",
  "handover_full",
  "crossing_full",
  "seed_held",
  "paused",
  "injected",
  "inject_refused",
  "canary_taken",
  "replayed",
  "replay_seen",
  "replay_dropped",
  "replay_unknown",
  "guarded",
  "announced",
  "probe_taken",
  "probe_stray",
  "probe_unsent",
  "fixed_up",
  "fixup_collision",
  "fixup_full",
  "seed_alike",
  "seed_translated",
  "seed_unlike",
  "seed_unheard",
  "seed_repeated",
  "seed_hurried",
  "seed_left",
  "resynced",
  "recorded",
  "record_shed",
  "value_refused",
  "value_seeded",
  "value_removed",
  "steered",
  "steer_held",
  "steer_again",
  "steer_forgotten",
] as const;
/** Of a BFD session, as on the wire (RFC 5880, 4.1). */
export const BFD_STATE = ["admin_down", "down", "init", "up"] as const;
/** Why it is in that state. */
export const BFD_DIAG = [
  "none",
  "detection",
  "echo",
  "neighbour",
  "forwarding",
  "path",
  "concatenated",
  "admin",
  "reverse",
] as const;
/** Why a packet that came for BFD was not taken; the first: it was. */
export const BFD_DISCARD = [
  "taken",
  "frame",
  "checksum",
  "version",
  "length",
  "multiplier",
  "multipoint",
  "my_discriminator",
  "state",
  "no_session",
  "ttl",
  "auth_absent",
  "auth_unasked",
  "auth_type",
  "auth_key",
  "auth_digest",
  "auth_sequence",
  "echo",
  "not_bfd",
] as const;
/** What the flight recorder keeps of a frame. */
export const WITNESS = ["flow", "fragment", "neighbour", "shadow"] as const;
/** What the reflexes did. */
export const STEP = ["verdict", "switch", "order", "wait", "stay"] as const;
/** Where a frame of the capture ring was seen: copied for the standby, received by a port, handed to one. */
export const TAP = ["copy", "in", "out"] as const;
/** Connections as the match counts them. */
export const MATCH_CLASS = ["tcp", "udp", "other"] as const;
/** Frames of the node's own through the boxes. */
export const PROBE_KIND = ["icmp", "udp", "tcp", "raw"] as const;
/** What is to become of them. */
export const PROBE_EXPECT = ["seen", "answered", "blocked"] as const;
/** Why a probe has its light. */
export const PROBE_REASON = [
  "well",
  "lost",
  "some_lost",
  "never",
  "leaked",
  "neither",
  "no_mac",
] as const;
/** Why traffic through a box is grey. */
export const GREY_REASON = [
  "well",
  "loss_low",
  "loss",
  "loss_high",
  "one_way",
  "openings",
  "repeats",
  "delay",
] as const;
/** Classes of flows for ageing. */
export const AGE = ["tcp_opening", "tcp", "tcp_closing", "udp", "icmp", "other"] as const;

/** Bits of a half's flags. */
export const HALF_FLAG = {
  syn: 1,
  ack_due: 2,
  fin: 4,
  seq: 8,
  sack: 16,
  fin_ack_due: 32,
  copied: 64,
  reply_due: 128,
} as const;
/** Bits of a flow's flags. */
export const FLOW_FLAG = {
  used: 1,
  ipv6: 2,
  reset: 4,
  client: 8,
  talker: 16,
  talked: 32,
  inner: 64,
  /** Moved by the plane, not by the rules: answered, and closed on neither side. */
  passes: 128,
} as const;
/** Sizes of fixed arrays in the header. */
export const LIMIT = {
  rules: 16,
  bpf_max: 128,
  name_bytes: 32,
  spec_bytes: 240,
  events: 256,
  workers: 16,
  bfd_sessions: 16,
  bfd_key_bytes: 20,
  probes: 16,
  probe_bytes: 1536,
  probe_ports: 32,
  delays: 64,
} as const;
/** Beginning of the capture file, "RMXC". */
export const CAPTURE_MAGIC = 0x43584d52;
export const ABI_VERSION = 11;
/** Of one entry of a flow table. */
export const FLOW_BYTES = 192;
/** "No flow" in `peer`, and "no rule" in `rule`. */
export const NO_FLOW = 0xffffffff;
export const NO_RULE = 0xff;

export type Tap = (typeof TAP)[number];
export type Why = (typeof WHY)[number];
export type Parse = (typeof PARSE)[number];
export type Nature = (typeof NATURE)[number];
export type Age = (typeof AGE)[number];
export type ProbeKind = (typeof PROBE_KIND)[number];
export type ProbeExpect = (typeof PROBE_EXPECT)[number];
export type Detector = (typeof DETECTOR)[number];
export type BfdState = (typeof BFD_STATE)[number];
export type BfdDiag = (typeof BFD_DIAG)[number];
export type SteerPhase = (typeof STEER_PHASE)[number];
export type SteerState = (typeof STEER_STATE)[number];
export type EventKind = (typeof EVENT_KIND)[number];
export type Cause = (typeof CAUSE)[number];

/** The bit that stands for frames of a role, an index of ROLE, at a tap. */
export function tapBit(tap: Tap, role: number): number {
  return 1 << (ROLE.length * TAP.indexOf(tap) + role);
}
