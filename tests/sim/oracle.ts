/**
 * The claims about failover, held against every turn of a world.
 *
 * A claim that breaks ends the run with seed, step and sentence. Truth about the boxes comes from the world, knowledge
 * from Facts, and what the reflexes did from the board alone.
 */
import type { Board } from "../../filter/board.ts";
import type { GateRules, GateSeen } from "../../appliance/failover/gate.ts";
import { BOX as BOX_NAMES, COUNTER, PATH as PATHS } from "../../filter/names.ts";
import { eventsSince, nameEvent, type SeenEvent } from "./events.ts";
import { Facts } from "./facts.ts";
import { checkBlame, checkDoubtful, checkVotes, isVoter, type Sight } from "./oracle_votes.ts";
import type { BoxIndex } from "./reflex.ts";
import { EXCUSES, LAST_BOX, MS, STEP_NS_MAX } from "./settings.ts";
import type { World } from "./world.ts";

const WIRE = PATHS.indexOf("wire");
/** As filter/native/reflex.c has them. */
const PROOF = 8;
const RETRY = 10;
const LOST = COUNTER.indexOf("event_lost");
const STALLS = COUNTER.indexOf("stalls");

export class BrokenClaim extends Error {
  constructor(world: World, claim: string) {
    super(`seed ${world.seed} step ${world.step}: ${claim}`);
    this.name = "BrokenClaim";
  }
}

export class Oracle {
  readonly facts: Facts;
  readonly #world: World;
  readonly #board: Board;
  #path: number;
  #sequence = 0;
  #lost = 0;
  #switches = 0;
  #alive: boolean[];
  #switchesLost = 0;
  #orders = 0;
  #done = 0;

  constructor(world: World, board: Board) {
    this.#world = world;
    this.#board = board;
    this.facts = new Facts(board, world.boxes.map((box) => box.link), world.nowNs);
    this.#path = board.number("live.path");
    this.#alive = this.facts.boxes.map((box) => this.facts.alive(box));
  }

