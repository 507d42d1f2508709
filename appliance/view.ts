/**
 * What the node tells people: the shapes behind `status`, `flows`, `events` and the API.
 *
 * Pure types. Every time is a number of milliseconds since the epoch unless its name says otherwise; every count is
 * since the start of the plane. A view carries `freshMs`: older than a second means control has lost sight
 * of the plane, and whatever it shows is history, not state.
 */
import { BOX, type Detector, MATCH_CLASS, PATH, ROLE } from "../filter/names.ts";

import type { UpdateReport } from "./update/contract.ts";
import type { LayerControl } from "./layer/contract.ts";
import type { VnfControl } from "./vnf/contract.ts";
import type { RecorderControl } from "./view_recorder.ts";
import type { EventView } from "./view_events.ts";
import type { LearningView } from "./failover/learning.ts";
import type { StateControl } from "./view_state.ts";
import type { SignedReport } from "./drill_report.ts";
import type { FailbackView, MatchReport, MatchView, TwinView } from "./view_match.ts";
import type {
  BfdView,
  CheckView,
  DampingView,
  DetectorView,
  ExternalSwitchView,
  ProbeListing,
} from "./view_detectors.ts";

/** All there may be: a node has the first so many of them, with as many boxes. */
export { BOX as BOXES, MATCH_CLASS as MATCH_CLASSES, PATH as PATHS, ROLE as ALL_ROLES };
export type { Detector };
export type { EventView } from "./view_events.ts";
export type * from "./view_detectors.ts";
export type * from "./view_match.ts";
export type * from "./view_recorder.ts";
export type * from "./view_state.ts";
export type Role = (typeof ROLE)[number];
/** The ports that every node has. */
export const ROLES = [
  "upstream",
  "downstream",
  "primary-in",
  "primary-out",
  "redundant-in",
  "redundant-out",
] as const satisfies readonly Role[];
export type BaseRole = (typeof ROLES)[number];
export type Path = (typeof PATH)[number];
export type Box = (typeof BOX)[number];
export type Light = "green" | "yellow" | "red";

/** The ports of a box: client side, server side. */
export function rolesOfBox(box: Box): readonly [Role, Role] {
  return [`${box}-in`, `${box}-out`];
}

export interface PortView {
  readonly role: Role;
  /** As configured: "af_packet:eth1", "0000:03:00.0". */
  readonly spec: string;
  readonly driver: string;
  readonly mac: string;
  readonly mtu: number;
  readonly link: "up" | "down";
  readonly linkChanges: number;
  /** The node itself took the link down, because another is lost. */
  readonly taken: boolean;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  /** Frames the port did not take, dropped and counted. */
  readonly txFull: number;
  /** Frames lost before the plane saw them, as the port reports. */
  readonly rxMissed: number;
  readonly mirroredPackets: number;
  readonly mirroredBytes: number;
  /** Of a port of a box elsewhere. */
  readonly channel?: ChannelView;
}

/** The way to a far end. Units are frames, or the parts of those that do not fit into one datagram. */
export interface ChannelView {
  /** There is a session: the far end has the key and answers. */
  readonly open: boolean;
  readonly sessions: number;
  /** 0: not measured yet. */
  readonly roundTripUs: number;
  /** Of a frame, at most, in one datagram. */
  readonly unitBytes: number;
  readonly sent: number;
  readonly sentAgain: number;
  /** Asked for by the far end, and not kept any more. */
  readonly gone: number;
  /** Not sent again, because too many were asked for at once. */
  readonly shed: number;
  readonly received: number;
  readonly asked: number;
  /** Of those asked for, those that then came. */
  readonly recovered: number;
  /** Given up on the way here, and on the way to the far end as it says. */
  readonly lost: number;
  readonly farLost: number;
  readonly beyond: number;
  readonly repeated: number;
  readonly torn: number;
  /** Datagrams without a good seal, of another session, or replayed. */
  readonly refused: number;
}

/** One poll loop of the plane. */
export interface WorkerView {
  /** The CPU it stays on; null: not pinned. */
  readonly cpu: number | null;
  /** The ports it receives from. */
  readonly ports: readonly Role[];
  /** Which receive queue of them is its own. */
  readonly queue: number;
  readonly polling: "busy" | "sleep";
  /** Share of a core used since the last reading, 0..1. */
  readonly share: number;
  readonly loopMaxUs: number;
  readonly rxPackets: number;
  readonly txPackets: number;
}

/** Seeds for all live connections into one box. */
export interface ResyncView {
  readonly running: boolean;
  /** It came by itself, for flows of which nothing was copied lately. */
  readonly refresh: boolean;
  /** That it began with. */
  readonly flows: number;
  readonly done: number;
  /** Of those done, what the box gave another binding. */
  readonly unlike: number;
  /** Of those done, where the box handed nothing over. */
  readonly unheard: number;
  /** There was no room or no buffer. */
  readonly failed: number;
  /** They ended meanwhile, or their other half is not known. */
  readonly gone: number;
  readonly tookMs: number;
}

export interface BoxView {
  readonly box: Box;
  /** What the configuration calls it; else the same. */
  readonly name: string;
  /** It has not left: it gets copies, and may be chosen. */
  readonly member: boolean;
  readonly light: Light;
  /** One sentence: why it is green, yellow or red. */
  readonly reason: string;
  readonly serving: boolean;
  /** Those in use that have something to say; links first. */
  readonly detectors: readonly DetectorView[];
  /** Among the spares that are alive and have not left: 1 takes over next. Null: it is none of them. */
  readonly turn: number | null;
  /** Null: it has not died for long. */
  readonly damping: DampingView | null;
  /** Null: it serves. */
  readonly match: MatchView | null;
  /** Seeds for all its flows: the last time, or now. Null: not yet. */
  readonly resync: ResyncView | null;
  readonly inPackets: number;
  readonly outPackets: number;
}

