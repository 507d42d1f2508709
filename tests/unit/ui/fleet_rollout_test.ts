/** A controller's pages, routes and commands on roll-outs, over a registry in memory. */
import assert from "node:assert/strict";
import { Controller } from "../../../appliance/fleet/controller.ts";
import { openRegistry } from "../../../appliance/fleet/registry.ts";
import { FleetStore } from "../../../appliance/fleet/store.ts";
import { RolloutKeeper } from "../../../appliance/fleet/rollout/keeper.ts";
import type { NodeStanding, RolloutView } from "../../../appliance/fleet/rollout/report.ts";
import { openRolloutStore } from "../../../appliance/fleet/rollout/store.ts";
import { addBundle } from "../../../appliance/fleet/transfer/bundles.ts";
import type { NodeControl } from "../../../appliance/view.ts";
import { makeApi } from "../../../ui/api.ts";
import { fleetPages } from "../../../ui/fleet/page/pages.tsx";
import { rolloutText } from "../../../ui/fleet/rollout_cli.ts";
import { fleetRoutes } from "../../../ui/fleet/routes.ts";
import { rolloutRoutes } from "../../../ui/fleet/routes_rollout.ts";
import type { AuditEntry } from "../../../ui/route.ts";
import type { Visitor } from "../../../ui/session.ts";
import { reportOf } from "../../support/fleet_lab.ts";

const ADMIN: Visitor = { name: "ann", role: "admin", csrf: "meant" };
const VIEWER: Visitor = { name: "vic", role: "viewer", csrf: "meant" };
const UPDATE = {
  slots: [
    { name: "A", state: "good", version: "1.0.0", digest: null, triesLeft: 0, booted: true },
    { name: "B", state: "empty", version: null, digest: null, triesLeft: 0, booted: false },
  ],
  ...{ installing: null, reports: [], badVersions: [] },
} as const;

class Desk implements AsyncDisposable {
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
  readonly #pages = fleetPages({
    ...{ control: this.control, desk: this.#desk, address: () => "192.0.2.1", now: () => Date.now() },
    audit: (entry) => this.audited.push(entry),
  });
  readonly ids = new Map<string, string>();

  static async open(): Promise<Desk> {
    const desk = new Desk();
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
    const response = await this.#pages.handle(request, visitor);
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

const FORM = { id: "spring", version: "1.1.0", canary: "single", percents: "50, 100" };

Deno.test("pages of a controller list, search and show nodes and pairs", async () => {
  await using desk = await Desk.open();
  const all = await desk.page("/nodes");
  assert.equal(all.status, 200);
  for (const name of ["left", "right", "single"]) assert.match(all.text, new RegExp(`>${name}</a>`));
  const some = await desk.page("/nodes?search=site%3Dnorth");
  assert.match(some.text, />single<\/a>/);
  assert.doesNotMatch(some.text, />left<\/a>/);
  assert.match((await desk.page("/nodes?state=red")).text, /No node is so\./);
  const one = await desk.page(`/nodes/${desk.ids.get("left")}`);
  assert.match(one.text, /1\.0\.0/);
  assert.match(one.text, new RegExp(desk.ids.get("right")!));
  assert.match((await desk.page("/pairs")).text, /p1.*left.*right/s);
  assert.equal((await desk.page("/nodes/none")).status, 404);
  assert.equal((await desk.page("/events")).status, 200);
});

Deno.test("pages of a controller make, start and pause a roll-out, and say why nodes wait", async () => {
  await using desk = await Desk.open();
  assert.match((await desk.page("/rollouts")).text, /There is no bundle/);
  const digest = await desk.bundle();
  const wrong = await desk.page("/rollouts", { form: { ...FORM, digest, percents: "50, 40" } });
  assert.match(wrong.text, /stages\[2\]\.percent = 40: must grow/);
  assert.match(wrong.text, /value="spring"/);
  const made = await desk.page("/rollouts", { form: { ...FORM, digest } });
  assert.deepEqual([made.status, made.to], [303, "/rollouts/spring"]);
  assert.match((await desk.page("/rollouts/spring")).text, /the roll-out is draft/);
  assert.match((await desk.page("/rollouts/spring/start")).text, /<h2>Start\?<\/h2>/);
  assert.equal((await desk.page("/rollouts/spring/start", { form: {} })).status, 303);
  await until(() => desk.keeper.rollouts.course("spring", desk.ids.get("single")!) !== undefined);
  const shown = (await desk.page("/rollouts/spring")).text;
  assert.match(shown, /fetches and installs the bundle/);
  assert.match(shown, /has not begun/);
  assert.equal((await desk.page("/rollouts/spring/pause", { form: {} })).status, 303);
  assert.match((await desk.page("/rollouts/spring")).text, /paused by ann/);
  const again = await desk.page("/rollouts/spring/pause", { form: {} });
  assert.match(again.text, /Cannot pause the roll-out spring: it is paused/);
  assert.deepEqual(desk.audited.map(({ result }) => result), [409, 303, 303, 303, 409]);
});

async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; !holds(); n++) {
    assert.ok(n < 500, "it did not come");
    await new Promise((done) => setTimeout(done, 20));
  }
}

