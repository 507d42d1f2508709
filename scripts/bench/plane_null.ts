/**
 * Duty: the plane beside Open vSwitch with DPDK: the same capture, over and over, into two ports that swallow it.
 *
 * Both take turns, round after round. Of Open vSwitch the polling thread's time counts, of the plane its one thread's.
 * Open vSwitch copies frames with SYN and keeps no state; the plane also follows each connection and copies the
 * ACK that ends its handshake.
 */
import type { Lifetime } from "../lab/lifetime.ts";
import { Lab } from "../lab/engine.ts";
import { sleep } from "../lab/process.ts";
import { NODE_NS, type Topology } from "../lab/topology.ts";
import { OpenVSwitch } from "./ovs.ts";
import type { PmdCount, PortCount } from "./ovs_text.ts";
import { SYN } from "./plane_cases.ts";
import type { Options } from "./plane_options.ts";
import { measureCase, type OwnCase, withCapture } from "./plane_own.ts";
import { type Bar, mppsOf, type Slice, type Speed, speedOf } from "./statistics.ts";
import { threadNs } from "./threads.ts";

interface NullWork {
  readonly name: string;
  /** Lines of our section [filter]. */
  readonly filter: readonly string[];
  /** Flows of the switch; port 1 has the capture, 2 is the way on, 3 takes copies. */
  readonly flows: readonly string[];
  readonly mirror: boolean;
  /** Of our speed over theirs; null: compared and not judged. */
  readonly bar: { readonly bar: number; readonly goal: number } | null;
}

const ON = "priority=1,in_port=1,actions=output:2";
const SOURCE = "source", WAY = "way", COPIES = "copies";

export const NULL_WORKS: readonly NullWork[] = [
  {
    name: "null ports, forward",
    filter: ['preset = "none"'],
    flows: [ON],
    mirror: false,
    bar: null,
  },
  {
    name: "null ports, mirror SYN",
    filter: SYN,
    flows: [ON, "priority=2,tcp,in_port=1,tcp_flags=+syn,actions=output:2,output:3"],
    mirror: false,
    bar: { bar: 4, goal: 7 },
  },
  {
    name: "null ports, mirror all",
    filter: ['preset = "none"', "[[filter.rules]]", 'name = "all"', "all = true"],
    flows: [ON],
    mirror: true,
    bar: null,
  },
];

export interface NullRow {
  readonly name: string;
  readonly plane: Speed;
  /** A bare loop on the same source: what the capture itself costs either of them, about. */
  readonly io: Speed;
  readonly ovs: Speed;
  /** Our speed over theirs, of the best slices. */
  readonly ratio: number;
  readonly planeCopied: number;
  readonly ovsCopied: number;
  /** Share of the switch's frames that first caches knew: the cheapest ways through it. */
  readonly ovsCached: number;
}

const TOPOLOGY: Topology = {
  name: "switch",
  ipv6: false,
  namespaces: [{ name: NODE_NS }],
  links: [],
  boxes: [],
  servers: [],
};
const PMD = /^pmd-/;
const PERIOD_MS = 500;
const SETTLE_MS = 500;

interface Turn {
  readonly slices: readonly Slice[];
  /** Of a bare loop; ours only. */
  readonly io?: readonly Slice[];
  readonly copied: number;
  readonly cached: number;
}

interface Look {
  readonly ns: number;
  readonly ports: ReadonlyMap<number, PortCount>;
}

const packetsOf = (before: Look, after: Look, port: number, way: keyof PortCount) =>
  (after.ports.get(port)?.[way] ?? NaN) - (before.ports.get(port)?.[way] ?? NaN);

function turnOf(looks: readonly Look[], before: PmdCount, after: PmdCount): Turn {
  const slices = looks.slice(1).map((look, i) => ({
    packets: packetsOf(looks[i]!, look, 2, "tx"),
    cpuNs: look.ns - looks[i]!.ns,
  }));
  const first = looks[0]!, last = looks.at(-1)!;
  return {
    slices,
    copied: packetsOf(first, last, 3, "tx") / packetsOf(first, last, 1, "rx"),
    cached: (after.cached - before.cached) / (after.received - before.received),
  };
}

async function switchTurn(ovs: OpenVSwitch, work: NullWork, slices: number): Promise<Turn> {
  await ovs.use(work.flows, work.mirror ? { from: SOURCE, to: COPIES } : undefined);
  await ovs.untilSent(2);
  await sleep(SETTLE_MS);
  const pid = await ovs.pid();
  const look = async () => ({ ns: await threadNs(pid, PMD), ports: await ovs.ports() });
  const before = await ovs.pmd();
  const looks = [await look()];
  for (let i = 0; i < slices; i++) {
    await sleep(PERIOD_MS);
    looks.push(await look());
  }
  return turnOf(looks, before, await ovs.pmd());
}

