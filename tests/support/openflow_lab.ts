/**
 * Duty: two real switches on the loopback, the second a replica of the first by way of a tap, and controllers for them.
 */
import assert from "node:assert/strict";
import type { DriverContext, Settings, StateDriver } from "../../drivers/driver.ts";
import { OPENFLOW } from "../../drivers/openflow/insert.ts";
import { OPENFLOW_TAP } from "../../drivers/openflow/tap.ts";
import { filled } from "../../scripts/lab/openflow_pair.ts";
import { end, sleep } from "../../scripts/lab/process.ts";
import { replicate, type Replicated } from "../../scripts/lab/replicate.ts";
import { DummySwitch } from "./dummy_switch.ts";

export const PORTS = ["p1", "p2", "p3"] as const;
const CONTROLLER = "ovs-testcontroller";
const LIFE_S_MAX = "120";
const AGREE_MS_MAX = 30_000;

/** Empty, or what is missing. */
export function missingController(): string {
  try {
    Deno.statSync(`/usr/bin/${CONTROLLER}`);
    return "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return CONTROLLER;
    throw error;
  }
}

export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The learning switch that comes with Open vSwitch, as a process. */
export class TestController {
  #child: Deno.ChildProcess | null = null;

  constructor(
    readonly port: number,
    readonly options: readonly string[],
    readonly directory: string,
    readonly method: "ptcp" | "pssl" = "ptcp",
  ) {}

  start(): void {
    const args = ["--kill-after=1", LIFE_S_MAX, CONTROLLER, ...this.options];
    args.push(`${this.method}:${this.port}:127.0.0.1`, `--unixctl=${this.directory}/controller.ctl`);
    this.#child = new Deno.Command("timeout", { args, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
  }

  async stop(): Promise<void> {
    if (this.#child === null) return;
    end(this.#child, "SIGTERM");
    await this.#child.status;
    this.#child = null;
  }
}

export function context(name: string, said: string[] = []): DriverContext {
  return { name, nowMs: () => Date.now(), say: (level, text) => said.push(`${name} ${level}: ${text}`) };
}

export function openTap(settings: Settings, said: string[] = []): Promise<StateDriver> {
  return OPENFLOW_TAP.open(filled(OPENFLOW_TAP, settings), context("tap", said));
}

export function openSwitch(settings: Settings, said: string[] = []): Promise<StateDriver> {
  return OPENFLOW.open(filled(OPENFLOW, settings), context("switch", said));
}

const CHANGING = /(duration|idle_timeout|n_packets|n_bytes|idle_age|hard_age|cookie_mask)=[^, ]*,? ?/g;

/**
 * A dump without what differs between two switches that do the same; an entry that stands by has no idle timeout. check_overlap is about the message that brought an
 * entry, though Open vSwitch shows it.
 */
export function normal(text: string): string[] {
  const lines = text.split("\n").slice(1).map((line) =>
    line.replace(CHANGING, "").replace("check_overlap ", "").trim()
  );
  return lines.filter((line) => line !== "").sort();
}

/** A and B, a tap before A's controller, and what moves state from one to the other. */
export class TapLab {
  tap!: StateDriver;
  replica!: StateDriver;
  moved!: Replicated;
  readonly said: string[] = [];
  #stop = new AbortController();

  private constructor(
    readonly a: DummySwitch,
    readonly b: DummySwitch,
    readonly tapSettings: Settings & { readonly listen: string },
  ) {}

  /** The tap hands on to `controller`. `more`: settings of the tap; "survey" is filled in where it is "A". */
  static async up(controller: string, more: Settings = {}): Promise<TapLab> {
    const a = await DummySwitch.up(PORTS), b = await DummySwitch.up(PORTS);
    const survey = more["survey"] === "A" ? { survey: `tcp:127.0.0.1:${a.port}` } : {};
    const listen = `${controller.slice(0, 3)}:127.0.0.1:${freePort()}`;
    const lab = new TapLab(a, b, { ...more, ...survey, listen, controller, clients: "10.1.0.0/16" });
    try {
      lab.replica = await openSwitch({ address: `tcp:127.0.0.1:${b.port}` }, lab.said);
      await lab.startTap();
      await a.configure(["set-controller", "br0", listen.replace("tls", "ssl"), `ptcp:${a.port}:127.0.0.1`]);
      await a.configure(["set", "Controller", ".", "max_backoff=1000"]).catch(() => {});
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get tapPort(): number {
    return Number(this.tapSettings.listen.split(":")[2]);
  }

  async startTap(): Promise<void> {
    this.tap = await openTap(this.tapSettings, this.said);
    this.#stop = new AbortController();
    this.moved = replicate(this.tap, this.replica, this.#stop.signal);
  }

  async stopTap(): Promise<void> {
    this.#stop.abort();
    await this.tap.close();
  }

  /** Waits until both switches hold the same, and at least so many lines; returns them. */
  async agree(what = "flows", linesMin = 1, msMax = AGREE_MS_MAX): Promise<string[]> {
    const deadline = Date.now() + msMax;
    for (;;) {
      const [a, b] = [normal(await this.a.dump(what)), normal(await this.b.dump(what))];
      const same = a.length >= linesMin && JSON.stringify(a) === JSON.stringify(b);
      if (same) return a;
      if (Date.now() > deadline) assert.deepEqual(b, a, [...this.said, ...this.moved.reasons].join("\n"));
      assert.ok(Date.now() < deadline + 500, `${a.length} lines of ${linesMin}: ${this.said.join("\n")}`);
      await sleep(50);
    }
  }

  async until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + AGREE_MS_MAX;
    while (!await is()) {
      assert.ok(
        Date.now() < deadline,
        `Cannot see ${what}: ${JSON.stringify(this.tap.counters())}\n${this.said.join("\n")}`,
      );
      await sleep(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.tap?.close();
    await this.replica?.close();
    await this.a.down();
    await this.b.down();
  }
}
