/**
 * What the node would send to a switch, read by somebody else's eyes: ovs-ofctl prints each message, and means the same.
 */
import assert from "node:assert/strict";
import { changesTo } from "../../appliance/failover/external/diff.ts";
import { planSwitch } from "../../appliance/failover/external/plan.ts";
import { type Body, encode } from "../../drivers/openflow/messages.ts";
import { GROUP_ANY, PORT } from "../../drivers/openflow/names.ts";
import { run } from "../../scripts/lab/process.ts";
import { missingSwitch } from "../support/switch_lab.ts";
import { bothSides, GROUP_FIRST } from "../support/switch_settings.ts";

const missing = missingSwitch();
const COOKIE = 0x524d_0000_00aa_0000n;

/** A line for each message. */
async function printed(bodies: readonly Body[]): Promise<string[]> {
  const messages = bodies.map((body, transaction) => encode({ transaction, body }));
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, new Uint8Array(await new Blob(messages as BlobPart[]).arrayBuffer()));
    const text = await run(["ovs-ofctl", "ofp-parse", file]);
    return text.trim().replace(/\n (?=\S)/g, " ").split("\n").map((line) =>
      line.replace(/ \(xid=[^)]*\):?/, "")
    );
  } finally {
    await Deno.remove(file);
  }
}

Deno.test({
  name: `encode() means to ovs-ofctl what it means here${missing && ` (needs ${missing})`}`,
  ignore: missing !== "",
  fn: async () => {
    const placement = {
      client: { outer: 1, boxes: [3, 5] },
      server: { outer: 2, boxes: [4, 6] },
      bypass: null,
    };
    const judgement = { order: [0, 1], out: [], left: [] };
    const base = { settings: bothSides(), placement, judgement, cookie: COOKIE };
    const wanted = planSwitch({ ...base, chaining: true });
    const changes = changesTo(wanted, { groups: [], flows: [] }, GROUP_FIRST);
    const lines = await printed(changes.map(({ body }) => body));
    assert.equal(lines.length, changes.length);
    assert.deepEqual(lines.filter((line) => /group_id=2100[0-2],/.test(line)), [
      "OFPT_GROUP_MOD (OF1.3) ADD group_id=21002,type=ff,bucket=watch_port:6,actions=output:5," +
      "bucket=watch_port:2,actions=output:2",
      "OFPT_GROUP_MOD (OF1.3) ADD group_id=21001,type=ff,bucket=watch_port:4,actions=output:3," +
      "bucket=watch_port:5,actions=group:21002,bucket=watch_port:2,actions=output:2",
      "OFPT_GROUP_MOD (OF1.3) ADD group_id=21000,type=ff,bucket=watch_port:3,actions=group:21001," +
      "bucket=watch_port:5,actions=group:21002,bucket=watch_port:2,actions=output:2",
    ]);
    const flows = lines.filter((line) => line.includes("in_port=1 ") || line.includes("in_port=1,tcp_flags"));
    assert.deepEqual(flows.map((line) => line.replace(/cookie:0x524d000000aa\S+/, "cookie")).slice(0, 3), [
      "OFPT_FLOW_MOD (OF1.3) ADD priority=1000,in_port=1 cookie send_flow_rem actions=group:21000",
      "OFPT_FLOW_MOD (OF1.3) ADD priority=1001,tcp,in_port=1,tcp_flags=+fin cookie send_flow_rem actions=group:21000,group:21088,group:21096",
      "OFPT_FLOW_MOD (OF1.3) ADD priority=1001,tcp,in_port=1,tcp_flags=+syn cookie send_flow_rem actions=group:21000,group:21088,group:21096",
    ]);
    const cookie = { cookie: COOKIE, cookieMask: 0xffff_ffff_ffff_0000n };
    const query = { kind: "flow", table: 0xff, outPort: PORT.any, outGroup: GROUP_ANY, match: [] } as const;
    const [hello, asked, role] = await printed([
      { kind: "hello", versions: 1 << 4 },
      { kind: "multipart-request", more: false, query: { ...query, ...cookie } },
      { kind: "role-request", role: 1, generation: 0n },
    ]);
    assert.match(hello!, /OFPT_HELLO \(OF1\.3\).*version bitmap: 0x04/);
    assert.match(asked!, /^OFPST_FLOW request \(OF1\.3\)/);
    assert.match(role!, /OFPT_ROLE_REQUEST \(OF1\.3\) role=equal/);
  },
});
