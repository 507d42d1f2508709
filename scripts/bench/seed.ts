/**
 * Duty: `deno task bench:seed`: live connections through a strict firewall of which the spare has never heard, a failure, and what
 * lives because the node seeds; and whether anything of it reaches an end host.
 */
import { parseArgs } from "node:util";
import type { ResyncView } from "../../appliance/view.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { Lab } from "../lab/engine.ts";
import type { Failure } from "../lab/failures.ts";
import { build } from "../lab/native.ts";
import { LabNode } from "../lab/node.ts";
import { end, sleep } from "../lab/process.ts";
import { fail } from "../lab/scenario.ts";
import { TOPOLOGIES } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { nameOf, seedBars, type SeedRun, seedTable, type Way, WAYS } from "./seed_report.ts";

const SIZES = [300, 3_000, 100_000];
const DEATHS = ["link-both", "silent"] as const;
const BOX_IN = "02:00:00:00:01:01", BOX_OUT = "02:00:00:00:02:01";
/** Longer than a shared machine puts a box aside, or the primary dies before its time. */
const SILENCE_MS = 100;
const ANSWER_MS_MAX = 120_000;
/** A board is read by control ten times a second. */
const LOOK_MS = 20;
const USAGE = `Usage: deno task bench:seed [--only TEXT] [--rate N] [--cores N] [--json] [--check]

Connections made of frames (scripts/bench/crowd.c) through a strict nftables firewall. Nothing is mirrored. The firewall loses its
links or falls silent, the cold one takes over, and every connection says a byte and wants an answer. Each is seeded with its first
packet, or all by resync before or after the failure. 300, 3,000 and 100,000 connections; the ends count frames that
neither of them sent.

  --only TEXT   only rows with TEXT in their name, as "3000 flows, silent, resync before"
  --rate N      flows per second of resync (1 to 1000000); default 20000
  --cores N     of the plane (1 or 2); default 1
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

interface Round {
  readonly alive: number;
  readonly first: number;
  readonly ms: number;
  readonly leaked: number;
  readonly acks: number;
  readonly sentAcks: number;
}

/** One end of the crowd, asked line by line. */
class Crowd {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(argv: readonly string[]) {
    const [program, ...args] = argv;
    this.#child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async #line<T>(): Promise<T> {
    const timer = setTimeout(() => end(this.#child, "SIGKILL"), ANSWER_MS_MAX);
    try {
      while (!this.#text.includes("\n")) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("Cannot ask the crowd: it has ended");
        this.#text += value;
      }
    } finally {
      clearTimeout(timer);
    }
    const [line, ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return JSON.parse(line!) as T;
  }

  /** Everybody opens, or says a byte, and is answered or not. */
  async round(): Promise<Round> {
    await this.#writer.write(new TextEncoder().encode("go\n"));
    return this.#line();
  }

  /** What the server has seen. */
  async last(): Promise<{ leaked: number; acks: number }> {
    await this.#writer.close();
    return this.#line();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    end(this.#child, "SIGKILL");
    await this.#reader.cancel().catch(() => {});
    await this.#writer.close().catch(() => {}); // it may be closed already
    await this.#child.status;
  }
}

export interface SeedPlan {
  readonly flows: number;
  readonly way: Way;
  readonly death: Failure;
  readonly rate: number;
  readonly cores: number;
}

/** All connections into the redundant box. `meanwhile` goes on beside it. */
async function resync<T>(api: RemoteNode, meanwhile: () => Promise<T>): Promise<[ResyncView, T]> {
  const order = await api.resync({ box: "redundant", stop: false });
  if (!order.ok) throw new Error(`Cannot resync: ${order.text}`);
  const beside = meanwhile();
  const until = Date.now() + ANSWER_MS_MAX;
  for (;;) {
    const view = (await api.status()).boxes.find(({ box }) => box === "redundant")?.resync;
    if (view && !view.running) return [view, await beside];
    if (Date.now() > until) throw new Error("Cannot see the end of a resync");
    await sleep(LOOK_MS);
  }
}

async function failOver(
  lab: Lab,
  kit: Kit,
  api: RemoteNode,
  { plan, client }: { plan: SeedPlan; client: Crowd },
) {
  const opened = await client.round(), spoken = await client.round();
  if (opened.alive !== plan.flows || spoken.alive !== plan.flows) {
    throw new Error(`Cannot open ${plan.flows} connections: ${opened.alive} were, ${spoken.alive} speak`);
  }
  const [before, beside] = plan.way === "before" ? await resync(api, () => client.round()) : [null, null];
  await fail(lab, kit.programs, "primary", plan.death);
  const [after] = plan.way === "after" ? await resync(api, () => Promise.resolve()) : [null];
  const last = await client.round(), { path } = await api.status();
  if (path !== "redundant") throw new Error(`Cannot tell what lives: traffic goes by ${path}`);
  const view = before ?? after;
  return {
    ...{ alive: last.alive, first: last.first, lastMs: last.ms },
    resync: view && { done: view.done - view.unlike, tookMs: view.tookMs },
    disturbed: beside && plan.flows - beside.first,
    client: last,
  };
}

/** One run. */
export async function seedRun(kit: Kit, plan: SeedPlan): Promise<SeedRun> {
  const from = look();
  const { flows, way, death } = plan;
  const topology = TOPOLOGIES.firewall!({ clients: 1, servers: 1, serverMbit: null });
  await using lab = await Lab.up(topology, kit.lifetime);
  const more = ["[[filter.rules]]", 'name = "bench"', "seed = true", "[seed]", `rate = ${plan.rate}`];
  const { cores } = plan, settings = { preset: "none" as const, rules: more, cores, silenceMs: SILENCE_MS };
  const node = await LabNode.start(lab, { top: kit.top, ...settings });
  const api = node.connect();
  try {
    const crowd = await build("crowd", kit.top, "scripts/bench");
    await using server = new Crowd(lab.argv("s1", [crowd, "server", "eth0", BOX_OUT]));
    await using client = new Crowd(lab.argv("c1", [crowd, "client", "eth0", BOX_IN, String(flows)]));
    await sleep(500); // the ends have to be there before the first asks for them
    const { client: ends, ...found } = await failOver(lab, kit, api, { plan, client });
    const loopMaxUs = (await api.status()).plane.loopMaxUs;
    const seen = await server.last();
    const acks = Math.max(0, seen.acks - ends.sentAcks) + ends.acks;
    const leaked = ends.leaked + seen.leaked + acks;
    return { flows, way, death, ...found, leaked, loopMaxUs, load: loadBetween(from, look()) };
  } finally {
    api.close();
    await node.stop();
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      rate: { type: "string", default: "20000" },
      cores: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    rate: wholeNumber("rate", values.rate, [1, 1_000_000]),
    cores: wholeNumber("cores", values.cores, [1, 2]),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const { rate, cores } = options;
  const wanted = SIZES.flatMap((flows) =>
    DEATHS.flatMap((death) => WAYS.map((way): SeedPlan => ({ flows, death, way, rate, cores })))
  ).filter((plan) => nameOf(plan).includes(options.only));
  if (wanted.length === 0) throw new RangeError(`Cannot measure "${options.only}": no row has it`);
  const runs: SeedRun[] = [];
  for (const plan of wanted) {
    const run = await seedRun(kit, plan);
    runs.push(run);
    const { alive, flows, leaked, lastMs, load } = run;
    say(
      `${nameOf(plan)}: ${alive} of ${flows} alive, the last after ${lastMs} ms, ${leaked} leaked (${
        loadText(load)
      })`,
    );
  }
  const bars = seedBars(runs);
  return { format: 1, results: { runs }, table: seedTable(runs), bars };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });
