/**
 * Duty: roll-outs of a running controller: follows its nodes, takes a turn some times a second, keeps it, gives the commands.
 *
 * An edge, for its clock and timer. Rows are committed before a command leaves; a start makes every open offer again, under the
 * name it had, and the queue gives a name one command.
 */
import { reasonOf } from "../../../drivers/reason.ts";
import type { CommandRecord, FleetControl, FleetNews } from "../contract.ts";
import { BUNDLES_PATH } from "../transfer/bundles.ts";
import type { Answer, Fleet, Offer, Rollout, RolloutOrder, Turn, Verb } from "./contract.ts";
import { Rollouts } from "./engine.ts";
import type { RolloutStore } from "./store.ts";
import { FleetMap } from "./view.ts";

export interface KeeperOptions {
  readonly control: FleetControl;
  readonly store: RolloutStore;
  /** Besides the controller itself: "https://mirror.example/bundles"; bundles are below it by digest. */
  readonly mirrors: readonly string[];
  readonly bytesPerSecondMax: number | null;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  /** @default 1000 */
  readonly everyMs?: number;
  /** Between two readings of the registry; shorter where other controllers write to it. @default 60 000 */
  readonly rescanMs?: number;
}

const EVERY_MS = 1000;
/** Labels may have changed. */
const RESCAN_MS = 60_000;
const PAGE = 1000;

export class RolloutKeeper {
  readonly #options: KeeperOptions;
  #rollouts: Rollouts;
  readonly #fleet = new FleetMap();
  /** Commands under way, by node and number, and the offers they are for. */
  readonly #offers = new Map<string, Offer>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #unfollow = () => {};
  #turn: Promise<void> = Promise.resolve();
  #scannedMs = 0;
  #closed = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#rollouts = new Rollouts(options.store.load());
  }

  get rollouts(): Rollouts {
    return this.#rollouts;
  }

  get fleet(): Fleet {
    return this.#fleet;
  }

  async start(): Promise<void> {
    const { control, everyMs = EVERY_MS } = this.#options;
    this.#unfollow = control.follow((news) => this.#hear(news));
    await this.#scan();
    for (const offer of this.#rollouts.open(Date.now())) await this.#give(offer);
    this.#timer = setInterval(() => this.#do(() => this.#tick()), everyMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#unfollow();
    await this.#turn;
    this.#options.store.close();
  }

  list(): readonly Rollout[] {
    return this.#rollouts.list();
  }

  /** @throws Error with one sentence, of all of these */
  make(order: RolloutOrder): Promise<void> {
    return this.#act(() => this.#rollouts.make(order, Date.now()));
  }

  change(id: string, verb: Verb, by: string): Promise<void> {
    return this.#act(() => {
      if (verb === "start") return this.#rollouts.start(id, by, Date.now());
      return verb === "pause" ? this.#rollouts.pause(id, by) : this.#rollouts.abort(id, by, Date.now());
    });
  }

  allow(id: string, node: string, by: string): Promise<void> {
    return this.#act(() => this.#rollouts.allow(id, node, by, Date.now()));
  }

  async #act(work: () => Turn): Promise<void> {
    let fault: unknown = null;
    await this.#do(async () => {
      try {
        await this.#carryOut(work());
      } catch (error) {
        fault = error;
      }
    });
    if (fault !== null) throw fault;
  }

  /** One after the other, and none after the end. */
  #do(work: () => Promise<void>): Promise<void> {
    return this.#turn = this.#turn.then(async () => {
      if (this.#closed) return;
      try {
        await work();
      } catch (error) {
        this.#options.say("error", `Cannot go on with roll-outs: ${reasonOf(error)}`);
      }
    });
  }

  async #tick(): Promise<void> {
    if (Date.now() - this.#scannedMs > (this.#options.rescanMs ?? RESCAN_MS)) await this.#scan();
    await this.#carryOut(this.#rollouts.turn(this.#fleet, Date.now()));
  }

  async #carryOut(turn: Turn): Promise<void> {
    try {
      this.#options.store.commit(turn);
    } catch (error) {
      // What could not be kept has not happened.
      this.#rollouts = new Rollouts(this.#options.store.load());
      throw error;
    }
    for (const { rollout, node, level, text } of turn.events) {
      this.#options.say(
        level === "info" ? "info" : "warn",
        `${rollout}: ${node === null ? "" : `${node}: `}${text}`,
      );
      await this.#options.control.registry.events.append({
        ...{ atMs: Date.now(), node, source: "rollout", kind: level, subject: rollout },
        text: text.slice(0, 1000),
      });
    }
    for (const offer of turn.offers) await this.#give(offer);
  }

  async #give(offer: Offer): Promise<void> {
    const { control, mirrors, bytesPerSecondMax } = this.#options,
      { id, node, bundle, expiresMs, force } = offer;
    const { digest, version, bytes } = bundle, file = `${digest}.bundle`;
    const given = { by: `rollout ${id.split("/")[0]}`, nowMs: Date.now(), expiresMs, once: id };
    const sources = [...mirrors.map((url) => `${url}/${file}`), `${BUNDLES_PATH}${file}`].slice(0, 8);
    try {
      const number = offer.kind === "restart"
        ? await control.order(node, { ...given, kind: "update.restart", arguments: { digest } })
        : await control.order(node, {
          ...given,
          kind: "update.offer",
          arguments: {
            ...{ version, digest, bytes, force, sources },
            ...(bytesPerSecondMax !== null && { bytesPerSecondMax }),
          },
        });
      this.#offers.set(`${node} ${number}`, offer);
      // Given before this controller started, it may have ended long ago.
      const known = await control.registry.commands.get(node, number);
      if (known?.result) this.#ended(known);
    } catch (error) {
      await this.#answer({ id, ok: false, reason: reasonOf(error) });
    }
  }

  #hear(news: FleetNews): void {
    if (news.kind === "report") this.#fleet.report(news.node, news.report);
    if (news.kind === "disconnected") this.#fleet.connected(news.node, false);
    if (news.kind === "result") this.#ended(news.command);
    if (news.kind === "connected") void this.#do(() => this.#look(news.node));
  }

  async #look(node: string): Promise<void> {
    const record = await this.#options.control.registry.node(node);
    if (record !== null) this.#fleet.put(record);
  }

  /** That a restart was interrupted is what a restart does. */
  #ended({ node, number, kind, result }: CommandRecord): void {
    const key = `${node} ${number}`, offer = this.#offers.get(key);
    if (offer === undefined || result === null) return;
    this.#offers.delete(key);
    const isRestart = kind === "update.restart" && result.outcome === "interrupted";
    const ok = result.outcome === "done" || isRestart;
    void this.#do(() => this.#answer({ id: offer.id, ok, reason: result.text }));
  }

  async #answer(answer: Answer): Promise<void> {
    await this.#carryOut(this.#rollouts.hear(answer, Date.now()));
  }

  async #scan(): Promise<void> {
    this.#scannedMs = Date.now();
    let after = "";
    for (;;) {
      const page = await this.#options.control.registry.nodes({ after, limit: PAGE });
      for (const record of page) this.#fleet.put(record);
      if (page.length < PAGE) return;
      after = page.at(-1)!.id;
    }
  }
}
