/**
 * Propagation: a lost outside link takes others down, they come back with it, and no box is blamed.
 */
import assert from "node:assert/strict";
import { type NodeStatus, type Role, ROLES } from "../../appliance/view.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { TestNode } from "../support/node.ts";
import { Wire, WORLD, worldEnd } from "../support/wire.ts";

/** Waits until these and no others have a carrier, as those behind them see it. */
async function seen(wire: Wire, roles: readonly Role[]): Promise<void> {
  let up: Role[] = [];
  for (let look = 0; look < 1_500; look++) {
    const text = await wire.lab.exec(WORLD, ["ip", "-json", "link", "show"]);
    const links = JSON.parse(text) as { ifname: string; operstate: string }[];
    up = ROLES.filter((role) =>
      links.some(({ ifname, operstate }) => ifname === worldEnd(role) && operstate === "UP")
    );
    if (up.join() === roles.join()) return;
    await sleep(20);
  }
  assert.deepEqual(up, roles);
}

const taken = (status: NodeStatus) => status.ports.filter((port) => port.taken).map(({ role }) => role);

for (
  const [mode, follow] of [
    ["one", ["downstream"]],
    ["both", ["downstream", "primary-in", "redundant-in"]],
  ] as const
) {
  Deno.test(`with propagate_link = "${mode}" ${follow.join(", ")} follow the link of upstream`, async () => {
    await using wire = await Wire.up();
    await wire.box("primary");
    const node = await TestNode.start(wire, { failover: [`propagate_link = "${mode}"`] });
    await wire.link("upstream", "down");
    await node.until("the links taken", (status) => taken(status).length === follow.length);
    assert.deepEqual(taken(await node.status()), follow);
    const expected = ROLES.filter((role) => role !== "upstream" && !follow.some((one) => one === role));
    await seen(wire, expected);
    await sleep(500);
    const held = await node.status();
    assert.deepEqual(taken(held), follow, "two lost links do not hold each other down");
    assert.equal(held.path, "primary");
    assert.deepEqual(held.boxes.map(({ light }) => light), ["green", "green"]);
    await wire.link("upstream", "up");
    await seen(wire, ROLES);
    await node.until("all links up", ({ ports }) => ports.every(({ link }) => link === "up"));
    const events = await node.untilEvents(2 * follow.length, ({ cause }) => cause === "propagation");
    assert.deepEqual(events.map(({ subject, after }) => `${subject} ${after}`), [
      ...follow.map((role) => `${role} down`),
      ...follow.map((role) => `${role} up`),
    ]);
    assert.equal((await node.status()).switches, 0);
  });
}

Deno.test("a link that the node holds down comes up when the node ends", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { failover: ['propagate_link = "one"'] });
  await wire.link("downstream", "down");
  await node.until("the link taken", (status) => taken(status).includes("upstream"));
  await node.endControl("SIGINT");
  await seen(wire, ROLES.filter((role) => role !== "downstream"));
});
