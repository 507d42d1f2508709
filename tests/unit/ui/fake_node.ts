/**
 * A node that is not there: its views, and a control that answers with them and remembers what it was asked.
 */
import type { VnfView } from "../../../appliance/vnf/contract.ts";
import type { MoveView } from "../../../appliance/layer/contract.ts";
import type {
  Box,
  BoxView,
  CaptureAnswer,
  CaptureListing,
  DrillAnswer,
  EventView,
  FlowView,
  MatchReport,
  NodeControl,
  NodeStatus,
  OrderResult,
  PortView,
  ProbeListing,
  RecorderStatus,
  Role,
} from "../../../appliance/view.ts";
import { kindsReport } from "../../../appliance/state_drivers.ts";
import { ROLES } from "../../../appliance/view.ts";

export const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0);

export function portView(role: Role, more: Partial<PortView> = {}): PortView {
  return {
    role,
    spec: `af_packet:${role.slice(0, 4)}`,
    driver: "af_packet",
    mac: "02:00:00:00:00:01",
    mtu: 1500,
    link: "up",
    linkChanges: 0,
    taken: false,
    rxPackets: 1000,
    rxBytes: 1_000_000,
    txPackets: 2000,
    txBytes: 3_000_000,
    txFull: 0,
    rxMissed: 0,
    mirroredPackets: 0,
    mirroredBytes: 0,
    ...more,
  };
}

export function boxView(box: Box, more: Partial<BoxView> = {}): BoxView {
  return {
    box,
    name: box,
    member: true,
    light: "green",
    reason: "links up",
    serving: false,
    detectors: [],
    turn: null,
    damping: null,
    match: null,
    resync: null,
    inPackets: 120,
    outPackets: 110,
    ...more,
  };
}

export function nodeStatus(more: Partial<NodeStatus> = {}): NodeStatus {
  return {
    name: "edge1",
    version: "0.1.0",
    light: "green",
    reason: "the primary serves, the redundant box stands by",
    path: "primary",
    pathSinceMs: NOW_MS - 7_500_000,
    freshMs: 3,
    plane: {
      state: "running",
      pid: 812,
      startedMs: NOW_MS - 10_800_000,
      restarts: 0,
      hugepages: false,
      polling: "sleep",
      cpu: 0.0412,
      loopMaxUs: 120,
      workers: [],
      error: "",
    },
    checks: [],
    boxes: [boxView("primary", { serving: true, inPackets: 5000, outPackets: 4990 }), boxView("redundant")],
    ports: ROLES.map((role) => portView(role)),
    flows: { upstream: 1234, downstream: 1230, slots: 262144 },
    mirror: {
      share: 0.0241,
      shareBytes: 0.008,
      why: [{ name: "none", packets: 0, bytes: 0 }, { name: "handshake", packets: 300, bytes: 22_000 }],
      shed: [{ name: "none", packets: 0, bytes: 0 }, { name: "turn", packets: 0, bytes: 0 }],
      rules: [{ name: "nat", packets: 300, bytes: 22_000 }],
    },
    counters: [{ name: "tx_full", packets: 0, bytes: 0 }, { name: "arp_answered", packets: 7, bytes: 0 }],
    parse: [{ name: "flow", packets: 12_000, bytes: 0 }, { name: "short_ip", packets: 0, bytes: 0 }],
    bfd: { sessions: [], discards: [] },
    switches: 1,
    external: [],
    lastSwitch: null,
    failback: null,
    lastDrill: null,
    ...more,
  };
}

export function eventView(sequence: number, more: Partial<EventView> = {}): EventView {
  return {
    sequence,
    boot: "1f",
    wallMs: NOW_MS,
    monoUs: 1_000_000,
    kind: "switch",
    cause: "silence",
    subject: "primary",
    before: "primary",
    after: "redundant",
    silentUs: 10_400,
    lostPackets: 12,
    text: `event ${sequence}`,
    ...more,
  };
}

export function flowView(more: Partial<FlowView> = {}): FlowView {
  return {
    side: "upstream",
    protocol: "tcp",
    outer: "10.1.0.11:40112",
    inner: "10.2.0.11:80",
    vlan: 0,
    age: "tcp",
    idleMs: 12,
    packets: [10, 20],
    bytes: [1000, 20_000],
    mirrored: 5,
    rule: "nat",
    binding: "",
    unsure: "",
    standbys: [],
    ...more,
  };
}

