/**
 * Duty: roll-outs of a running controller: follows its nodes, takes a turn some times a second, keeps it, gives the commands.
 *
 * An edge, for its clock and timer. Rows are committed before a command leaves; a start makes every open offer again, under the
 * name it had. Where several controllers share the roll-outs, only the one that leads takes turns (keeping.ts).
 */
import { reasonOf } from "../../../drivers/reason.ts";
import type { FleetControl } from "../contract.ts";
import type { Answer, Fleet, Rollout, RolloutEvent, RolloutOrder, Turn, Verb } from "./contract.ts";
import { Rollouts } from "./engine.ts";
import { Giver } from "./giver.ts";
import { LostLeadError, type RolloutStore, type Wish } from "./keeping.ts";
import { FleetWatch } from "./watch.ts";

export interface KeeperOptions {
  readonly control: FleetControl;
  readonly store: RolloutStore;
  /** Besides the controller itself: "https://mirror.example/bundles"; bundles are below it by digest. */
  readonly mirrors: readonly string[];
  readonly bytesPerSecondMax: number | null;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  /** @default 1000 */
  readonly everyMs?: number;
  /** Between two readings of the whole registry. @default 60 000; 300 000 where it is shared, which tells of changes */
  readonly rescanMs?: number;
}

const EVERY_MS = 1000;
/** Labels may have changed. */
const RESCAN_MS = 60_000;
const SHARED_RESCAN_MS = 300_000;

export class RolloutKeeper {
  readonly #options: KeeperOptions;
  #rollouts = new Rollouts();
  readonly #watch: FleetWatch;
  readonly #giver: Giver;
  #timer: ReturnType<typeof setInterval> | undefined;
  #turn: Promise<void> = Promise.resolve();
  #ticking = false;
  /** What is in memory is what is kept. */
  #isLoaded = false;
  #leads = false;
  #closed = false;
  #fault = "";

