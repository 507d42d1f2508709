/** The bench of OpenFlow's state, small: a replica with the entries goes on where one without them breaks connections. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { stateRun } from "../../scripts/bench/state_openflow.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { missingSwitch } from "../support/switch_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const missing = missingSwitch();
const TRIES = 5;

/**
 * Two servers in turns. Connections that come again in their order, but begin with another one, are led as before where the number
 * is even; of an odd number those before the turn of the order and those after it are led differently.
 */
const CONNECTIONS = 21;

for (const setup of ["simple", "remediate"] as const) {
  Deno.test({
    name: `${CONNECTIONS} connections through ${SWITCH_PROGRAM.sockets.split("/").at(-1)}, ${setup}${
      missing && ` (needs ${missing})`
    }`,
    ignore: missing !== "",
    fn: async () => {
      using lifetime = new Lifetime(console.error);
      await sweep();
      const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
      const run = () => stateRun(kit, { setup, connections: CONNECTIONS, seconds: 8 });
      let found = await run(), text = JSON.stringify(found);
      assert.ok(found.after > 0, text);
      if (setup === "remediate") {
        assert.deepEqual([found.asked, found.resets, found.ended], [0, 0, 0], text);
        assert.ok((found.delay?.quiet.count ?? 0) >= 40 && (found.delay?.loaded.count ?? 0) >= 40, text);
        return;
      }
      const broken = () => found.resets + found.timeouts + found.ended;
      // All in their order, from the first one on, are led as before still.
      for (let tries = 1; broken() === 0 && tries < TRIES; tries++) found = await run();
      text = JSON.stringify(found);
      assert.ok(found.asked >= CONNECTIONS && broken() > 0, text);
    },
  });
}
