/**
 * Duty: a tap and the switch that stands by, as a process of its own inside a namespace of a lab.
 *
 * Told in letters what to do, answers with a line of JSON each; ends when its standard input does, so it cannot outlive
 * who started it. Arguments: settings of the tap and of the replica as JSON, "null" for none.
 */
import type { DriverContext, Settings, StateDriver } from "../../drivers/driver.ts";
import { ALL } from "../../drivers/fields.ts";
import { OPENFLOW } from "../../drivers/openflow/insert.ts";
import { OPENFLOW_TAP } from "../../drivers/openflow/tap.ts";
import { replicate, type Replicated } from "./replicate.ts";

export interface PairStatus {
  readonly tap: Readonly<Record<string, number>> | null;
  readonly replica: Readonly<Record<string, number>> | null;
  readonly moved: Replicated | null;
}

const nowMs = () => performance.timeOrigin + performance.now();
const context = (name: string): DriverContext => ({
  ...{ name, nowMs },
  say: (level, text) => console.error(`${name}: ${level}: ${text}`),
});

/** With the defaults of its kind. */
export function filled(kind: { readonly settings: typeof OPENFLOW.settings }, given: Settings): Settings {
  const defaults = Object.entries(kind.settings).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value] as const]
  );
  return { ...Object.fromEntries(defaults), ...given };
}

class Pair {
  tap: StateDriver | null = null;
  replica: StateDriver | null = null;
  moved: Replicated | null = null;
  #stop = new AbortController();

  constructor(readonly tapSettings: Settings | null, readonly replicaSettings: Settings | null) {}

  async startTap(): Promise<void> {
    if (this.tapSettings === null) return;
    this.tap = await OPENFLOW_TAP.open(filled(OPENFLOW_TAP, this.tapSettings), context("tap"));
    this.#stop = new AbortController();
    if (this.replica !== null) this.moved = replicate(this.tap, this.replica, this.#stop.signal);
  }

  async start(): Promise<void> {
    if (this.replicaSettings !== null) {
      this.replica = await OPENFLOW.open(filled(OPENFLOW, this.replicaSettings), context("replica"));
    }
    await this.startTap();
  }

  async stopTap(): Promise<void> {
    this.#stop.abort();
    await this.tap?.close();
    this.tap = null;
  }

  async answer(letter: string): Promise<unknown> {
    switch (letter) {
      case "s":
        return {
          tap: this.tap?.counters() ?? null,
          replica: this.replica?.counters() ?? null,
          moved: this.moved,
        };
      case "x":
        await this.stopTap();
        return "stopped";
      case "r":
        await this.startTap();
        return "started";
      case "k":
        return await this.keys(this.tap);
      case "c": {
        const counts: unknown[] = [];
        if (this.replica !== null) {
          for await (const one of this.replica.get("reporting", ALL, new AbortController().signal)) {
            counts.push(one);
          }
        }
        return counts.length;
      }
      default:
        return `no such letter: ${letter}`;
    }
  }

  async keys(driver: StateDriver | null): Promise<string[]> {
    const found: string[] = [];
    if (driver === null) return found;
    for await (const { key, fields } of driver.get("supporting", ALL, new AbortController().signal)) {
      found.push(`${key} | ${JSON.stringify(fields)}`);
    }
    return found;
  }
}

async function main(): Promise<void> {
  const [tap = "null", replica = "null"] = Deno.args;
  const pair = new Pair(JSON.parse(tap), JSON.parse(replica));
  await pair.start();
  console.log(JSON.stringify("ready"));
  const buffer = new Uint8Array(1);
  while (await Deno.stdin.read(buffer) !== null) {
    const answer = await pair.answer(String.fromCharCode(buffer[0]!));
    const text = new TextEncoder().encode(JSON.stringify(answer) + "\n");
    for (let at = 0; at < text.length;) at += await Deno.stdout.write(text.subarray(at));
  }
  await pair.stopTap();
  await pair.replica?.close();
  Deno.exit(0);
}

if (import.meta.main) await main();