  /** All claims, after a turn. @returns the events since the last check @throws BrokenClaim */
  check(): readonly SeenEvent[] {
    const path = this.#board.number("live.path");
    this.#hold(path < PATHS.length, () => `the path is ${path}, which is none`);
    const events = eventsSince(this.#board, this.#sequence);
    const lost = this.#board.number("counter.packets", LOST) - this.#lost;
    const switches = events.filter((event) => event.kind === "switch");
    const ordered = this.#count(path);
    this.#checkChain(path, switches, lost);
    this.#checkBoxes(events, lost);
    for (const event of switches) this.#checkCause(event);
    for (const event of events) {
      if (event.kind === "box" && event.cause === "silence") this.#checkSilence(event.subject as BoxIndex);
    }
    this.#checkCounts(events, lost);
    this.#leave(path, ordered);
    const moved = this.#board.number("live.switches") > this.#switches;
    this.facts.end(this.#world.settings, moved);
    // Whoever lost the event does not know why traffic left.
    if (!moved || lost === 0) this.#checkServing(path, switches.at(-1));
    this.#remember({ path, events, lost });
    return events;
  }

  get #sight(): Sight {
    const { settings, nowNs } = this.#world;
    const hold = (claim: boolean, otherwise: () => string) => this.#hold(claim, otherwise);
    return { board: this.#board, facts: this.facts, settings, nowNs, hold };
  }

  /** Votes of this turn, and the order that came before them. @returns the path that they were counted on */
  #count(path: number): number {
    const { control, settings } = this.#world;
    const sequence = this.#board.number("live.order_done");
    const order = sequence === this.#done
      ? undefined
      : control.orders.find((one) => one.sequence === sequence);
    this.#done = sequence;
    const to = order === undefined ? -1 : PATHS.indexOf(order.path);
    // A box without ports cannot be ordered.
    const done = order === undefined || (to < WIRE && to >= this.facts.boxes.length)
      ? null
      : { path: to, force: order.force };
    this.facts.count(settings, { from: this.#path, done });
    const on = done?.path ?? this.#path;
    // What was overruled stays so until the box is left, which may be in this turn still.
    if (on === path) checkVotes(this.#sight);
    return on;
  }

  /** A reflex has left the box that served. */
  #leave(path: number, from: number): void {
    if (path !== from) this.facts.votes.left(from);
  }

  #hold(claim: boolean, otherwise: () => string): void {
    if (!claim) throw new BrokenClaim(this.#world, otherwise());
  }

  /** Exactly one event for each change of path, before and after without a hole. */
  #checkChain(path: number, switches: readonly SeenEvent[], lost: number): void {
    const grown = this.#board.number("live.switches") - this.#switches;
    this.#hold(
      switches.length <= grown && grown <= switches.length + lost,
      () => `the path changed ${grown} times, with ${switches.length} events and ${lost} lost`,
    );
    this.#switchesLost += grown - switches.length;
    if (lost > 0) return;
    let at = this.#path;
    for (const event of switches) {
      this.#hold(event.before === at, () => `hole in the chain: at ${PATHS[at]}, then ${nameEvent(event)}`);
      at = event.after;
    }
    this.#hold(at === path, () => `the events end at ${PATHS[at]}, the path is ${PATHS[path]}`);
    if (switches.length > 0) {
      const since = this.#board.number("live.path_since_ns");
      this.#hold(since === this.#world.nowNs, () => `the path moved now, the board says at ${since} ns`);
    }
  }

  /** What the board shows of the boxes is what links and verdict say, and no change of it goes untold. */
  #checkBoxes(events: readonly SeenEvent[], lost: number): void {
    for (const box of this.facts.boxes) {
      const shown = this.#board.number("box.alive", box) === 1;
      this.#hold(
        shown === this.facts.alive(box),
        () =>
          `the board shows ${BOX_NAMES[box]} ${shown ? "alive" : "dead"}, links and verdict say otherwise`,
      );
      if (lost > 0) continue;
      let at = this.#alive[box]!;
      for (const event of events) {
        if (event.kind !== "box" || event.subject !== box) continue;
        this.#hold((event.before === 1) === at, () => `hole in the chain of a box: ${nameEvent(event)}`);
        at = event.after === 1;
      }
      this.#hold(at === shown, () => `${BOX_NAMES[box]} became ${shown ? "alive" : "dead"} without an event`);
    }
  }

  #checkCause(event: SeenEvent): void {
    const from = event.before;
    const name = nameEvent(event);
    if (event.order === 0) {
      this.#hold(this.#world.settings.automatic, () => `${name} though automatic is off`);
      if (from < WIRE && event.cause !== "order") {
        this.#hold(!this.facts.works(from as BoxIndex), () => `${name} though the box that served is alive`);
      }
      if (event.after < WIRE) this.#checkChoice(event);
    }
    switch (event.cause) {
      case "link":
        return this.#hold(
          from < WIRE && !this.facts.linked(from as BoxIndex),
          () => `${name}, but that box had its links up`,
        );
      case "silence":
        return this.#checkSilence(from as BoxIndex);
      case "order":
        if (event.order === 0) {
          const left = from < WIRE && !this.facts.member[from];
          return this.#hold(left, () => `${name}, but that box had not left`);
        }
        return this.#hold(
          this.#world.control.orders.some((order) =>
            order.sequence === event.order && PATHS.indexOf(order.path) === event.after
          ),
          () => `${name}, but control gave no such order`,
        );
      case "return":
        this.#hold(from >= WIRE, () => `${name}, but a box was serving`);
        return this.#hold(
          this.#serves(event.after as BoxIndex),
          () => `${name}, but it has not been up for long`,
        );
      default:
        this.#hold(isVoter(event.cause), () => `${name}: no switch has such a cause`);
        return checkBlame(event, this.#sight);
    }
  }

  /** Of those that may take over the one worth most goes first, then one without a fault for the hold-up, then by rank. */
  #checkChoice(event: SeenEvent): void {
    const { facts } = this;
    const { holdUpNs, lastNs } = this.#world.settings;
    const rank = (box: number) => this.#board.number("command.rank", box);
    const to = event.after as BoxIndex;
    const worth = facts.worth(to, lastNs);
    const again = event.cause === "return"; // of a box that was silent: it is tried where there is none
    this.#hold(worth > 0 || again, () => `${nameEvent(event)}, which is dead`);
    for (const box of facts.boxes) {
      if (box === to || box === event.before || facts.worth(box, lastNs) < Math.max(1, worth)) continue;
      if (again && !facts.steady(box, holdUpNs)) continue;
      const better =
        facts.worth(box, lastNs) > worth || facts.steady(box, holdUpNs) === facts.steady(to, holdUpNs)
          ? rank(box) < rank(to) || (rank(box) === rank(to) && box < to)
          : facts.steady(box, holdUpNs);
      this.#hold(!better, () => `${nameEvent(event)}, though ${BOX_NAMES[box]} comes first`);
    }
  }

  /** The box really did not pass, the node was awake meanwhile, and one way was quiet for the whole time. */
  #checkSilence(box: BoxIndex): void {
    const { facts } = this;
    const { awakeNs, nowNs, limits, settings } = this.#world;
    const name = BOX_NAMES[box];
    if (facts.silentNs[box]! >= 0) {
      const out = Math.min(...facts.outSinceSilent);
      return this.#hold(
        out < PROOF,
        () => `${name} left as silent after ${out} frames had come out each way`,
      );
    }
    const quiet = ([0, 1] as const).map((way) =>
      nowNs - facts.outNs[way] -
      Math.min(facts.stilledNs[way], EXCUSES * Math.min(settings.silenceNs, facts.silenceNsMin[way]))
    );
    const { silenceNs, silenceNsMin } = settings;
    const least = silenceNsMin > 0 ? Math.min(silenceNsMin, silenceNs) / silenceNs : 1;
    this.#hold(
      Math.max(...quiet) >= this.#barNs(box, this.#alive) * least,
      () =>
        `${name} judged silent, its ways were quiet for ${
          quiet.join(" and ")
        } ns without the node's own stalls`,
    );
    const since = (ns: number) => `${((awakeNs - ns) / MS).toFixed(3)} ms`;
    const faulty = this.#world.boxes[box]!.faultyNs;
    this.#hold(
      faulty >= 0 && faulty >= awakeNs - limits.windowNs,
      () =>
        `${name} judged silent, but it ${
          faulty < 0 ? "was always well" : `has been well for ${since(faulty)}`
        }`,
    );
  }

  /** Nothing happens that is not counted: links and stalls as often as they were told. */
  #checkCounts(events: readonly SeenEvent[], lost: number): void {
    const stalls = this.#board.number("counter.packets", STALLS);
    this.#hold(stalls === this.facts.stalls, () => `${this.facts.stalls} stalls, ${stalls} counted`);
    const links = events.filter((event) => event.kind === "link").length;
    const told = this.facts.toldChanges;
    this.#hold(links <= told && told <= links + lost, () => `${told} link changes, ${links} events`);
    const done = this.#board.number("live.order_done");
    const given = this.#board.number("command.order_sequence");
    this.#hold(done === given, () => `order ${given} was given, the turn ended with ${done} done`);
  }

  /** Who has to serve now. */
  #checkServing(path: number, moved: SeenEvent | undefined): void {
    const { facts } = this;
    const { settings, nowNs } = this.#world;
    // What is only reported is reported of a box that is dead or has left; what is decided leaves nothing to report.
    const would = this.#board.number("live.would"), fit = path < WIRE && facts.alive(path as BoxIndex);
    this.#hold(would === path || (!settings.automatic && !fit), () => `would be ${PATHS[would]}`);
    if (!settings.automatic) return;
    // No frame is dropped for want of a box but where the policy, or a person, says so.
    const ordered = moved?.cause === "order" || moved === undefined;
    const policy = path < WIRE || ordered || PATHS[path] === settings.deadPath;
    this.#hold(policy, () => `${PATHS[path]}, though the policy is ${settings.deadPath}`);
    if (path < WIRE) {
      const box = path as BoxIndex;
      this.#hold(facts.linked(box), () => `${BOX_NAMES[box]} serves without a link`);
      this.#hold(!facts.silent(box), () => `${BOX_NAMES[box]} serves though judged silent`);
      checkDoubtful(box, this.#sight);
      const stays = facts.member[box]! || facts.boxes.every((other) => other === box || !facts.alive(other));
      this.#hold(stays, () => `${BOX_NAMES[box]} serves though it has left`);
      return this.#checkEvidence(box);
    }
    const justLeft = moved !== undefined && moved.cause !== "order";
    for (const box of facts.boxes) {
      if (justLeft) {
        const worth = facts.worth(box, settings.lastNs);
        this.#hold(
          worth === 0,
          () => `left for ${PATHS[path]}, though ${BOX_NAMES[box]} is better than none`,
        );
        continue;
      }
      const up = nowNs - facts.linksUpNs[box]!;
      this.#hold(
        !this.#serves(box),
        () => `${PATHS[path]}, though ${BOX_NAMES[box]} has been up for ${up} ns`,
      );
    }
  }

  /** How long silence has to last: a doubtful box is better than none. `before`: who was alive when silence was judged. */
  #barNs(box: BoxIndex, before: readonly boolean[] = []): number {
    const other = this.facts.boxes.some((one) => one !== box && (this.facts.alive(one) || before[one]));
    return this.#world.settings.silenceNs * (other ? 1 : LAST_BOX);
  }

  /** Alive beyond the hold-up, or silent for so long that it must be tried again. */
  #serves(box: BoxIndex): boolean {
    const { facts } = this;
    const { settings, nowNs } = this.#world;
    if (!facts.member[box] || facts.joinedNs[box]! >= 0) return false;
    if (!facts.linked(box) || nowNs - facts.lastFaultNs(box) < settings.holdUpNs) return false;
    if (facts.proven(box, facts.silent(box) ? 0 : settings.lastNs)) return false;
    if (facts.outvoted(box) && facts.boxes.some((other) => facts.alive(other))) {
      return false;
    }
    return !facts.silent(box) || nowNs - facts.silentNs[box]! > RETRY * settings.holdUpNs;
  }

  /** Silent death under dense traffic of two flows does not last. */
  #checkEvidence(box: BoxIndex): void {
    const { settings, nowNs } = this.#world;
    if (settings.silenceNs === 0) return;
    for (const side of [0, 1] as const) {
      const since = this.facts.evidenceNs(side);
      this.#hold(
        since < 0 || nowNs - since <= this.#barNs(box) + 3 * STEP_NS_MAX,
        () =>
          `the way in by side ${side} has been dead for ${
            nowNs - since
          } ns under dense traffic, and still serves`,
      );
    }
  }

  /** Control was told everything in order, and the point of failover orders only what was earned. */
  checkControl(): void {
    const { control, nowNs } = this.#world;
    this.#hold(control.complaint === null, () => `control's view: ${control.complaint}`);
    for (; this.#orders < control.orders.length; this.#orders++) {
      const order = control.orders[this.#orders]!;
      if (order.by !== "point") continue;
      this.#hold(!order.suppressed, () => "the point ordered failback to a suppressed primary");
      this.#hold(!order.force, () => "the point forced an order");
      const { failback, failbackAfterMs, gate } = control.point;
      this.#hold(failback === "automatic", () => "the point of failover ordered, failback is manual");
      const since = this.facts.aliveNs[0]!;
      const aliveMs = since < 0 ? 0 : (nowNs - since) / MS;
      this.#hold(
        aliveMs >= failbackAfterMs,
        () => `the point ordered failback after ${aliveMs} ms without a fault, not ${failbackAfterMs}`,
      );
      if (gate) this.#checkGate(gate, order.match, aliveMs - failbackAfterMs);
    }
  }

  /** To a primary that would lose flows only where that was waited for, and the policy goes on. */
  #checkGate(
    { matchMin, flowsMin, waitMsMax, overdue }: GateRules,
    { known, live }: GateSeen,
    waitedMs: number,
  ): void {
    const good = matchMin === 0 || known < flowsMin || live >= matchMin;
    this.#hold(
      good || (overdue === "go" && waitedMs >= waitMsMax),
      () =>
        `the point ordered failback at a match of ${live} %, which wants ${matchMin} %, after ${waitedMs} ms`,
    );
  }

  /** Events that found the ring full. */
  get lost(): number {
    return this.#lost;
  }

  /** At the end: what control read, what it has still to read and what was lost make up every switch. */
  checkEnd(): void {
    const { control } = this.#world;
    const unread = eventsSince(this.#board, this.#board.number("live.event_read"))
      .filter((event) => event.kind === "switch").length;
    const sum = control.switchesRead + unread + this.#switchesLost;
    this.#hold(
      sum === this.#board.number("live.switches") && this.#switchesLost <= this.#lost,
      () => `control knows of ${sum} switches, there were ${this.#board.number("live.switches")}`,
    );
  }

  #remember({ path, events, lost }: { path: number; events: readonly SeenEvent[]; lost: number }): void {
    this.#path = path;
    this.#sequence += events.length;
    this.#lost += lost;
    this.#switches = this.#board.number("live.switches");
    this.#alive = this.facts.boxes.map((box) => this.facts.alive(box));
    this.facts.toldChanges = 0;
  }
}
