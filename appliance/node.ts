/**
 * The node: control's life around one plane.
 *
 * Every 10 ms it takes events off the board, asks whether the plane lives, and lets the point of failover judge. Orders go
 * to the plane as a number on the board and come back as one; nothing here is ever waited for by a packet.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Native, openNative } from "../filter/dpdk.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { accept, writeAccepted } from "./accepted.ts";
import { type BfdKeys, readBfdKeys } from "./bfd_keys.ts";
import { writeRules } from "./board_command.ts";
import { type Now, readEvents, readPath, readStatus } from "./board_view.ts";
import { type FlowQuery, readFlows } from "./flow_view.ts";
import { Captures } from "./captures.ts";
import { Drills } from "./drills.ts";
import { Checks } from "./checks.ts";
import type { Config } from "./config.ts";
import { CpuShares } from "./cpu_shares.ts";
import { NodeLayer } from "./layer_open.ts";
import { Learning } from "./learning.ts";
import { makeDirectory } from "./directories.ts";
import type { Judgement } from "./judgement.ts";
import { openJudgement } from "./judgement_open.ts";
import { Journal } from "./journal.ts";
import { capturePath, journalPath, recorderPath, vnfsPath } from "./paths.ts";
import { writeLastPath } from "./last_path.ts";
import { Orders } from "./orders.ts";
import { PlaneKeeper, PlaneStartError } from "./plane_keeper.ts";
import { readProbes } from "./probe_view.ts";
import { reasonOf } from "../drivers/reason.ts";
import { Recorder } from "./recorder.ts";
import { readReload } from "./reload.ts";
import { StallLines } from "./stall_lines.ts";
import { Vnfs } from "./vnf/vnfs.ts";
import { VERSION } from "./version.ts";
import { writeCommand } from "./node_command.ts";
import { NodeExternals } from "./node_externals.ts";
import { NodeState } from "./node_state.ts";
import type { Level, NodeOptions } from "./node_options.ts";
import {
  absentStatus,
  externalEvent,
  levelOf,
  namesOf,
  type Own,
  ownEvent,
  specsOf,
  stateEvent,
  updateEvent,
  withExternals,
} from "./node_views.ts";
import type { Box, EventView, FlowView, MatchReport, NodeControl, NodeStatus, ProbeListing } from "./view.ts";

const TICK_MS = 10;
const JUDGE_EVERY = 10;
const STOP_MS_MAX = 3000;

export type { Log, NodeOptions } from "./node_options.ts";

export class Node implements NodeControl {
  readonly #native: Native;
  readonly #keeper: PlaneKeeper;
  readonly #journal: Journal;
  readonly #options: NodeOptions;
  readonly captures: Captures;
  readonly recorder: Recorder;
  readonly drills: Drills;
  readonly #orders: Orders;
  readonly externals = new NodeExternals((told) =>
    this.#journal.add(externalEvent(told, this.#boot(), this.#now()))
  );
  readonly layer: NodeLayer;
  readonly vnfs = new Vnfs({
    tell: (cause, text) => this.#tell(cause, text, "vnf"),
    complain: (text) => this.say("error", text),
  });
  readonly state = new NodeState({
    say: (level, text) => this.say(level, text),
    tell: (told) => this.#journal.add(stateEvent(told, this.#boot(), this.#now())),
    serves: (box) => this.status().boxes.some((one) => one.box === box && one.serving),
  });
  #config: Config;
  #bfdKeys: BfdKeys;
  readonly #judgement: Judgement;
  readonly #learning: Learning;
  readonly #checks: Checks;
  readonly #cpu = new CpuShares();
  readonly #stalls = new StallLines();
  #reviving = false;

  constructor(options: NodeOptions) {
    const { config } = options;
    this.#config = config;
    this.#bfdKeys = readBfdKeys(config.bfd);
    this.#options = options;
    makeDirectory(config.node.runtimeDirectory);
    makeDirectory(config.node.stateDirectory);
    this.#native = openNative();
    this.#keeper = new PlaneKeeper({ native: this.#native, config, log: (text) => this.say("info", text) });
    this.#judgement = openJudgement(config, {
      tell: (event) => this.#journal.add(event),
      complain: this.#complain,
      judged: (judged) => this.recorder.judged(judged),
    });
    this.#journal = new Journal({
      path: journalPath(config),
      tell: (event) => {
        this.#judgement.flaps.note([event], this.#config.failover.damping);
        if (this.#stalls.tells(event)) this.say(levelOf(event), event.text, { event: event.sequence });
        this.captures.mark(event);
        this.recorder.event(event);
      },
      complain: this.#complain,
    });
    this.#judgement.flaps.note(this.#journal.since(0, Infinity), config.failover.damping);
    this.#checks = new Checks({
      reach: (question) => this.#native.reach(question),
      tell: (text, light) => this.say(light === "green" ? "info" : "warn", text),
    });
    this.#orders = new Orders({
      map: () => this.#keeper.map,
      config: () => this.#config,
      status: () => this.status(),
      monoNs: () => this.#native.monoNs(),
      external: (box, how) => this.externals.order(box, how),
      left: (boxes) => this.externals.leave(boxes),
      learning: () => this.#learning.on,
    });
    this.#learning = this.#makeLearning();
    this.captures = new Captures({
      config,
      monoNs: () => this.#native.monoNs(),
      open: () => this.#native.openCapture(capturePath(config)),
      ruleName: (rule) => this.#keeper.map?.board.text("rule.name", rule) ?? "",
      lastSwitch: () => this.#journal.lastSwitch(),
      switchTimesMs: () => this.#journal.switchTimesMs(),
      complain: this.#complain,
    });
    this.recorder = this.#makeRecorder(config);
    this.drills = new Drills({
      config: () => this.#config,
      now: () => this.#now(),
      means: () => {
        const map = this.#keeper.map, monoNs = () => this.#native.monoNs();
        return map === null ? null : { map, monoNs, tap: (wanted) => this.captures.tap(wanted) };
      },
      tell: (text, ok) => this.#tell("order", ok ? text : `${text} (failed)`, "drill"),
    });
    this.layer = this.#makeLayer(config);
  }

  #makeLearning(): Learning {
    return new Learning({
      config: () => this.#config,
      board: () => this.#keeper.map?.board ?? null,
      tell: (event) => this.#journal.add(event),
      now: () => this.#now(),
      command: () => this.#command(),
    });
  }

  #makeLayer(config: Config): NodeLayer {
    return new NodeLayer(config, {
      serving: () => this.status().boxes.find((box) => box.serving)?.box ?? null,
      serve: (box) => this.#orders.moveTo(box, false),
      tell: (cause, text) => this.#tell(cause, text, "layer"),
      drivers: this.state.set,
      map: () => this.#keeper.map,
    });
  }

  #makeRecorder(config: Config): Recorder {
    return new Recorder({
      config,
      monoNs: () => this.#native.monoNs(),
      open: () => this.#native.openCapture(recorderPath(config)),
      board: () => this.#keeper.map?.board ?? null,
      lastSwitch: () => this.#journal.lastSwitch(),
      complain: this.#complain,
    });
  }

  /** Write to the log. */
  say(level: Level, text: string, more: Record<string, unknown> = {}): void {
    this.#options.log(level, text, more, this.#config.log);
  }

  /** Bring the plane up or take it over. @throws PlaneStartError, or Error with one sentence */
  async begin(): Promise<void> {
    this.#accept(this.#keeper.lives());
    this.externals.configure(this.#config);
    this.vnfs.begin(this.#config.vnfs, vnfsPath(this.#config));
    this.state.configure(this.#config);
    const how = await this.#keeper.begin();
    if (how === "attached") this.#tell("attached", "took over a running plane, which went on forwarding");
    else this.#tell("start", "the plane forwards");
    this.#command();
    this.captures.attach(), this.recorder.attach();
    this.#checks.configure(this.#config.checks);
    this.#takeEvents();
    await this.layer.begin();
  }

  #accept(lives: boolean): void {
    const before = accept(this.#config, { text: this.#options.configText, lives }, this.#complain);
    if (before === null) return;
    this.#config = before;
    this.#bfdKeys = readBfdKeys(before.bfd);
  }

  /** Look after the plane until `signal` says stop. */
  async tend(signal: AbortSignal): Promise<void> {
    for (let tick = 0; !signal.aborted; tick++) {
      this.#takeEvents();
      if (tick % JUDGE_EVERY === 0) {
        const board = this.#keeper.map?.board, { monoNs } = this.#now();
        const stalls = this.#stalls.look(monoNs / 1000);
        if (stalls !== null) this.say("info", stalls);
        if (board !== undefined) this.#cpu.look(board, monoNs);
        if (this.#keeper.died()) await this.#revive(signal);
        else this.#judge();
        void this.#journal.sync();
      }
      await delay(TICK_MS, undefined, { signal }).catch(() => {});
    }
    this.#takeEvents();
    this.#checks.close();
  }

  /** Stop the plane as well; without it forwarding goes on after control has ended. */
  async stopPlane(): Promise<void> {
    if (await this.#keeper.stop(STOP_MS_MAX)) this.say("info", "the plane has stopped");
    else this.say("error", "Cannot stop the plane: it does not react");
  }

  #now(): Now {
    return { monoNs: Number(this.#native.monoNs()), wallMs: Date.now() };
  }

  /** Write rules and reflexes to the plane. Returns the generation that the plane tells when it goes by them. */
  #command(): number {
    const map = this.#keeper.map;
    if (map === null) return 0;
    const rules = this.#config.filter.rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
    const commanded = { config: this.#config, learning: this.#learning.on, bfdKeys: this.#bfdKeys };
    for (const fault of writeCommand(map, commanded)) this.say("error", fault);
    const beforeNs = this.#native.monoNs();
    this.recorder.rules(beforeNs);
    const generation = writeRules(map.board, map.publish, rules, this.#config.filter);
    this.recorder.rules(beforeNs);
    return generation;
  }

  #complain = (text: string) => this.say("error", text);

  #boot(): bigint {
    return this.#keeper.map?.board.big("header.boot") ?? 0n;
  }

  #tell(cause: EventView["cause"], text: string, kind: Own = "plane"): void {
    this.#journal.add(ownEvent({ kind, cause, text, boot: this.#boot(), now: this.#now() }));
  }

  #takeEvents(): void {
    const board = this.#keeper.map?.board;
    if (board === undefined) return;
    this.recorder.look();
    const read = board.number("live.event_read");
    if (board.number("live.event_sequence") === read) return;
    const events = readEvents(board, read);
    const fresh = events.filter((event) => !this.#journal.has(event));
    for (const event of fresh) this.#journal.add(this.#judgement.matches.withMatch(board, event));
    if (events.some(({ kind }) => kind === "switch")) {
      writeLastPath(this.#config, readPath(board), this.#complain);
    }
    this.layer.heard(fresh);
    const last = events.at(-1);
    if (last !== undefined) board.setNumber("live.event_read", last.sequence);
  }

  #judge(): void {
    const board = this.#keeper.map?.board;
    if (board === undefined) return;
    const order = this.#judgement.look(board, {
      config: this.#config,
      checks: this.#checks.boxes(),
      ordered: this.#journal.lastSwitch()?.cause === "order" && !this.#orders.relieved,
      now: this.#now(),
    });
    const left = this.#learning.look(board, order);
    if (left !== null) void this.#orders.order(left);
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
        this.captures.attach(), this.recorder.attach();
        await this.layer.assertRules();
      } catch (error) {
        if (!(error instanceof PlaneStartError)) throw error;
        this.say("error", error.message);
      }
    }
  }

  status(): NodeStatus {
    const around = {
      name: this.#config.node.name,
      version: VERSION,
      specs: specsOf(this.#config),
      names: namesOf(this.#config),
      planeRestarts: this.#keeper.restarts,
      cpu: this.#cpu.shares,
      lastSwitch: this.#journal.lastSwitch(),
      lastDrill: this.drills.last,
      checks: this.#checks.views(),
      checkReason: (box: Box) => this.#checks.boxes().get(box)?.reason ?? null,
      failback: this.#judgement.failback,
      unlike: (box: Box) => this.#judgement.matches.alarms.has(box),
      damping: (box: Box) => this.#judgement.flaps.view(box, this.#config.failover.damping),
      external: this.externals.views(),
    };
    const board = this.#keeper.map?.board;
    const seen = board && readStatus(board, this.#now(), around);
    return this.#learning.shown(withExternals(seen ?? absentStatus(around, Date.now())));
  }

  flows(query: FlowQuery): readonly FlowView[] {
    const board = this.#keeper.map?.board;
    return board === undefined ? [] : readFlows(board, query, this.#now());
  }

  match({ history }: { history: boolean }): MatchReport {
    const rules = this.#config.match, { failback, matches } = this.#judgement;
    const drill = this.drills.last, given = { history, rules, nowMs: this.#now().wallMs, drill };
    return { ...matches.report(this.#keeper.map?.board ?? null, given), drill, failback };
  }

  events({ after, limit }: { after: number; limit: number }): readonly EventView[] {
    this.#takeEvents(); // who was shown a path by the status finds here how it came to it
    return this.#journal.since(after, limit);
  }

  eventsKnown({ sequence }: { sequence: number }): void {
    const text = `the journal lost events that its readers know, and goes on after ${sequence}`;
    if (this.#journal.goOnAfter(sequence)) this.#tell("lost", text, "journal");
  }

  probes(): ProbeListing {
    const board = this.#keeper.map?.board;
    return board === undefined ? { probes: [], traffic: [] } : readProbes(board, this.#now());
  }

  switchover = ({ force, box = null }: { force: boolean; box?: string | null }) =>
    this.#orders.moveTo(box, force);
  failback = ({ force }: { force: boolean }) => this.#orders.moveTo("primary", force);
  arm = ({ force }: { force: boolean }) => Promise.resolve(this.#learning.arm(force));
  disarm = () => Promise.resolve(this.#learning.disarm());
  noteUpdate = (report: Parameters<typeof updateEvent>[0]) => this.#journal.addOnce(updateEvent(report));
  join = ({ box }: { box: string }) => this.#orders.member(box, true);
  leave = ({ box }: { box: string }) => this.#orders.member(box, false);
  maintain = ({ box, on }: { box: string; on: boolean }) => this.#orders.maintain(box, on);
  resync = ({ box, stop }: { box: string | null; stop: boolean }) => this.#orders.resync(box, stop);

  async reload(): Promise<{ ok: boolean; text: string }> {
    const refusal = (text: string) => ({ ok: false, text });
    const before = this.#config, fresh = await readReload(before, this.#options);
    if (typeof fresh === "string") return refusal(fresh);
    const { config, text, added } = fresh;
    const closed = added.length === 0 ? null : await this.#orders.openPorts(before, config);
    if (closed !== null) return refusal(closed);
    let keys: BfdKeys;
    try {
      keys = readBfdKeys(config.bfd);
      writeAccepted(config, text);
    } catch (error) {
      return refusal(reasonOf(error));
    }
    this.#config = config;
    this.#bfdKeys = keys;
    this.captures.configure(config);
    this.recorder.configure(config);
    this.#checks.configure(config.checks);
    this.externals.configure(config);
    this.vnfs.configure(config.vnfs), this.state.configure(config), this.#learning.configure();
    await this.layer.begin();
    if (await this.#orders.answers("live.rule_done", this.#command())) {
      return { ok: true, text: "the new configuration is in force" };
    }
    return refusal("the plane did not take over the rules in time");
  }
}