const minute = (startMs: number, equal: number, dropped: number) => ({
  box: "redundant" as const,
  startMs,
  worst: { equal, different: 0, followed: 0, dropped },
  last: { equal: 300, different: 0, followed: 0, dropped: 0 },
  lostCopies: 7,
});

export const MATCH_REPORT: MatchReport = {
  standbys: [{
    box: "redundant",
    now: {
      ...{ equal: 298, different: 2, followed: 0, dropped: 0, unknown: 5, share: 298 / 300, alarm: false },
      classes: {
        tcp: { equal: 290, different: 2, followed: 0, dropped: 0 },
        udp: { equal: 8, different: 0, followed: 0, dropped: 0 },
        other: { equal: 0, different: 0, followed: 0, dropped: 0 },
      },
    },
    worstHour: minute(NOW_MS - 60_000, 290, 10),
    worstDay: minute(NOW_MS - 7_200_000, 0, 300),
    causes: [{ kind: "collisions", flows: 2, text: "pressure on ports" }],
    history: [],
  }],
  alarmBelow: 95,
  failover: {
    ...{
      box: "redundant",
      atMs: NOW_MS - 3_600_000,
      cause: "silence",
      afterMs: 5_050,
      known: 300,
      predicted: 298,
    },
    equal: { carried: 296, lost: 0, idle: 2 },
    different: { carried: 0, lost: 2, idle: 0 },
    dropped: { carried: 0, lost: 0, idle: 0 },
    unknown: { carried: 0, lost: 0, idle: 0 },
  },
  drill: null,
  failback: null,
};

export const RECORDER_STATUS: RecorderStatus = {
  on: true,
  directory: "/var/lib/remediate/recorder",
  bytesMax: 64 * 1024 * 1024,
  bytes: 9_000_000,
  files: 2,
  hoursMax: 24,
  rateMax: 1000,
  oldestMs: NOW_MS - 60_000,
  decisions: 15_000,
  missed: 3,
  shed: 40,
  failing: null,
};

export const CAPTURE_LISTING: CaptureListing = {
  directory: "/var/lib/remediate/capture",
  bytesMax: 64 * 1024 * 1024,
  packets: 1200,
  missed: 3,
  failing: null,
  files: [{
    name: "mirror-20260131T115900.000.pcapng",
    bytes: 8_000_000,
    startMs: NOW_MS - 60_000,
    endMs: NOW_MS,
    switches: 1,
  }],
};

export const PROBE_LISTING: ProbeListing = {
  probes: [{
    name: "web",
    kind: "tcp",
    expect: "seen",
    box: "primary",
    direction: "up",
    light: "yellow",
    reason: "comes through in part",
    sent: 100,
    seen: 95,
    lost: 5,
    late: 1,
    excused: 2,
    delayUs: { min: 20, p50: 31, p99: 90, max: 120 },
    ageMs: 2,
  }],
  traffic: [{
    direction: "up",
    state: "judged",
    sampled: 5000,
    lost: 50,
    loss: { now: 0.01, usual: 0 },
    openings: { now: 0, usual: 0.1 },
    repeats: { now: 0, usual: 0 },
    delayUs: { now: 40, usual: 38 },
  }],
};

export interface FakeNode extends NodeControl {
  /** Every call as "name JSON". */
  readonly calls: string[];
  view: NodeStatus;
  result: OrderResult;
  reloaded: { ok: boolean; text: string };
  /** What every capture is answered with. */
  captured: CaptureAnswer;
  turned: { ok: boolean; text: string };
  drilled: DrillAnswer;
}

export const MOVE_VIEW: MoveView = {
  id: "1f2e3d4c",
  source: "fw-a",
  destination: "fw-b",
  fields: "* 10.1.2.0/24 * > * *",
  guarantee: "loss-free",
  step: "insert",
  course: "on",
  end: null,
  reason: "",
  startedMs: NOW_MS - 40,
  ageMs: 40,
  counts: {
    records: 512,
    bytes: 70_000,
    taken: 512,
    known: 0,
    refused: 0,
    held: 0,
    reprocessed: 0,
    deleted: 0,
  },
};

