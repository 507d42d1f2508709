/**
 * The node: control's life around one plane.
 *
 * Every 10 ms it takes events off the board, asks whether the plane lives, and lets the point of failover judge. Orders go
 * to the plane as a number on the board and come back as one; nothing here is ever waited for by a packet.
 */
import { setTimeout as delay } from "node:timers/promises";
import { BoardVersionError } from "../filter/board.ts";
import { type Native, openNative } from "../filter/dpdk.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { writeOrder, writeReflexes, writeRules } from "./board_command.ts";
import { type FlowQuery, type Now, readEvents, readFlows, readPath, readStatus } from "./board_view.ts";
import { type Config, describeProblem, parseConfig } from "./config.ts";
import { matchFault } from "./config_match.ts";
import { judgePoint, POINT_START, pointAfter, type PointState } from "./failover/point.ts";
import { Journal } from "./journal.ts";
import { acceptedConfigPath, journalPath } from "./paths.ts";
import { PlaneKeeper, PlaneStartError } from "./plane_keeper.ts";
import { VERSION } from "./version.ts";
import { absentStatus, planeEvent, specsOf } from "./node_views.ts";
import type { Box, EventView, FlowView, NodeControl, NodeStatus, OrderResult, Path } from "./view.ts";

const TICK_MS = 10;
const JUDGE_EVERY = 10;
const ORDER_MS_MAX = 2000;
const STOP_MS_MAX = 3000;

export type Log = (level: "info" | "warn" | "error", text: string, more?: Record<string, unknown>) => void;

export interface NodeOptions {
  readonly config: Config;
  /** The text `config` was made from, and its file: `reload` reads it again. */
  readonly configText: string;
  readonly configPath: string;
  readonly log: Log;
}

export class Node implements NodeControl {
  readonly #native: Native;
  readonly #keeper: PlaneKeeper;
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #configPath: string;
  #config: Config;
  #point: PointState = POINT_START;
  #cpu: { ns: readonly number[]; atNs: number; shares: readonly number[] } = { ns: [], atNs: 0, shares: [] };
  #reviving = false;
  #ordering: Promise<unknown> = Promise.resolve();

