/**
 * What the node tells people: the shapes behind `status`, `flows`, `events` and the API.
 *
 * Pure types. Every time is a number of milliseconds since the epoch unless its name says otherwise; every count is
 * since the start of the plane. A view carries `freshMs`: older than a second means control has lost sight
 * of the plane, and whatever it shows is history, not state.
 */
import {
  type Cause,
  type Detector,
  type EventKind,
  PATH,
  type ProbeExpect,
  type ProbeKind,
  ROLE,
} from "../filter/names.ts";

export { PATH as PATHS, ROLE as ROLES };
export type { Detector };
export type Role = (typeof ROLE)[number];
export type Path = (typeof PATH)[number];
export type Box = "primary" | "redundant";
export type Light = "green" | "yellow" | "red";

export interface PortView {
  readonly role: Role;
  /** As configured: "af_packet:eth1", "0000:03:00.0". */
  readonly spec: string;
  readonly driver: string;
  readonly mac: string;
  readonly mtu: number;
  readonly link: "up" | "down";
  readonly linkChanges: number;
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

export interface BoxView {
  readonly box: Box;
  readonly light: Light;
  /** One sentence: why it is green, yellow or red. */
  readonly reason: string;
  readonly serving: boolean;
  /** Those in use that have something to say; links first. */
  readonly detectors: readonly DetectorView[];
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
  /** green: both boxes alive; yellow: serving without a spare, or stale; red: no box alive. */
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
  readonly switches: number;
  readonly lastSwitch: EventView | null;
}

export interface EventView {
  readonly sequence: number;
  /** Random id of the plane that wrote it, hexadecimal. */
  readonly boot: string;
  readonly wallMs: number;
  readonly monoUs: number;
  readonly kind: EventKind | "plane";
  readonly cause: Cause | "died" | "attached";
  readonly subject: string;
  readonly before: string;
  readonly after: string;
  /** Time since the box was last seen working; null where it has no meaning. */
  readonly silentUs: number | null;
  /** Upper estimate of packets put into the box that did not come out. */
  readonly lostPackets: number | null;
  readonly text: string;
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
  readonly packets: readonly [outer: number, inner: number];
  readonly bytes: readonly [outer: number, inner: number];
  readonly mirrored: number;
  readonly rule: string;
  /** The same connection seen on the other side of the box: the binding. Empty: not inferred. */
  readonly binding: string;
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
  /** too-little: nothing is judged yet; changed: the box alters packets so that they are not known again. */
  readonly state: "judged" | "too-little" | "changed";
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
  /** Of the last so many seconds; null: so many before and after the last switch. */
  readonly lastS: number | null;
  readonly aroundS: number;
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

/** What the API and the CLI may ask of a running node. */
export interface NodeControl {
  status(): NodeStatus;
  /** At most `limit` flows, the busiest first. */
  flows(options: { limit: number; side?: "upstream" | "downstream"; text?: string }): readonly FlowView[];
  /** Events with a sequence above `after`, oldest first, at most `limit`. */
  events(options: { after: number; limit: number }): readonly EventView[];
  /** Moves the traffic to the redundant box. Refused (ok false) when it is not alive, unless forced. */
  switchover(options: { force: boolean }): Promise<OrderResult>;
  /** Moves the traffic back to the primary. */
  failback(options: { force: boolean }): Promise<OrderResult>;
  /** Validates and takes over a changed configuration; problems leave the old one in force. */
  reload(): Promise<{ ok: boolean; text: string }>;
  /** Probes through the boxes, and what real traffic shows. */
  probes(): ProbeListing;
  readonly captures: CaptureControl;
}