export interface CounterView {
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

export interface NodeStatus {
  readonly name: string;
  readonly version: string;
  /** green: all boxes alive; yellow: serving without a spare, or stale; red: no box alive. */
  readonly light: Light;
  readonly reason: string;
  readonly path: Path;
  readonly pathSinceMs: number;
  readonly freshMs: number;
  readonly plane: {
    readonly state: "starting" | "running" | "stopped" | "failed" | "absent";
    readonly pid: number;
    readonly startedMs: number;
    /** Planes started by control because the one before died. */
    readonly restarts: number;
    readonly hugepages: boolean;
    readonly polling: "busy" | "sleep";
    /** Share of one core used since the last reading, of all workers together. */
    readonly cpu: number;
    readonly loopMaxUs: number;
    /** Which of them has which ports. */
    readonly workers: readonly WorkerView[];
    readonly error: string;
  };
  readonly boxes: readonly BoxView[];
  readonly checks: readonly CheckView[];
  readonly ports: readonly PortView[];
  readonly flows: { readonly upstream: number; readonly downstream: number; readonly slots: number };
  readonly mirror: {
    /** Copies by packets over packets from outside, 0..1. */
    readonly share: number;
    readonly shareBytes: number;
    readonly why: readonly CounterView[];
    /** Copies not made because the budget was spent, by reason. */
    readonly shed: readonly CounterView[];
    readonly rules: readonly CounterView[];
  };
  readonly counters: readonly CounterView[];
  readonly parse: readonly CounterView[];
  readonly bfd: BfdView;
  readonly switches: number;
  readonly lastSwitch: EventView | null;
  /** Of a failback by itself; null: none is to come. */
  readonly failback: FailbackView | null;
  readonly lastDrill: DrillSummary | null;
  readonly external: readonly ExternalSwitchView[];
  /** Absent: the node is armed. */
  readonly learning?: LearningView;
}

export interface FlowView {
  readonly side: "upstream" | "downstream";
  readonly protocol: string;
  /** "10.1.0.11:40112" or "[2001:db8::1]:443"; the end outside this side's port first. */
  readonly outer: string;
  readonly inner: string;
  readonly vlan: number;
  readonly age: "tcp-opening" | "tcp" | "tcp-closing" | "udp" | "icmp" | "other";
  readonly idleMs: number;
  /** Stand still, like bytes, while nothing is to be copied, unless the rule has `seed` or `keepaliveWindow`. */
  readonly packets: readonly [outer: number, inner: number];
  readonly bytes: readonly [outer: number, inner: number];
  readonly mirrored: number;
  /** Empty: none matched. "?": it was replaced, and no packet came since. */
  readonly rule: string;
  /** The same connection seen on the other side of the box: the binding. Empty: not inferred. */
  readonly binding: string;
  /** Why the binding cannot be inferred; empty: it is there, or may come yet. */
  readonly unsure: string;
  /** What standbys made of it; those not compared are left out. */
  readonly standbys: readonly TwinView[];
}

export interface OrderResult {
  readonly ok: boolean;
  readonly path: Path;
  readonly text: string;
  readonly tookUs: number | null;
}

export interface LiveRequest {
  /** A pcap-filter(7) expression; empty takes everything. */
  readonly filter: string;
  /** Ports whose own frames are wanted too, both directions. */
  readonly ports: readonly Role[];
  /** Ends it by itself; null: only the reader does. */
  readonly seconds: number | null;
  readonly packets: number | null;
}

export interface KeptRequest {
  readonly filter: string;
  /** Of the last so many seconds; null: so many before and after a moment. */
  readonly lastS: number | null;
  readonly aroundS: number;
  /** The moment, since the epoch. @default the last switch */
  readonly atMs?: number;
}

/** A pcapng file that comes in pieces, or why there is none: the request is wrong, or the node cannot. */
export type CaptureAnswer =
  | { readonly ok: true; readonly stream: ReadableStream<Uint8Array> }
  | { readonly ok: false; readonly fault: "request" | "node"; readonly text: string };

/** The ring of captured frames on disk. */
export interface CaptureListing {
  readonly directory: string;
  /** 0: no ring is kept. */
  readonly bytesMax: number;
  /** Since control started. */
  readonly packets: number;
  /** Frames that were overwritten before they were looked at. */
  readonly missed: number;
  /** Why nothing can be written at the moment; null: it can. */
  readonly failing: string | null;
  readonly files: readonly CaptureFileView[];
}

export interface CaptureFileView {
  readonly name: string;
  readonly bytes: number;
  readonly startMs: number;
  /** When it was last written to. */
  readonly endMs: number;
  /** Switches in that time, as far as is known. */
  readonly switches: number;
}

export interface CaptureControl {
  /** What is mirrored from now on. */
  live(request: LiveRequest): CaptureAnswer;
  /** What the ring holds of a time. */
  kept(request: KeptRequest): CaptureAnswer;
  list(): CaptureListing;
}

/** The outcome of a drill, in a line. */
export interface DrillSummary {
  readonly box: Box;
  readonly ok: boolean;
  readonly text: string;
  readonly startedMs: number;
  /** A connection was forgotten after so long a silence. Absent: none was, or none was silent. */
  readonly forgotMs?: number;
}

/** A signed report, or why there was no drill. */
export type DrillAnswer =
  | { readonly ok: true; readonly signed: SignedReport }
  | { readonly ok: false; readonly text: string };

export interface DrillControl {
  /** Canaries through a box that stands by; null: the one that would take over. */
  run(box: Box | null): Promise<DrillAnswer>;
  /** Drills whose reports are kept, oldest first. */
  list(): readonly DrillSummary[];
}

/** What the API and the CLI may ask of a running node. */
export interface NodeControl {
  status(): NodeStatus;
  /** At most `limit` flows, the busiest first. */
  flows(options: {
    limit: number;
    side?: "upstream" | "downstream";
    text?: string;
    unlike?: boolean;
  }): readonly FlowView[];
  /** Events with a sequence above `after`, oldest first, at most `limit`. */
  events(options: { after: number; limit: number }): readonly EventView[];
  /** Whoever was told of events up to this one says so: if the journal has lost them, it numbers the others above. */
  eventsKnown?(options: { sequence: number }): void;
  /** Keeps what became of an update as an event, once. */
  noteUpdate?(report: UpdateReport): void;
  /**
   * Moves the traffic to a box, by either of its names; to the first spare if none is named. Refused (ok false) when it is
   * not alive, unless forced.
   */
  switchover(options: { force: boolean; box?: string }): Promise<OrderResult>;
  /** Moves the traffic back to the primary. */
  failback(options: { force: boolean }): Promise<OrderResult>;
  /** A box joins: it gets copies, and may be chosen when it has been there for the hold-up. */
  join(options: { box: string }): Promise<OrderResult>;
  /** Seeds all live flows into a box, or stops that; null: into the first that stands by. Refused where it is not alive. */
  resync(options: { box: string | null; stop: boolean }): Promise<OrderResult>;
  /** A box leaves. Refused while it serves. */
  leave(options: { box: string }): Promise<OrderResult>;
  /**
   * A box is to be worked on, or was: it leaves, relieved first by the best other if it serves; or it joins. Refused, with
   * nothing changed, where no other box is alive and warm.
   */
  maintain(options: { box: string; on: boolean }): Promise<OrderResult>;
  /** Validates and takes over a changed configuration; problems leave the old one in force. */
  reload(): Promise<{ ok: boolean; text: string }>;
  /** What standbys would carry on, what was proven, and why not; `history`: with a row for each minute. */
  match(options: { history: boolean }): MatchReport;
  /** Probes through the boxes, and what real traffic shows. */
  probes(): ProbeListing;
  /** Lets the node switch by itself. Refused, unless forced, where it would move traffic at once. */
  arm(options: { force: boolean }): Promise<OrderResult>;
  /** Has it learn: it copies, compares and judges, and moves nothing by itself. */
  disarm(options: object): Promise<OrderResult>;
  readonly captures: CaptureControl;
  readonly recorder: RecorderControl;
  readonly drills: DrillControl;
  readonly layer: LayerControl;
  readonly vnfs: VnfControl;
  readonly state: StateControl;
}