  constructor(options: NodeOptions) {
    const { config, log } = options;
    this.#config = config;
    this.#configPath = options.configPath;
    this.#log = log;
    makeDirectory(config.node.runtimeDirectory);
    makeDirectory(config.node.stateDirectory);
    Deno.writeTextFileSync(acceptedConfigPath(config), options.configText, { mode: 0o600 });
    this.#native = openNative();
    this.#keeper = new PlaneKeeper({ native: this.#native, config, log: (text) => log("info", text) });
    this.#journal = new Journal({
      path: journalPath(config),
      tell: (event) => log(event.kind === "switch" ? "warn" : "info", event.text, { event: event.sequence }),
      complain: (text) => log("error", text),
    });
  }

  /** Bring the plane up or take it over. @throws PlaneStartError */
  async begin(): Promise<void> {
    const how = await this.#keeper.begin();
    if (how === "attached") this.#tell("attached", "took over a running plane, which went on forwarding");
    else this.#tell("start", "the plane forwards");
    this.#command();
    this.#takeEvents();
    const switches = this.#keeper.map?.board.number("live.switches") ?? 0;
    this.#point = pointAfter(switches, this.#journal.switchTimesMs());
  }

  /** Look after the plane until `signal` says stop. */
  async tend(signal: AbortSignal): Promise<void> {
    for (let tick = 0; !signal.aborted; tick++) {
      this.#takeEvents();
      if (tick % JUDGE_EVERY === 0) {
        this.#measureCpu();
        if (this.#keeper.died()) await this.#revive(signal);
        else this.#judge();
      }
      await delay(TICK_MS, undefined, { signal }).catch(() => {});
    }
    this.#takeEvents();
  }

  /** Stop the plane as well; without it forwarding goes on after control has ended. */
  async stopPlane(): Promise<void> {
    const stopped = await this.#keeper.stop(STOP_MS_MAX);
    this.#log(
      stopped ? "info" : "error",
      stopped ? "the plane has stopped" : "Cannot stop the plane: it does not react",
    );
  }

  #now(): Now {
    return { monoNs: Number(this.#native.monoNs()), wallMs: Date.now() };
  }

  /** Write rules and reflexes to the plane. */
  #command(): void {
    const map = this.#keeper.map;
    if (map === null) return;
    const rules = this.#config.filter.rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
    writeReflexes(map.board, this.#config);
    writeRules(map.board, map.publish, rules, this.#config.filter);
  }

  #tell(cause: EventView["cause"], text: string): void {
    const boot = this.#keeper.map?.board.big("header.boot") ?? 0n;
    this.#journal.add(planeEvent({ cause, text, boot, now: this.#now() }));
  }

  #takeEvents(): void {
    const board = this.#keeper.map?.board;
    if (board === undefined) return;
    const read = board.number("live.event_read");
    if (board.number("live.event_sequence") === read) return;
    const events = readEvents(board, read);
    for (const event of events) if (!this.#journal.has(event)) this.#journal.add(event);
    const last = events.at(-1);
    if (last !== undefined) board.setNumber("live.event_read", last.sequence);
  }

  #measureCpu(): void {
    const board = this.#keeper.map?.board;
    if (board === undefined) return;
    const atNs = Number(this.#native.monoNs()), before = this.#cpu;
    if (atNs - before.atNs < 500e6) return;
    const workers = board.number("live.workers");
    const ns = Array.from({ length: workers }, (_, i) => board.number("worker.cpu_ns", i));
    const share = (now: number, then = now) => Math.min(1, Math.max(0, now - then) / (atNs - before.atNs));
    this.#cpu = { ns, atNs, shares: ns.map((now, i) => share(now, before.ns[i])) };
  }

  #judge(): void {
    const board = this.#keeper.map?.board;
    if (board === undefined) return;
    const alive = (i: number) => board.number("box.alive", i) === 1;
    const { failback, failbackAfterS } = this.#config.failover;
    const verdict = judgePoint(
      this.#point,
      {
        path: readPath(board),
        alive: { primary: alive(0), redundant: alive(1) },
        primaryDownNs: board.number("box.down_ns", 0),
        switches: board.number("live.switches"),
        ordered: this.#journal.lastSwitch()?.cause === "order",
      },
      { failback, failbackAfterMs: failbackAfterS * 1000 },
      Date.now(),
    );
    this.#point = verdict.state;
    if (verdict.order !== null) void this.#order(verdict.order);
  }

  async #revive(signal: AbortSignal): Promise<void> {
    this.#takeEvents();
    this.#tell("died", "the plane has died: traffic stands still until another one runs");
    this.#reviving = true;
    while (!signal.aborted && this.#reviving) {
      try {
        await this.#keeper.revive();
        this.#reviving = false;
        this.#tell("start", `another plane forwards (restart ${this.#keeper.restarts})`);
        this.#command();
      } catch (error) {
        if (!(error instanceof PlaneStartError)) throw error;
        this.#log("error", error.message);
      }
    }
  }

  status(): NodeStatus {
    const around = {
      name: this.#config.node.name,
      version: VERSION,
      specs: specsOf(this.#config),
      planeRestarts: this.#keeper.restarts,
      cpu: this.#cpu.shares,
      lastSwitch: this.#journal.lastSwitch(),
    };
    const board = this.#keeper.map?.board;
    return board === undefined ? absentStatus(around, Date.now()) : readStatus(board, this.#now(), around);
  }

  flows(query: FlowQuery): readonly FlowView[] {
    const board = this.#keeper.map?.board;
    return board === undefined ? [] : readFlows(board, query, this.#now());
  }

  events({ after, limit }: { after: number; limit: number }): readonly EventView[] {
    return this.#journal.since(after, limit);
  }

  switchover({ force }: { force: boolean }): Promise<OrderResult> {
    return this.#moveTo("redundant", force);
  }

  failback({ force }: { force: boolean }): Promise<OrderResult> {
    return this.#moveTo("primary", force);
  }

  #moveTo(box: Box, force: boolean): Promise<OrderResult> {
    const board = this.#keeper.map?.board;
    if (board === undefined) return Promise.resolve(refuse("block", "there is no plane"));
    const path = readPath(board);
    if (path === box) {
      return Promise.resolve({ ok: true, path, text: `the ${box} serves already`, tookUs: null });
    }
    const view = this.status().boxes.find((one) => one.box === box);
    if (!force && view !== undefined && view.light !== "green") {
      return Promise.resolve(
        refuse(path, `the ${box} is not known to be alive: ${view.reason} (--force moves anyway)`),
      );
    }
    return this.#order(box);
  }

  /** One order at a time; the plane answers within a turn. */
  #order(path: Path): Promise<OrderResult> {
    const run = this.#ordering.then(() => this.#carryOut(path));
    this.#ordering = run.catch(() => {});
    return run;
  }

  async #carryOut(path: Path): Promise<OrderResult> {
    const map = this.#keeper.map;
    if (map === null) return refuse("block", "there is no plane");
    const startNs = Number(this.#native.monoNs());
    const sequence = writeOrder(map.board, map.publish, path);
    const until = Date.now() + ORDER_MS_MAX;
    while (map.board.number("live.order_done") !== sequence) {
      if (Date.now() > until) {
        return refuse(readPath(map.board), "the plane did not carry out the order in time");
      }
      await delay(1);
    }
    const now = readPath(map.board);
    // Its own stamp, not the time until we looked.
    const tookUs = Math.max(0, (map.board.number("live.path_since_ns") - startNs) / 1000);
    if (now !== path) return refuse(now, `the plane moved on to ${now} at once: the ${path} is not alive`);
    return { ok: true, path: now, text: `traffic goes by the ${now} box`, tookUs };
  }

  async reload(): Promise<{ ok: boolean; text: string }> {
    const text = await Deno.readTextFile(this.#configPath).catch((error: Error) => error);
    if (text instanceof Error) return { ok: false, text: `Cannot read ${this.#configPath}: ${text.message}` };
    const { config, problems } = parseConfig(text, this.#configPath, { matchFault });
    if (config === undefined) return { ok: false, text: problems.map(describeProblem).join("\n") };
    const fixed = fixedDifferences(this.#config, config);
    if (fixed.length > 0) {
      return {
        ok: false,
        text: `Cannot change ${fixed.join(", ")} while the plane runs: stop the node and start it again`,
      };
    }
    this.#config = config;
    await Deno.writeTextFile(acceptedConfigPath(config), text, { mode: 0o600 });
    this.#command();
    return { ok: true, text: "the new configuration is in force" };
  }
}

function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot make the directory ${path}: ${reason}`, { cause });
  }
}

function refuse(path: Path, text: string): OrderResult {
  return { ok: false, path, text, tookUs: null };
}

/** Sections that a running plane or a bound socket cannot change. */
function fixedDifferences(before: Config, after: Config): string[] {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const sections: [string, unknown, unknown][] = [
    ["[ports]", specsOf(before), specsOf(after)],
    ["[plane]", before.plane, after.plane],
    ["[node] directories", before.node.runtimeDirectory, after.node.runtimeDirectory],
    ["[api] socket", before.api.socket, after.api.socket],
  ];
  return sections.filter(([, a, b]) => !same(a, b)).map(([name]) => name);
}

export interface RunOptions extends NodeOptions {
  /** Starts whatever people talk to the node by, before it forwards. */
  readonly serve: (control: NodeControl) => Promise<{ close(): Promise<void> }>;
}

/**
 * Run the node until a signal: SIGTERM ends control and leaves the plane forwarding, so that control can be replaced; SIGINT
 * ends both. @returns the exit code
 */
export async function runNode(options: RunOptions): Promise<number> {
  const { log } = options;
  const node = new Node(options);
  const served = await options.serve(node);
  const stop = new AbortController();
  let withPlane = false;
  const onTerm = () => stop.abort();
  const onInt = () => {
    withPlane = true;
    stop.abort();
  };
  Deno.addSignalListener("SIGTERM", onTerm);
  Deno.addSignalListener("SIGINT", onInt);
  try {
    await node.begin();
    await node.tend(stop.signal);
    if (withPlane) await node.stopPlane();
    else log("info", "control ends; the plane forwards on");
    return 0;
  } catch (error) {
    if (!(error instanceof PlaneStartError || error instanceof BoardVersionError)) throw error;
    log("error", error.message);
    return 3;
  } finally {
    Deno.removeSignalListener("SIGTERM", onTerm);
    Deno.removeSignalListener("SIGINT", onInt);
    await served.close();
  }
}
