/**
 * Duty: what the bench of the plane measures, and the bars. Pure.
 *
 * Bars and goals are ratios to a bare loop in the same process on the same source: what a machine can do
 * at all falls out of them. The rules are those of the product, written as a person would write them.
 */
import { ROLES } from "../../appliance/view.ts";

export interface PlaneCase {
  readonly name: string;
  /** Specification of the upstream port; "CAPTURE" stands for a file of the run. */
  readonly source: string;
  /** Lines of the section [filter] and what follows. */
  readonly filter: readonly string[];
  readonly flowsMax: number;
  /** Frames before the first slice, so that the flow table is what it is in service. */
  readonly warmPackets: number;
  readonly bar: number;
  readonly goal: number;
  /** Million packets a second that must be reached as well. */
  readonly mppsBar?: number;
  readonly mppsGoal?: number;
}

const rule = (name: string, ...settings: string[]) => [
  'preset = "none"',
  "[[filter.rules]]",
  `name = "${name}"`,
  ...settings,
];
export const SYN = rule("syn", "handshake = true");
const FIRST = rule("first", "handshake = true", "teardown = true", "first_packets = 5");
const IDS = ['preset = "ids"'];
const MILLION = 1_000_000;

function firstOf(name: string, flows: number, zipf: number, bars: readonly [number, number]): PlaneCase {
  return {
    name: `first 5, ${name}`,
    source: `gen:flows=${flows},zipf=${zipf}`,
    filter: FIRST,
    flowsMax: Math.max(flows, 1024),
    warmPackets: Math.max(4 * MILLION, 6 * flows),
    bar: bars[0],
    goal: bars[1],
  };
}

export const CAPTURE = "first 5, capture of 1k flows";

export const PLANE_CASES: readonly PlaneCase[] = [
  {
    name: "handshakes only, 100k flows",
    source: "gen:flows=100000",
    filter: SYN,
    flowsMax: 100_000,
    warmPackets: 6 * MILLION,
    bar: 0.75,
    goal: 0.88,
  },
  firstOf("1k flows Zipf", 1_000, 1, [0.5, 0.67]),
  firstOf("100k flows Zipf", 100_000, 1, [0.5, 0.67]),
  firstOf("1M flows Zipf", MILLION, 1, [0.45, 0.58]),
  firstOf("8M flows uniform", 8 * MILLION, 0, [0.3, 0.4]),
  {
    name: "ids, IMIX of TCP, UDP, IPv6 and VLAN, 1M flows",
    source: "gen:flows=1000000,sizes=imix,kinds=mix",
    filter: IDS,
    flowsMax: MILLION,
    warmPackets: 8 * MILLION,
    bar: 0.4,
    goal: 0.55,
    mppsBar: 20,
    mppsGoal: 26,
  },
  {
    name: CAPTURE,
    source: "pcap:CAPTURE,infinite_rx=1",
    filter: FIRST,
    flowsMax: 1_024,
    warmPackets: 4 * MILLION,
    bar: 0.45,
    goal: 0.56,
  },
];

/** The latency run: ten million frames a second over a million flows. */
export const LATENCY = {
  name: "latency at 10 Mpps, 1M flows",
  source: "gen:flows=1000000,rate=10000000",
  filter: FIRST,
  flowsMax: MILLION,
  warmPackets: 8 * MILLION,
  seconds: 5,
  stepNs: 20,
  steps: 2048,
  percentiles: [
    { share: 0.5, bar: 700, goal: 450 },
    { share: 0.99, bar: 2000, goal: 1200 },
    { share: 0.999, bar: 4000, goal: 1900 },
  ],
} as const;

/** Bytes of a flow that every packet needs, the free places of the table among them. Its entry is apart from that. */
export const FLOW_BYTES = { bar: 24, goal: 16 } as const;

/** The configuration a case runs with. Everything that leaves is swallowed, the standby's copies too. */
export function caseToml(one: Pick<PlaneCase, "filter" | "flowsMax">, directory: string): string {
  return [
    "[node]",
    'name = "bench"',
    `state_directory = "${directory}/state"`,
    `runtime_directory = "${directory}/run"`,
    "[ports]",
    ...ROLES.map((role) => `${role.replace("-", "_")} = "gen:flows=0"`),
    "[plane]",
    "frame_bytes_max = 1518",
    `flows_max = ${one.flowsMax}`,
    "[filter]",
    ...one.filter,
  ].join("\n") + "\n";
}