  constructor(options: KeeperOptions) {
    const { control, mirrors, bytesPerSecondMax, say } = this.#options = options;
    this.#giver = new Giver({
      ...{ control, mirrors, bytesPerSecondMax },
      answered: (answer) => void this.#do(() => this.#hear(answer)),
    });
    this.#watch = new FleetWatch({
      ...{ control, say },
      ended: (command) => this.#giver.ended(command),
      isAwaited: (node, command) => this.#giver.isAwaited(node, command),
      rescanMs: options.rescanMs ?? (control.registry.shared ? SHARED_RESCAN_MS : RESCAN_MS),
    });
  }

  get rollouts(): Rollouts {
    return this.#rollouts;
  }

  get fleet(): Fleet {
    return this.#watch.fleet;
  }

  /** It takes turns here; false: at another controller. */
  get leads(): boolean {
    return this.#leads;
  }

  /** Resolves after the first turn. */
  async start(): Promise<void> {
    this.#watch.start();
    await this.#do(() => this.#tick());
    this.#timer = setInterval(() => {
      // One that takes long is not followed by all that it kept waiting.
      if (this.#ticking) return;
      this.#ticking = true;
      void this.#do(() => this.#tick().finally(() => this.#ticking = false));
    }, this.#options.everyMs ?? EVERY_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watch.close();
    await this.#turn;
    await this.#options.store.close();
  }

  /** Of this name; one that another controller has just made is looked for. */
  async find(id: string): Promise<Rollout | undefined> {
    if (this.#options.store.seat !== null && this.#rollouts.get(id) === undefined) {
      await this.#do(() => this.#leads ? Promise.resolve() : this.#follow());
    }
    return this.#rollouts.get(id);
  }

  list(): readonly Rollout[] {
    return this.#rollouts.list();
  }

  /** @throws Error with one sentence, of all of these */
  make(order: RolloutOrder): Promise<void> {
    return this.#wish({ verb: "make", order });
  }

  change(id: string, verb: Verb, by: string): Promise<void> {
    return this.#wish({ verb, id, by });
  }

  allow(id: string, node: string, by: string): Promise<void> {
    return this.#wish({ verb: "allow", id, node, by });
  }

  async #wish(wish: Wish): Promise<void> {
    const { seat } = this.#options.store;
    let fault: unknown = null;
    await this.#do(async () => {
      try {
        if (!this.#isLoaded) throw new Error("Cannot change roll-outs: they are not read yet");
        if (seat !== null && !this.#leads) throw new LostLeadError();
        await this.#carryOut(this.#fulfil(wish));
      } catch (error) {
        fault = error;
      }
    });
    // Not within the turn: this controller itself may come to lead while it waits.
    if (seat !== null && fault instanceof LostLeadError) {
      await seat.ask(wish);
      await this.#do(() => this.#leads ? Promise.resolve() : this.#follow());
    } else if (fault !== null) throw fault;
  }

  #fulfil(wish: Wish): Turn {
    const nowMs = Date.now();
    switch (wish.verb) {
      case "make":
        return this.#rollouts.make(wish.order, nowMs);
      case "start":
        return this.#rollouts.start(wish.id, wish.by, nowMs);
      case "pause":
        return this.#rollouts.pause(wish.id, wish.by);
      case "abort":
        return this.#rollouts.abort(wish.id, wish.by, nowMs);
      case "allow":
        return this.#rollouts.allow(wish.id, wish.node, wish.by, nowMs);
    }
  }

  /** One after the other, and none after the end. */
  #do(work: () => Promise<void>): Promise<void> {
    return this.#turn = this.#turn.then(async () => {
      if (this.#closed) return;
      try {
        await work();
        this.#fault = "";
      } catch (error) {
        const reason = reasonOf(error);
        if (reason !== this.#fault) this.#options.say("error", `Cannot go on with roll-outs: ${reason}`);
        this.#fault = reason;
      }
    });
  }

  async #hear(answer: Answer): Promise<void> {
    // Who loads again gives open offers again, and hears of their end again.
    if (this.#isLoaded && this.#leads) await this.#carryOut(this.#rollouts.hear(answer, Date.now()));
  }

  async #tick(): Promise<void> {
    const { seat } = this.#options.store;
    const lead = seat === null ? "kept" : await seat.lead();
    if (lead === "other") return await this.#stepBack();
    if (lead === "taken" || !this.#leads || !this.#isLoaded) await this.#takeOver();
    else await this.#watch.refresh();
    for (const { id, wish } of await seat?.asked() ?? []) await this.#answer(id, wish);
    await this.#carryOut(this.#rollouts.turn(this.fleet, Date.now()));
  }

  /** Whatever was known before: the rows say what is under way, and every open offer is made again. */
  async #takeOver(): Promise<void> {
    const { store, say } = this.#options;
    await this.#load();
    await this.#watch.refresh(true);
    if (store.seat !== null && !this.#leads) say("info", "roll-outs are led here now");
    this.#leads = true;
    this.#giver.add(this.#rollouts.open(Date.now()));
  }

  async #stepBack(): Promise<void> {
    if (this.#leads) this.#options.say("warn", "roll-outs are led by another controller now");
    if (this.#leads) this.#isLoaded = false;
    this.#leads = false;
    this.#giver.clear();
    await this.#follow();
    await this.#watch.refresh();
  }

  async #follow(): Promise<void> {
    const committed = this.#isLoaded ? await this.#options.store.seat?.follow() ?? null : null;
    if (committed === null) await this.#load();
    else for (const one of committed) this.#rollouts.apply(one);
  }

  async #load(): Promise<void> {
    this.#isLoaded = false;
    this.#rollouts = new Rollouts(await this.#options.store.load());
    this.#isLoaded = true;
  }

  async #answer(id: string, wish: Wish): Promise<void> {
    let turn: Turn;
    try {
      turn = this.#fulfil(wish);
    } catch (error) {
      return await this.#options.store.seat?.refuse(id, reasonOf(error));
    }
    await this.#carryOut(turn, id);
  }

  async #carryOut(turn: Turn, asked?: string): Promise<void> {
    const { store } = this.#options;
    try {
      if (turn.rows.length + turn.drops.length > 0) await store.commit(turn, asked);
    } catch (error) {
      // What could not be kept has not happened; whether it was is seen by reading it again.
      this.#isLoaded = false;
      throw error;
    }
    this.#giver.add(turn.offers);
    await Promise.all(turn.events.map((event) => this.#tell(event)));
    await this.#giver.give(() => store.seat?.held ?? true);
  }

  async #tell({ rollout, node, level, text }: RolloutEvent): Promise<void> {
    const { control, say } = this.#options, subject = node === null ? "" : `${node}: `;
    say(level === "info" ? "info" : "warn", `${rollout}: ${subject}${text}`);
    await control.registry.events.append({
      ...{ atMs: Date.now(), node, source: "rollout", kind: level, subject: rollout },
      text: text.slice(0, 1000),
    });
  }
}
