/**
 * Duty: the plane on links of the kernel, beside Open vSwitch in user space, tc and our own rules as eBPF.
 *
 * Every run builds a lab of its own with one device in it; devices take turns, round after round. A run has two
 * stages: flat out, for what a second of the processor carries, and paced, for loss, copies and delay under the
 * same load for all.
 */
import { LineChild } from "../../tests/support/child.ts";
import { Lab } from "../lab/engine.ts";
import type { Lifetime } from "../lab/lifetime.ts";
import { build, type Programs, programs } from "../lab/native.ts";
import { run, sleep } from "../lab/process.ts";
import { parseProbe } from "../lab/reports.ts";
import { startDevice } from "./links_devices.ts";
import {
  type LinkRow,
  linkRow,
  type LinkRun,
  type LoadReport,
  QUIET_SHARE,
  type Span,
  type Stage,
} from "./links_score.ts";
import { type Device, DEVICE_TEXT, DEVICES, FAR, linksTopology, NEIGHBOURS } from "./links_setup.ts";
import { SINK_ADDRESS, type Work, WORKS } from "./links_setup.ts";
import type { Options } from "./plane_options.ts";

export { linkBars, linkText } from "./links_score.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const PROBE_US = 1_000;
const PROBE_PORT = 7001;
/** What queues hold when the load ends has arrived by then. */
const DRAIN_MS = 300;
const QUIET_TRIES_MAX = 20;

/** How long the stages of a run are. */
export interface Plan {
  /** Before anything is counted: caches of the switch, tables of ours. */
  readonly warmMs: number;
  /** Without load, to know what others take of the processor. */
  readonly idleMs: number;
  readonly flatMs: number;
  readonly pacedMs: number;
  /** Frames a second of the paced load. */
  readonly pacedPerS: number;
}

/** The load is one that the slowest device nearly holds on a shared machine. */
const PLAN: Plan = { warmMs: 500, idleMs: 500, flatMs: 3_000, pacedMs: 4_000, pacedPerS: 50_000 };

export interface Tools extends Programs {
  readonly links: string;
}

/** What a run is done with. */
export interface Kit {
  readonly tools: Tools;
  readonly lifetime: Lifetime;
  readonly plan: Plan;
}

/** Builds what is missing of the programs in C. */
export async function linkTools(): Promise<Tools> {
  return { ...await programs(TOP), links: await build("links", TOP, "scripts/bench") };
}

interface Bench {
  readonly lab: Lab;
  readonly tools: Tools;
  readonly plan: Plan;
  readonly gauge: LineChild;
}

async function received(lab: Lab, ns: string): Promise<number> {
  const text = await lab.exec(ns, ["ip", "-j", "-s", "link", "show", "dev", FAR]);
  return JSON.parse(text)[0].stats64.rx.packets;
}

interface Gauged {
  readonly elapsedNs: number;
  readonly lostNs: number;
}

async function look(gauge: LineChild): Promise<Gauged> {
  return JSON.parse(await gauge.ask("?"));
}

const spanOf = (before: Gauged, after: Gauged): Span => ({
  elapsedNs: after.elapsedNs - before.elapsedNs,
  lostNs: after.lostNs - before.lostNs,
});

function load({ lab, tools }: Bench, perSecond: number, ms: number, number: number): Promise<LoadReport> {
  const argv = [tools.links, "load", FAR, String(perSecond), String(ms), String(number)];
  return run(lab.argv("src", argv), { timeoutMs: ms + 30_000 }).then((text) => JSON.parse(text));
}

async function stage(
  bench: Bench,
  hasMirror: boolean,
  work: () => Promise<{ load: LoadReport; probes: number }>,
): Promise<Stage> {
  const counts = async () => [
    await received(bench.lab, "dst"),
    hasMirror ? await received(bench.lab, "mir") : 0,
  ];
  const [arrived, copied] = await counts();
  const before = await look(bench.gauge);
  const done = await work();
  await sleep(DRAIN_MS);
  const span = spanOf(before, await look(bench.gauge));
  const after = await counts();
  return { ...done, arrived: after[0]! - arrived!, copied: after[1]! - copied!, span };
}

async function probed(bench: Bench, number: number) {
  const { lab, tools, plan } = bench;
  const ms = String(0.9 * plan.pacedMs); // ends before the load does
  const argv = [tools.probe, "send", SINK_ADDRESS, String(PROBE_PORT), String(PROBE_US), ms];
  const probing = run(lab.argv("src", argv), { timeoutMs: plan.pacedMs + 30_000 });
  const [report, text] = await Promise.all([load(bench, plan.pacedPerS, plan.pacedMs, number), probing]);
  return { load: report, probe: parseProbe(text) };
}

/** Waits for others to leave the processor alone, but not for ever. Returns the share that they had at last. */
async function quietMoment({ gauge, plan }: Bench): Promise<number> {
  for (let before = await look(gauge), tries = 1;; tries++) {
    await sleep(plan.idleMs);
    const after = await look(gauge);
    const { elapsedNs, lostNs } = spanOf(before, after);
    if (lostNs < QUIET_SHARE * elapsedNs || tries >= QUIET_TRIES_MAX) return lostNs / elapsedNs;
    before = after;
  }
}

async function stages(bench: Bench, device: Device): Promise<LinkRun> {
  const hasMirror = device !== "cable";
  const { plan } = bench;
  await load(bench, plan.pacedPerS / 5, plan.warmMs, 1);
  await sleep(DRAIN_MS);
  const idleShare = await quietMoment(bench);
  const flat = await stage(
    bench,
    hasMirror,
    async () => ({ load: await load(bench, 0, plan.flatMs, 2), probes: 0 }),
  );
  let rtt = { rttP50Us: NaN, rttP99Us: NaN };
  const paced = await stage(bench, hasMirror, async () => {
    const { load, probe } = await probed(bench, 3);
    rtt = probe;
    return { load, probes: probe.sent };
  });
  if (flat.arrived === 0 || paced.arrived === 0) {
    throw new Error(`Cannot measure ${DEVICE_TEXT[device]}: nothing comes out of it`);
  }
  const { rttP50Us, rttP99Us } = rtt;
  return { idleShare, flat, paced, rttP50Us, rttP99Us };
}

/** One run of one device, in a lab of its own. @throws Error where nothing comes out of it */
export async function runDevice(device: Device, work: Work, kit: Kit): Promise<LinkRun> {
  const { tools, lifetime, plan } = kit;
  const topology = linksTopology(device === "cable");
  await using lab = await Lab.up(topology, lifetime);
  const core = lab.processors?.node;
  if (core === undefined) throw new Error("Cannot measure devices on links: that needs two processors");
  for (const ns of ["src", "dst"] as const) await lab.script(ns, NEIGHBOURS[ns]);
  await startDevice(device, { lab, core, top: TOP }, work);
  lab.start("dst", [tools.probe, "echo", String(PROBE_PORT)]).unref();
  const gauge = new LineChild([tools.links, "gauge", String(core)]);
  try {
    return await stages({ lab, tools, plan, gauge }, device);
  } finally {
    await gauge.end();
  }
}

/** Every work whose name is wanted, with every device, in rounds; the cable, which works for nobody, once a round. */
export async function measureLinks(
  options: Options,
  wanted: (name: string) => boolean,
  lifetime: Lifetime,
): Promise<LinkRow[]> {
  const works = WORKS.filter(({ name }) => wanted(name));
  if (works.length === 0) return [];
  const kit = { tools: await linkTools(), lifetime, plan: PLAN };
  const cells = works.flatMap((work, i) =>
    DEVICES.filter((device) => device !== "cable" || i === 0).map((device) => ({
      device,
      work,
      runs: [] as LinkRun[],
    }))
  );
  for (let round = 1; round <= options.rounds; round++) {
    for (const { device, work, runs } of cells) {
      console.error(`${work.name}: ${DEVICE_TEXT[device]} (${round}/${options.rounds}) ...`);
      runs.push(await runDevice(device, work, kit));
    }
  }
  return cells.map(({ device, work, runs }) => linkRow(device, work, runs));
}
