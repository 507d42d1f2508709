/**
 * Duty: the VNFs of a node: templates in, processes out, and an earlier control's processes taken over. An edge.
 *
 * Control that ends leaves them running, as it leaves the plane; only a stop of everything stops them.
 */
import { setTimeout as delay } from "node:timers/promises";
import { reasonOf } from "../../drivers/reason.ts";
import { besideArgv, startArgv, stopArgv } from "./argv.ts";
import { begin, carryOut, type Child, end, lives, marked, sweep } from "./child.ts";
import type { VnfAnswer, VnfControl, VnfView } from "./contract.ts";
import {
  adoptedVnf,
  live,
  newVnf,
  type VnfAct,
  type VnfEvent,
  type VnfState,
  type VnfTemplate,
} from "./life.ts";
import { readRegistry, type Registered, writeRegistry } from "./registry.ts";

const TICK_MS = 100;

export interface VnfsOptions {
  /** A VNF came up, ended, or could not be started. */
  readonly tell: (cause: "start" | "died" | "stopped", text: string) => void;
  readonly complain: (text: string) => void;
}

interface Vnf {
  template: VnfTemplate;
  state: VnfState;
  child: Child | null;
  /** Only until it has stopped: the configuration does not know it any more. */
  leaving: boolean;
}

export class Vnfs implements VnfControl {
  readonly #options: VnfsOptions;
  /** The file; empty before the beginning. */
  #registry = "";
  readonly #vnfs = new Map<string, Vnf>();
  readonly #stop = new AbortController();
  #ticking: Promise<void> | null = null;
  #acts = new Set<Promise<void>>();

  constructor(options: VnfsOptions) {
    this.#options = options;
  }

  /** Takes over what runs, starts what should. */
  begin(templates: readonly VnfTemplate[], registry: string): void {
    this.#registry = registry;
    for (const entry of readRegistry(registry)) this.#adopt(entry);
    this.configure(templates);
    this.#ticking ??= this.#tick();
  }

  #mark = ({ name }: VnfTemplate) => `${this.#registry} ${name}`;

