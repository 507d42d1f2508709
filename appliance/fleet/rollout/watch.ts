/**
 * Duty: keeps the fleet's view for roll-outs: what this controller hears of its own nodes, and what others have kept of theirs.
 *
 * An edge, for its clock. The registry is read as a whole at the start and seldom after it; between that only nodes that
 * changed are.
 */
import type { Change, CommandRecord, FleetControl, FleetNews } from "../contract.ts";
import { reasonOf } from "../../../drivers/reason.ts";
import { FleetMap } from "./view.ts";

export interface WatchOptions {
  readonly control: FleetControl;
  /** A command ended, at whichever controller. */
  readonly ended: (command: CommandRecord) => void;
  /** Whether anybody waits for the end of this command. */
  readonly isAwaited: (node: string, command: number) => boolean;
  readonly say: (level: "error", text: string) => void;
  /** Between two readings of the whole registry. */
  readonly rescanMs: number;
}

const PAGE = 1000;

export class FleetWatch {
  readonly fleet = new FleetMap();
  readonly #options: WatchOptions;
  readonly #own = new Set<string>();
  readonly #stale = new Set<string>();
  #controllers: ReadonlySet<string> = new Set();
  #scannedMs: number | null = null;
  #ends: (() => void)[] = [];

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { control } = this.#options, { shared } = control.registry;
    this.#ends = [control.follow((news) => this.#hear(news))];
    if (shared) this.#ends.push(shared.changes((change) => this.#changed(change)));
  }

  close(): void {
    for (const end of this.#ends) end();
  }

  /** Reads what has changed, or all of it where that is due or asked for. */
  async refresh(all = false): Promise<void> {
    const nowMs = Date.now(), { rescanMs } = this.#options;
    const isDue = this.#scannedMs === null || nowMs - this.#scannedMs > rescanMs || nowMs < this.#scannedMs;
    if (await this.#someoneIsGone() || isDue || all) await this.#scan(nowMs);
    else await this.#catchUp();
  }

  #hear(news: FleetNews): void {
    switch (news.kind) {
      case "report":
        return this.fleet.report(news.node, news.report);
      case "disconnected":
        this.#own.delete(news.node);
        this.#stale.add(news.node); // it may be connected anew already, here or elsewhere
        return;
      case "result":
        return this.#options.ended(news.command);
      case "connected":
        this.#own.add(news.node);
        this.#stale.add(news.node);
    }
  }

  #changed(change: Change | null): void {
    if (change === null) {
      this.#scannedMs = null;
      return;
    }
    const { node, command } = change;
    if (command !== null) {
      if (this.#options.isAwaited(node, command)) void this.#fetchEnd(node, command);
    } else if (!this.#own.has(node)) this.#stale.add(node);
  }

  async #fetchEnd(node: string, number: number): Promise<void> {
    try {
      const command = await this.#options.control.registry.commands.get(node, number);
      if (command?.result) this.#options.ended(command);
    } catch (error) {
      // What the node shows tells the same, later.
      this.#options.say("error", `Cannot read command ${number} of ${node}: ${reasonOf(error)}`);
    }
  }

  /** The nodes of a controller that died are not connected, and nobody wrote it down. */
  async #someoneIsGone(): Promise<boolean> {
    const { shared } = this.#options.control.registry;
    if (!shared) return false;
    const before = this.#controllers, now = this.#controllers = await shared.controllers();
    return [...before].some((name) => !now.has(name));
  }

  async #catchUp(): Promise<void> {
    const { registry } = this.#options.control, stale = [...this.#stale];
    this.#stale.clear();
    try {
      for (let at = 0; at < stale.length; at += PAGE) {
        for (const record of await registry.nodesOf(stale.slice(at, at + PAGE))) this.fleet.put(record);
      }
    } catch (error) {
      for (const id of stale) this.#stale.add(id);
      throw error;
    }
  }

  async #scan(nowMs: number): Promise<void> {
    this.#stale.clear();
    let after = "";
    for (;;) {
      const page = await this.#options.control.registry.nodes({ after, limit: PAGE });
      for (const record of page) this.fleet.put(record);
      if (page.length < PAGE) break;
      after = page.at(-1)!.id;
    }
    this.#scannedMs = nowMs;
  }
}
