/**
 * Duty: a node for pages that is not there and lives all the same: counters run, and a failover can be had.
 *
 * Times are those of the clock that is handed in, so a test may look at any moment.
 */
import type { Box, EventView, NodeControl, NodeStatus, PortView, Role } from "../../appliance/view.ts";
import { ROLES } from "../../appliance/view.ts";
import {
  boxView,
  eventView,
  fakeNode,
  flowView,
  MATCH_REPORT,
  nodeStatus,
  portView,
} from "../unit/ui/fake_node.ts";

const MATCH = {
  ...{ equal: 296, different: 4, followed: 2, dropped: 0, unknown: 11, share: 298 / 300, alarm: false },
  classes: {
    tcp: { equal: 290, different: 4, followed: 2, dropped: 0 },
    udp: { equal: 6, different: 0, followed: 0, dropped: 0 },
    other: { equal: 0, different: 0, followed: 0, dropped: 0 },
  },
};

const DETECTORS = [
  ["link", "links of both sides are up"],
  ["silence", "packets come out as they go in"],
  ["probe", "3 of 3 probes come through"],
  ["bfd", "the session is up"],
  ["grey", "loss and delay are as usual"],
] as const;

/** Bytes per second by port: what comes in, what goes out. */
const RATES: Readonly<Record<string, readonly [number, number]>> = {
  upstream: [4_200_000, 61_000_000],
  downstream: [61_000_000, 4_200_000],
  "serving-in": [61_000_000, 4_200_000],
  "serving-out": [4_200_000, 61_000_000],
  "standby-in": [240_000, 310_000],
  "standby-out": [90_000, 120_000],
};

export interface PageNode extends NodeControl {
  /** Every order as "name JSON". */
  readonly calls: readonly string[];
  serving: Box;
  /** The primary falls silent and the redundant box takes over. Returns when, on the node's clock. */
  fail(): number;
  /** Fields of the status that are as they are put here, whatever else happens. */
  pinned: Partial<NodeStatus>;
}

export function pageNode(now: () => number): PageNode {
  const fake = fakeNode(), startMs = now();
  const events: EventView[] = history(startMs);
  let dead = false;
  const status = (): NodeStatus => liveStatus({ nowMs: now(), startMs, serving: node.serving, dead, events });
  const node: PageNode = Object.defineProperties({
    ...fake,
    serving: "primary" as Box,
    pinned: {} as Partial<NodeStatus>,
    fail: () => {
      const atMs = now();
      dead = true;
      node.serving = "redundant";
      events.push(...failure(events.length + 1, atMs));
      return atMs;
    },
    status: () => ({ ...status(), ...node.pinned }),
    flows: ({ limit, text = "", unlike = false }: { limit: number; text?: string; unlike?: boolean }) =>
      FLOWS.filter((flow) => (flow.outer + flow.inner + flow.protocol + flow.rule).includes(text))
        .filter((flow) => !unlike || flow.standbys.some(({ verdict }) => verdict !== "equal")).slice(
          0,
          limit,
        ),
    events: ({ after, limit }: { after: number; limit: number }) =>
      events.filter(({ sequence }) => sequence > after).slice(0, limit),
    match: () => ({
      ...MATCH_REPORT,
      standbys: MATCH_REPORT.standbys.map((one) => ({ ...one, now: MATCH, history: minutes(now()) })),
      failover: { ...MATCH_REPORT.failover!, atMs: startMs - 3_600_000 },
      drill: {
        box: "redundant",
        ok: true,
        text: "12 of 12 canaries came through",
        startedMs: startMs - 5_400_000,
      },
    }),
    switchover: (given: object) => order(`switchover ${JSON.stringify(given)}`, "redundant"),
    failback: (given: object) => order(`failback ${JSON.stringify(given)}`, "primary"),
    arm: (given: object) => {
      node.pinned = {};
      return order(`arm ${JSON.stringify(given)}`, node.serving);
    },
  }, {
    drills: { get: () => fake.drills },
    recorder: { get: () => fake.recorder },
    captures: { get: () => fake.captures },
  }) as PageNode;
  const order = (call: string, path: Box) => {
    fake.calls.push(call);
    node.serving = path;
    return Promise.resolve({ ok: true, path, text: `traffic goes by the ${path} box`, tookUs: 40 });
  };
  return node;
}

interface Moment {
  readonly nowMs: number;
  readonly startMs: number;
  readonly serving: Box;
  readonly dead: boolean;
  readonly events: readonly EventView[];
}