  #adopt({ template, wanted, begun, child }: Registered): void {
    const found = child !== null && lives(child)
      ? child
      : template.stays
      ? marked(this.#mark(template))
      : null;
    const runs = template.stays ? found !== null : begun;
    const state = runs
      ? adoptedVnf(found?.pid ?? null, template.health !== null, Date.now())
      : { ...newVnf(Date.now()), wanted };
    this.#vnfs.set(template.name, {
      template,
      state: { ...state, wanted },
      child: found,
      leaving: false,
    });
    // It died while nobody was there: started again like any that dies.
    if (!runs && wanted) this.#hear(template.name, { kind: "order", on: true });
    if (runs && !wanted) this.#hear(template.name, { kind: "order", on: false });
  }

  /** What is gone from the configuration is stopped, what is new and starts by itself is started. */
  configure(templates: readonly VnfTemplate[]): void {
    for (const [name, vnf] of this.#vnfs) {
      if (templates.some((template) => template.name === name)) continue;
      vnf.leaving = true;
      this.#hear(name, { kind: "order", on: false });
    }
    for (const template of templates) {
      const known = this.#vnfs.get(template.name);
      if (known !== undefined) {
        // What runs goes by the new one from its next start on; how it is stopped counts at once.
        Object.assign(known, { template, leaving: false });
        continue;
      }
      const state = newVnf(Date.now());
      this.#vnfs.set(template.name, { template, state, child: null, leaving: false });
      if (template.autostart) this.#hear(template.name, { kind: "order", on: true });
    }
    this.#forget();
  }

  #forget(): void {
    for (const [name, { leaving, state }] of this.#vnfs) {
      if (leaving && state.phase === "stopped" && state.busy === null) this.#vnfs.delete(name);
    }
  }

  async #tick(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const [name, { child }] of this.#vnfs) {
        if (child !== null && !lives(child)) this.#gone(name, "it has ended");
        this.#hear(name, { kind: "tick" });
      }
      this.#forget();
      await delay(TICK_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  #gone(name: string, reason: string): void {
    const child = this.#vnfs.get(name)?.child ?? null;
    if (child === null || lives(child)) return; // told already, and another runs
    sweep(child);
    this.#hear(name, { kind: "gone", reason });
  }

  #hear(name: string, event: VnfEvent): void {
    const vnf = this.#vnfs.get(name);
    if (vnf === undefined) return;
    const before = vnf.state;
    const { state, act } = live(before, event, { template: vnf.template, nowMs: Date.now() });
    vnf.state = state;
    if (state.pid === null && !state.begun) vnf.child = null;
    if (state.begun !== before.begun || state.pid !== before.pid || state.wanted !== before.wanted) {
      this.#write();
    }
    this.#tellChange(vnf, before);
    if (act === null) return;
    const acting = this.#act(vnf, act).then((done) => this.#hear(name, done));
    this.#acts.add(acting);
    acting.finally(() => this.#acts.delete(acting));
  }

  #tellChange({ template: { name, box }, state }: Vnf, before: VnfState): void {
    if (state.phase === before.phase) return;
    const { tell } = this.#options;
    if (state.phase === "up") tell("start", `VNF ${name} (${box}) is up`);
    if (state.phase === "stopped") tell("stopped", `VNF ${name} (${box}) has stopped`);
    if (state.phase === "waiting") {
      tell(
        "died",
        `VNF ${name} (${box}) is started again in ${state.notBeforeMs - Date.now()} ms: ${state.reason}`,
      );
    }
  }

  async #act(vnf: Vnf, act: VnfAct): Promise<VnfEvent> {
    try {
      if (act === "start") return await this.#start(vnf);
      return act === "check" ? await check(vnf.template) : await this.#end(vnf);
    } catch (error) {
      return { kind: "failed", reason: reasonOf(error) };
    }
  }

  async #start(vnf: Vnf): Promise<VnfEvent> {
    this.#write();
    const { template } = vnf, { name, start, stays, startMs, log } = template;
    const argv = startArgv(template, start);
    if (!stays) {
      const fault = await carryOut(argv, startMs);
      return fault === null ? { kind: "started", pid: null } : { kind: "failed", reason: fault };
    }
    const ended = (how: string) => this.#gone(name, how);
    vnf.child = await begin(argv, { log, mark: this.#mark(template), ended });
    return { kind: "started", pid: vnf.child.pid };
  }

  async #end({ template, child }: Vnf): Promise<VnfEvent> {
    const argv = stopArgv(template);
    const fault = argv === null ? null : await carryOut(argv, template.stopMs);
    if (fault !== null) this.#options.complain(`the stop command of VNF ${template.name} failed: ${fault}`);
    if (child === null || await end(child, template.stopMs)) return { kind: "stopped" };
    this.#options.complain(`process ${child.pid} of VNF ${template.name} does not end, even killed`);
    return { kind: "stopped" };
  }

  #write(): void {
    const entries = [...this.#vnfs.values()].map(({ template, state, child }): Registered => {
      const { wanted, begun } = state;
      return { template, wanted, begun, child };
    });
    try {
      writeRegistry(this.#registry, entries);
    } catch (error) {
      this.#options.complain(`${reasonOf(error)}: after a crash VNFs would be started a second time`);
    }
  }

  list(): readonly VnfView[] {
    return [...this.#vnfs.values()].map(viewOf);
  }

  start(name: string): Promise<VnfAnswer> {
    return this.#order(name, true);
  }

  stop(name: string): Promise<VnfAnswer> {
    return this.#order(name, false);
  }

  async #order(name: string, on: boolean): Promise<VnfAnswer> {
    const vnf = this.#vnfs.get(name);
    if (vnf === undefined) {
      const known = [...this.#vnfs.keys()].join(", ") || "none";
      return { ok: false, text: `there is no VNF "${name}"; there is ${known}` };
    }
    this.#hear(name, { kind: "order", on });
    const { startMs, stopMs } = vnf.template, until = Date.now() + (on ? startMs : 3 * stopMs) + 1000;
    const isThere = () => vnf.state.phase === (on ? "up" : "stopped");
    while (!isThere() && Date.now() < until && vnf.state.wanted === on && vnf.state.phase !== "waiting") {
      await delay(TICK_MS / 2);
    }
    const view = viewOf(vnf);
    if (isThere()) return { ok: true, view };
    return { ok: false, text: `${name} is ${view.phase}: ${view.reason || "it takes its time"}` };
  }

  /** @param all stops them too; else the next control takes them over */
  async close(all: boolean): Promise<void> {
    if (all) {
      for (const name of this.#vnfs.keys()) this.#hear(name, { kind: "order", on: false });
      while ([...this.#vnfs.values()].some(({ state }) => state.phase !== "stopped" || state.busy !== null)) {
        await delay(TICK_MS / 2);
      }
      this.#registryGone();
    }
    this.#stop.abort();
    await this.#ticking;
    await Promise.all(this.#acts);
  }

  #registryGone(): void {
    try {
      Deno.removeSync(this.#registry);
    } catch {
      // There was nothing to write down.
    }
  }
}

async function check(template: VnfTemplate): Promise<VnfEvent> {
  const { health, healthTimeoutMs } = template;
  if (health === null) return { kind: "checked", ok: true, text: "" };
  const fault = await carryOut(besideArgv(template, health), healthTimeoutMs);
  return { kind: "checked", ok: fault === null, text: fault === null ? "" : `not healthy: ${fault}` };
}

function viewOf({ template, state }: Vnf): VnfView {
  const { phase, wanted, pid, sinceMs, restarts, notBeforeMs, reason } = state;
  const { name, box } = template, nextMs = phase === "waiting" ? notBeforeMs : null;
  return { name, box, phase, wanted, pid, sinceMs, restarts, nextMs, reason };
}
