/**
 * Duty: a controller over a registry in memory with three nodes, two of them a pair, and its pages and routes.
 */
import assert from "node:assert/strict";
import { Controller } from "../../appliance/fleet/controller.ts";
import { openRegistry } from "../../appliance/fleet/registry.ts";
import { FleetStore } from "../../appliance/fleet/store.ts";
import { RolloutKeeper } from "../../appliance/fleet/rollout/keeper.ts";
import { openRolloutStore } from "../../appliance/fleet/rollout/store.ts";
import { addBundle } from "../../appliance/fleet/transfer/bundles.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { makeApi } from "../../ui/api.ts";
import { fleetPages } from "../../ui/fleet/page/pages.tsx";
import { fleetRoutes } from "../../ui/fleet/routes.ts";
import { rolloutRoutes } from "../../ui/fleet/routes_rollout.ts";
import type { AuditEntry } from "../../ui/route.ts";
import type { PageServer, Visitor } from "../../ui/session.ts";
import { reportOf } from "./fleet_lab.ts";

export const ADMIN: Visitor = { name: "ann", role: "admin", csrf: "meant" };
const UPDATE = {
  slots: [
    { name: "A", state: "good", version: "1.0.0", digest: null, triesLeft: 0, booted: true },
    { name: "B", state: "empty", version: null, digest: null, triesLeft: 0, booted: false },
  ],
  ...{ installing: null, reports: [], badVersions: [] },
} as const;

export class FleetDesk implements AsyncDisposable {
  readonly registry = openRegistry(new FleetStore(":memory:"));
  readonly control = new Controller({
    ...{ name: "control-1", registry: this.registry, certificate: "", heartbeatS: 60, nonce: () => "" },
    verify: () => Promise.resolve(false),
    nowMs: () => Date.now(),
    files: {
      append: () => Promise.resolve(false),
      bytes: () => Promise.resolve(0),
      read: () => Promise.resolve(null),
    },
    say: () => {},
  });
  readonly keeper = new RolloutKeeper({
    ...{ control: this.control, store: openRolloutStore(":memory:"), mirrors: [], bytesPerSecondMax: null },
    ...{ say: () => {}, everyMs: 20 },
  });
  readonly audited: AuditEntry[] = [];
  readonly bundles = Deno.makeTempDirSync();
  readonly #desk = { keeper: this.keeper, bundles: this.bundles };
  readonly pages: PageServer = fleetPages({
    ...{ control: this.control, desk: this.#desk, address: () => "192.0.2.1", now: () => Date.now() },
    audit: (entry) => this.audited.push(entry),
  });
  readonly ids = new Map<string, string>();

  static async open(): Promise<FleetDesk> {
    const desk = new FleetDesk();
    for (const name of ["left", "right"]) await desk.add(name, { pair: "p1" });
    await desk.add("single", { site: "north" });
    await desk.keeper.start();
    return desk;
  }

  async add(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const { registry } = this, nowMs = Date.now();
    const { token } = await registry.tokens.add({ note: "", labels, nowMs, expiresMs: nowMs + 1000 });
    const node = await registry.enrol({ key: name, name, token, nowMs });
    assert.ok(typeof node !== "string");
    const connection = await registry.connected(node.id, "control-1", nowMs);
    const report = reportOf({ name, labels }, UPDATE, { light: "green", path: "primary" });
    await registry.keepReport(node.id, connection, { sequence: 1, report, nowMs });
    this.ids.set(name, node.id);
  }

  async page(
    path: string,
    { visitor = ADMIN, form }: { visitor?: Visitor; form?: Record<string, string> } = {},
  ) {
    const body = form && new URLSearchParams({ csrf: visitor.csrf!, ...form });
    const request = new Request(`http://controller${path}`, body ? { method: "POST", body } : {});
    const response = await this.pages.handle(request, visitor);
    return { status: response.status, text: await response.text(), to: response.headers.get("location") };
  }

  async ask(
    method: string,
    path: string,
    { visitor = ADMIN, body }: { visitor?: Visitor; body?: object } = {},
  ) {
    const api = makeApi({} as NodeControl, {
      ...{ fleet: this.control, who: () => visitor, nowMs: () => Date.now() },
    }, fleetRoutes(rolloutRoutes(this.#desk)));
    const response = await api.fetch(
      new Request(`http://controller/api/v1/fleet${path}`, {
        method,
        headers: { "x-csrf-token": "meant", "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  /** Brings a bundle. Returns its digest. */
  async bundle(): Promise<string> {
    return (await addBundle(this.bundles, new Blob(["a bundle of some bytes"]).stream())).digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keeper.close();
    this.control.close();
    await this.registry.close();
    await Deno.remove(this.bundles, { recursive: true });
  }
}