export function streamOf(...pieces: readonly Uint8Array[]): CaptureAnswer {
  return { ok: true, stream: ReadableStream.from(pieces) };
}

const NONE = { ok: false, text: "no state driver is configured" } as const;
/** Drivers are tried with real ones, in state_test.ts. */
const NO_STATE: NodeControl["state"] = {
  report: kindsReport,
  get: () => NONE,
  put: () => Promise.resolve(NONE),
  del: () => Promise.resolve(NONE),
};

const ORDERS = ["switchover", "failback", "arm", "disarm", "join", "leave", "maintain", "resync"] as const;

export const VNF_VIEW: VnfView = {
  name: "fw-b",
  box: "redundant",
  phase: "up",
  wanted: true,
  pid: 4711,
  sinceMs: NOW_MS - 60_000,
  restarts: 1,
  nextMs: null,
  reason: "",
};

function fakeVnfs(note: (name: string, options?: object) => void): FakeNode["vnfs"] {
  return {
    list: () => (note("vnfs"), [VNF_VIEW]),
    start: (name) => (note("vnf start", { name }), Promise.resolve({ ok: true, view: VNF_VIEW })),
    stop: (
      name,
    ) => (note("vnf stop", { name }), Promise.resolve({ ok: false, text: `there is no VNF "${name}"` })),
  };
}

const NO_DRIVER = { ok: false, text: "there is no driver: none is configured" } as const;

function fakeLayer(note: (name: string, options?: object) => void): FakeNode["layer"] {
  const refuse = (
    name: string,
    given: object,
  ) => (note(name, given), Promise.resolve(NO_DRIVER));
  return {
    move: (request) => refuse("move", request),
    clone: (source, destination) => refuse("clone", { source, destination }),
    merge: (source, destination) => refuse("merge", { source, destination }),
    apply: (application, request) => refuse(application, request),
    moves: () => (note("moves"), [MOVE_VIEW]),
  };
}

export function fakeNode(): FakeNode {
  const calls: string[] = [];
  const note = (name: string, options?: object) =>
    calls.push(options === undefined ? name : `${name} ${JSON.stringify(options)}`);
  return {
    calls,
    view: nodeStatus(),
    result: { ok: true, path: "redundant", text: "traffic goes by the redundant box", tookUs: 40 },
    reloaded: { ok: true, text: "the new configuration is in force" },
    drilled: { ok: false, text: "drill.client and drill.server are not set" },
    captured: streamOf(Uint8Array.of(1, 2, 3)),
    turned: { ok: true, text: "the recorder is on" },
    status() {
      note("status");
      return this.view;
    },
    flows(options) {
      note("flows", options);
      return [flowView()];
    },
    events(options) {
      note("events", options);
      return [eventView(1), eventView(2), eventView(3)].slice(0, options.limit);
    },
    match: (options: object) => (note("match", options), MATCH_REPORT),
    probes: () => (note("probes"), PROBE_LISTING),
    ...Object.fromEntries(ORDERS.map((name) => [name, function (this: FakeNode, options: object) {
      note(name, options);
      return Promise.resolve(this.result);
    }])) as Pick<FakeNode, typeof ORDERS[number]>,
    reload() {
      note("reload");
      return Promise.resolve(this.reloaded);
    },
    get drills() {
      return {
        run: (box: string | null) => (note("drill", { box }), Promise.resolve(this.drilled)),
        list: () => (note("drills"), []),
      };
    },
    vnfs: fakeVnfs(note),
    layer: fakeLayer(note),
    get recorder() {
      return {
        status: () => (note("recorder"), { ...RECORDER_STATUS }),
        set: (request: object) => (note("record", request), this.turned),
        save: (request: object) => (note("save", request), this.captured),
      };
    },
    state: NO_STATE,
    get captures() {
      return {
        live: (request: object) => (note("live", request), this.captured),
        kept: (request: object) => (note("kept", request), this.captured),
        list: () => (note("list"), { ...CAPTURE_LISTING }),
      };
    },
  };
}
