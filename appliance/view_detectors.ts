/**
 * What the senses of a node tell people: detectors, checks, BFD, probes, external switches. Pure types, a part of view.ts.
 */
import type { BfdState, Detector, ProbeExpect, ProbeKind } from "../filter/names.ts";
import type { Box, CounterView, Light } from "./view.ts";

/** What one detector says of one box. */
export interface DetectorView {
  readonly detector: Detector;
  readonly light: Light;
  /** Why, in one sentence. */
  readonly reason: string;
  /** Time since the light last changed, and since the detector last looked; null: not since the start. */
  readonly sinceMs: number | null;
  readonly ageMs: number | null;
}

/** What is held against a box that has died, fading. */
export interface DampingView {
  /** 1000 for each death, less what is forgotten. */
  readonly points: number;
  /** Died too often: it serves only while no other box is alive. */
  readonly suppressed: boolean;
  /** When that ends if it dies no more; null: it is not suppressed. */
  readonly untilMs: number | null;
}

/** One of control's checks. */
export interface CheckView {
  readonly name: string;
  readonly box: Box;
  readonly kind: string;
  /** What is asked: an address, a URL. */
  readonly target: string;
  /** off: not known. */
  readonly light: Light | "off";
  readonly reason: string;
  /** Since an outcome last counted; null: none has. */
  readonly ageMs: number | null;
  readonly asked: number;
  readonly failed: number;
  /** Failures that did not count, because this node itself was late. */
  readonly excused: number;
}

/** One BFD session (RFC 5880). Times are ages, null: never; diagnostics are words. */
export interface BfdSessionView {
  readonly name: string;
  readonly box: Box;
  readonly side: "up" | "down";
  readonly peer: string;
  readonly local: string;
  readonly vlan: number;
  readonly multihop: boolean;
  /** What it says of its box. */
  readonly light: Light | "off";
  readonly state: BfdState;
  readonly remoteState: BfdState;
  readonly diagnostic: string;
  readonly remoteDiagnostic: string;
  /** Where packets go; null: nobody has answered yet. */
  readonly mac: string | null;
  readonly localDiscriminator: number;
  readonly remoteDiscriminator: number;
  /** Between packets sent, before jitter. */
  readonly txMs: number;
  /** Without a packet for so long it goes down; 0: not known yet. */
  readonly detectMs: number;
  /** Between echoes; 0: none are sent. */
  readonly echoMs: number;
  /** A change of parameters is being told. */
  readonly polling: boolean;
  /** The peer has asked for no packets. */
  readonly demand: boolean;
  readonly sinceMs: number | null;
  readonly heardMs: number | null;
  readonly echoHeardMs: number | null;
  readonly ups: number;
  readonly downs: number;
  readonly sent: number;
  readonly taken: number;
  readonly echoesSent: number;
  readonly echoesBack: number;
  /** Of the peer's own, sent back to it. */
  readonly echoesReturned: number;
  /** Times the node itself sent later than the peer waits. */
  readonly late: number;
  /** The node's own stalls by which detection was put off. */
  readonly excusedMs: number;
  readonly discards: readonly CounterView[];
}

export interface BfdView {
  readonly sessions: readonly BfdSessionView[];
  /** Packets that came for BFD and were not taken, by reason; of all sessions, and of none. */
  readonly discards: readonly CounterView[];
}

export interface ExternalPortView {
  /** "upstream", "primary-in", "redundant-2-out", "bypass" */
  readonly role: string;
  /** As configured. */
  readonly port: string;
  /** OpenFlow's; null: the switch has no such port. */
  readonly number: number | null;
  readonly live: boolean;
}

/** A switch of the site that the node drives. */
export interface ExternalSwitchView {
  readonly name: string;
  /** "connect tcp:10.0.0.7:6653", "listen tls:0.0.0.0:6653" */
  readonly address: string;
  /** 16 hexadecimal digits; empty: not known yet. */
  readonly datapath: string;
  readonly software: string;
  readonly light: Light;
  /** One sentence: what it is doing, or what is wrong. */
  readonly reason: string;
  /** null: it is not connected. */
  readonly connectedMs: number | null;
  /** When it was last read back and held what it should; null: not yet. */
  readonly verifiedMs: number | null;
  /** The bucket that is live: a box, "wire", "block"; empty: not known. */
  readonly serving: string;
  readonly groups: number;
  readonly flows: number;
  /** How often something that others had changed was put right. */
  readonly repairs: number;
  /** Packets to each box that may serve, and around them, as the switch counts: since its buckets last changed. */
  readonly delivered: readonly CounterView[];
  readonly ports: readonly ExternalPortView[];
}

/** One probe, one way through one box. */
export interface ProbeView {
  readonly name: string;
  readonly kind: ProbeKind;
  readonly expect: ProbeExpect;
  readonly box: Box;
  /** `up` goes in on the client side. */
  readonly direction: "up" | "down";
  /** off: there is nothing to say so far. */
  readonly light: Light | "off";
  readonly reason: string;
  readonly sent: number;
  readonly seen: number;
  readonly lost: number;
  /** Of the lost ones, those that came later. */
  readonly late: number;
  /** Those given more time because the node itself stood still. */
  readonly excused: number;
  /** Time through the box; null: none came. */
  readonly delayUs:
    | { readonly min: number; readonly p50: number; readonly p99: number; readonly max: number }
    | null;
  /** Time since the last one came; null: none did. */
  readonly ageMs: number | null;
}

/** What real traffic shows of the box that serves, one way. Shares 0..1, of the last second; `usual` is what was learnt. */
export interface TrafficView {
  readonly direction: "up" | "down";
  /** too-little: nothing is judged yet; changed: the box alters packets so that they are not known again;
   * alike: they cannot be told from each other. */
  readonly state: "judged" | "too-little" | "changed" | "alike";
  readonly sampled: number;
  readonly lost: number;
  readonly loss: Measured;
  readonly openings: Measured;
  readonly repeats: Measured;
  /** Medians. */
  readonly delayUs: Measured;
}

export interface Measured {
  readonly now: number;
  readonly usual: number;
}

export interface ProbeListing {
  readonly probes: readonly ProbeView[];
  readonly traffic: readonly TrafficView[];
}
