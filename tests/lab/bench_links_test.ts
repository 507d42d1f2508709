/**
 * The devices of the bench on links: each carries a small load from end to end and copies what it owes, frame for
 * frame. Nothing is timed; what the machine itself dropped between two interfaces meanwhile is taken off.
 */
import assert from "node:assert/strict";
import { linkTools, runDevice } from "../../scripts/bench/links.ts";
import { copiesDue } from "../../scripts/bench/links_score.ts";
import { DEVICE_TEXT, DEVICES, WORKS } from "../../scripts/bench/links_setup.ts";
import { SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { findClang } from "../support/clang.ts";
import { machineDrops } from "../support/wire.ts";

/** Far below what any of them can do, so that a loss means a fault. */
const PLAN = { warmMs: 200, idleMs: 50, flatMs: 50, pacedMs: 1_000, pacedPerS: 2_000 };

function needs(device: string): string {
  if (device === "ebpf" && findClang() === undefined) return "clang";
  if (device !== "ovs") return "";
  try {
    Deno.statSync(SWITCH_PROGRAM.sockets);
    return "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "Open vSwitch";
    throw error;
  }
}

for (const device of DEVICES) {
  const missing = needs(device);
  Deno.test({
    name: `${DEVICE_TEXT[device]}: carries all and copies what it owes${missing && ` (needs ${missing})`}`,
    ignore: missing !== "",
    fn: async () => {
      await sweep();
      using lifetime = new Lifetime(console.error);
      const kit = { tools: await linkTools(), lifetime, plan: PLAN };
      for (const work of device === "cable" ? WORKS.slice(0, 1) : WORKS) {
        const drops = machineDrops();
        const { paced } = await runDevice(device, work, kit);
        const room = machineDrops() - drops;
        const { load, arrived, copied, probes } = paced;
        const due = copiesDue(device, work, paced);
        const sent = load.made + probes;
        assert.equal(load.refused, 0);
        assert.ok(arrived <= sent && arrived >= sent - room, `${arrived} of ${sent} frames, ${work.name}`);
        assert.ok(copied <= due && copied >= due - room, `${copied} of ${due} copies, ${work.name}`);
        assert.ok(due > 0 || device === "cable", "the load opens connections");
      }
    },
  });
}