function liveStatus({ nowMs, startMs, serving, dead, events }: Moment): NodeStatus {
  const seconds = (nowMs - startMs) / 1000 + 3600;
  const lastSwitch = events.findLast(({ kind }) => kind === "switch") ?? null;
  const detectors = DETECTORS.map(([detector, reason]) => ({
    detector,
    light: "green" as const,
    reason,
    ...{ sinceMs: 7_200_000, ageMs: 4 },
  }));
  const primaryDead = dead
    ? { light: "red" as const, reason: "silent for 10 ms: 812 packets in, none out" }
    : {};
  const boxes = (["primary", "redundant"] as const).map((box) =>
    boxView(box, {
      name: box === "primary" ? "fw-a" : "fw-b",
      serving: box === serving,
      detectors: box === "primary" && dead
        ? detectors.map((one) => one.detector === "silence" ? { ...one, ...primaryDead, sinceMs: 40 } : one)
        : detectors,
      match: box === serving ? null : MATCH,
      inPackets: Math.round(seconds * 8800),
      outPackets: Math.round(seconds * 8799),
      reason: "links up, packets come out",
      ...(box === "primary" ? primaryDead : {}),
    })
  );
  return nodeStatus({
    ...{ boxes, lastSwitch, path: serving, switches: dead ? 2 : 1 },
    pathSinceMs: lastSwitch?.wallMs ?? startMs,
    ports: ROLES.map((role) => port(role, serving, seconds)),
    light: dead ? "yellow" : "green",
    reason: dead
      ? "the redundant box serves without a spare"
      : "the primary serves, the redundant box stands by",
    mirror: {
      ...nodeStatus().mirror,
      why: [{ name: "handshake", packets: Math.round(seconds * 40), bytes: Math.round(seconds * 2900) }],
      rules: [{ name: "sip", packets: 214, bytes: 98_000 }, {
        name: "nat",
        packets: Math.round(seconds * 52),
        bytes: Math.round(seconds * 4000),
      }],
    },
    plane: { ...nodeStatus().plane, startedMs: startMs - 10_800_000 },
  });
}

function port(role: Role, serving: Box, seconds: number): PortView {
  const box = role.replace(/-(in|out)$/, "");
  const key = role.includes("-")
    ? `${box === serving ? "serving" : "standby"}-${role.split("-").at(-1)}`
    : role;
  const [rx, tx] = RATES[key] ?? [0, 0];
  // It breathes, so that a plot has a shape, and never runs backwards.
  const wave = seconds + 1.6 * Math.sin(seconds / 5);
  return portView(role, {
    ...{ rxBytes: Math.round(rx * wave), txBytes: Math.round(tx * wave) },
    ...{ rxPackets: Math.round(rx * wave / 700), txPackets: Math.round(tx * wave / 700) },
    mirroredBytes: box === serving || !role.includes("-") ? 0 : Math.round(300_000 * wave),
    mirroredPackets: box === serving || !role.includes("-") ? 0 : Math.round(900 * wave),
  });
}

function minutes(nowMs: number) {
  return Array.from({ length: 60 }, (_, i) => {
    const dropped = i === 22 ? 31 : i % 9 === 0 ? 4 : 1;
    const counts = { equal: 300 - dropped, different: 0, followed: 0, dropped };
    const startMs = nowMs - (60 - i) * 60_000;
    return { box: "redundant" as const, startMs, worst: counts, last: counts, lostCopies: 0 };
  });
}

function history(startMs: number): EventView[] {
  const atMs = startMs - 3_600_000;
  return [
    eventView(1, {
      kind: "plane",
      cause: "start",
      wallMs: startMs - 10_800_000,
      text: "a plane forwards",
      boot: "0",
    }),
    eventView(2, {
      kind: "box",
      cause: "probe",
      wallMs: atMs - 4,
      monoUs: 996_000,
      text: "primary is red: 3 probes lost",
    }),
    eventView(3, {
      wallMs: atMs,
      text: "from the primary to the redundant box: silence of 10.4 ms, 12 packets lost at most",
    }),
    eventView(4, {
      ...{ kind: "match", cause: "proof", wallMs: atMs + 5_050, monoUs: 6_050_000 },
      text: "predicted 298 of 300 flows, 296 carried on, 2 lost, 2 idle",
    }),
  ];
}

function failure(sequence: number, atMs: number): EventView[] {
  const boot = "20";
  return [
    eventView(sequence, {
      ...{ kind: "detector", cause: "silence", boot, wallMs: atMs - 1, monoUs: 9_999_000 },
      text: "primary: silence is red: 812 packets in, none out for 10 ms",
    }),
    eventView(sequence + 1, {
      ...{ boot, wallMs: atMs, monoUs: 10_000_000, silentUs: 10_040, lostPackets: 812 },
      text: "from the primary to the redundant box: silence of 10 ms, 812 packets lost at most",
    }),
  ];
}

const FLOWS = [
  flowView({
    ...{
      outer: "10.1.0.11:40112",
      inner: "203.0.113.9:443",
      bytes: [91_000, 4_200_000],
      packets: [812, 3100],
    },
    binding: "198.51.100.4:40112 - 203.0.113.9:443",
    standbys: [{ box: "redundant", verdict: "equal", binding: "" }],
  }),
  flowView({
    ...{ outer: "10.1.0.27:51820", inner: "203.0.113.77:443", protocol: "udp", age: "udp", mirrored: 6 },
    binding: "198.51.100.4:51820 - 203.0.113.77:443",
    standbys: [{ box: "redundant", verdict: "different", binding: "198.51.100.4:61007 - 203.0.113.77:443" }],
  }),
  flowView({
    ...{ outer: "[2001:db8::27]:52110", inner: "[2001:db8:1::9]:22", idleMs: 41_000, vlan: 12 },
    standbys: [{ box: "redundant", verdict: "dropped", binding: "" }],
  }),
  flowView({
    outer: "10.1.0.31:0",
    inner: "203.0.113.1:0",
    protocol: "icmp",
    age: "icmp",
    rule: "",
    mirrored: 0,
  }),
];