Deno.test("pages of a controller refuse who may not, and forms of other sessions", async () => {
  await using desk = await Desk.open();
  const form = { ...FORM, digest: await desk.bundle() };
  assert.equal((await desk.page("/rollouts", { visitor: VIEWER, form })).status, 403);
  assert.doesNotMatch(
    (await desk.page("/rollouts", { visitor: VIEWER })).text,
    /<form method="post" action="\/rollouts"/,
  );
  assert.equal((await desk.page("/rollouts", { form: { ...form, csrf: "other" } })).status, 403);
  assert.equal(desk.keeper.list().length, 0);
  assert.equal((await desk.page("/rollouts/none/start", { form: {} })).status, 200);
});

Deno.test("the API makes, shows and changes roll-outs, with roles", async () => {
  await using desk = await Desk.open();
  const digest = await desk.bundle(), stages = [{ name: "canary", nodes: ["single"] }, { percent: 100 }];
  const order = { id: "spring", bundle: { digest, version: "1.1.0" }, stages };
  assert.equal((await desk.ask("POST", "/rollouts", { visitor: VIEWER, body: order })).status, 403);
  const bad = await desk.ask("POST", "/rollouts", { body: { ...order, stages: [] } });
  assert.match(bad.body.detail, /stages = \[\]: must be a list of 1 to 16 stages/);
  assert.equal((await desk.ask("POST", "/rollouts", { body: order })).status, 200);
  assert.equal((await desk.ask("POST", "/rollouts", { body: order })).status, 409);
  assert.equal((await desk.ask("POST", "/rollouts/spring/start")).status, 200);
  const { rollout } = (await desk.ask("GET", "/rollouts/spring")).body as { rollout: RolloutView };
  assert.deepEqual(rollout.stages.map(({ who, size }) => [who, size]), [["single", 1], ["100 %", 2]]);
  const { nodes } = (await desk.ask("GET", "/rollouts/spring/nodes")).body as { nodes: NodeStanding[] };
  assert.equal(nodes.length, 3);
  const text = rolloutText(rollout, nodes);
  assert.match(text, /^spring: version 1\.1\.0/);
  assert.match(text, /left +100 % +waiting|left +stage 2 +waiting/);
  assert.equal((await desk.ask("POST", "/rollouts/spring/nodes/left/allow")).status, 200);
  assert.equal((await desk.ask("POST", "/rollouts/none/abort")).status, 404);
  assert.deepEqual((await desk.ask("GET", "/bundles")).body.bundles, [{ digest, bytes: 22 }]);
  assert.equal((await desk.ask("GET", `/bundles/${digest}.bundle`)).body, "a bundle of some bytes");
  assert.equal((await desk.ask("GET", "/bundles/..%2Frollouts.db")).status, 404);
});