/** One round of the switch: started, every work in turn, ended. */
async function switchRound(
  capture: string,
  works: readonly NullWork[],
  slices: number,
  lifetime: Lifetime,
): Promise<Turn[]> {
  await using lab = await Lab.up(TOPOLOGY, lifetime);
  const core = lab.processors?.node;
  if (core === undefined) throw new Error("Cannot measure Open vSwitch: it needs a second processor");
  const ports = [
    { name: SOURCE, number: 1, device: `net_pcap0,rx_pcap=${capture},infinite_rx=1,tx_pcap=/dev/null` },
    { name: WAY, number: 2, device: "net_null1,no-rx=1" },
    { name: COPIES, number: 3, device: "net_null2,no-rx=1" },
  ];
  const ovs = await OpenVSwitch.start(lab, { kind: "dpdk", core, ports });
  const turns: Turn[] = [];
  for (const work of works) turns.push(await switchTurn(ovs, work, slices));
  return turns;
}

const MEAN = (values: readonly number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;

function ownCase({ name, filter }: NullWork): OwnCase {
  return {
    name,
    filter,
    source: "pcap:CAPTURE,infinite_rx=1",
    flowsMax: 1_024,
    warmPackets: 4_000_000,
  };
}

/** Every work whose name is wanted, in rounds. */
export async function measureNull(
  options: Options,
  wanted: (name: string) => boolean,
  lifetime: Lifetime,
): Promise<NullRow[]> {
  const works = NULL_WORKS.filter(({ name }) => wanted(name));
  if (works.length === 0) return [];
  const slices = Math.max(2, Math.ceil(options.slices / options.rounds));
  const own = works.map((): Turn[] => []), theirs = works.map((): Turn[] => []);
  for (let round = 1; round <= options.rounds; round++) {
    for (const [i, work] of works.entries()) {
      console.error(`${work.name}, the plane (${round}/${options.rounds}) ...`);
      const found = await measureCase(ownCase(work), { ...options, slices });
      own[i]!.push({ slices: found.plane, io: found.io, copied: found.copyShare, cached: NaN });
    }
    console.error(`null ports, Open vSwitch (${round}/${options.rounds}) ...`);
    const turns = await withCapture((capture) => switchRound(capture, works, slices, lifetime));
    turns.forEach((turn, i) => theirs[i]!.push(turn));
  }
  return works.map(({ name }, i) => nullRow(name, own[i]!, theirs[i]!));
}

/** What the turns of both amount to. */
export function nullRow(name: string, own: readonly Turn[], theirs: readonly Turn[]): NullRow {
  const plane = speedOf(own.flatMap(({ slices }) => slices));
  const ovs = speedOf(theirs.flatMap(({ slices }) => slices));
  return {
    name,
    plane,
    io: speedOf(own.flatMap(({ io }) => io ?? [])),
    ovs,
    ratio: ovs.bestNs / plane.bestNs,
    planeCopied: MEAN(own.map(({ copied }) => copied)),
    ovsCopied: MEAN(theirs.map(({ copied }) => copied)),
    ovsCached: MEAN(theirs.map(({ cached }) => cached)),
  };
}

export function nullBars(rows: readonly NullRow[]): Bar[] {
  return rows.flatMap(({ name, ratio }) => {
    const found = NULL_WORKS.find((work) => work.name === name)?.bar;
    return found ? [{ what: name, unit: "of Open vSwitch with DPDK", value: ratio, ...found }] : [];
  });
}

/** Cells of a table, one line each, the head first. */
export function nullCells(rows: readonly NullRow[]): string[][] {
  const percent = (share: number) => `${(share * 100).toFixed(2)} %`;
  const head = [
    "case",
    "io ns",
    "plane ns",
    "median",
    "Mpps",
    "copied",
    "OVS ns",
    "median",
    "Mpps",
    "copied",
  ];
  return [
    [...head, "OVS cache", "ratio"],
    ...rows.map((row) => [
      row.name,
      row.io.bestNs.toFixed(1),
      row.plane.bestNs.toFixed(1),
      row.plane.medianNs.toFixed(1),
      mppsOf(row.plane.bestNs).toFixed(1),
      percent(row.planeCopied),
      row.ovs.bestNs.toFixed(1),
      row.ovs.medianNs.toFixed(1),
      mppsOf(row.ovs.bestNs).toFixed(1),
      percent(row.ovsCopied),
      percent(row.ovsCached),
      row.ratio.toFixed(2),
    ]),
  ];
}
