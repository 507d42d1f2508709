/** Drills in the lab: a strict NAT stands by, is proven, dies without anybody using it, and is found out. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { SignedReport } from "../../appliance/drill_report.ts";
import type { DrillSummary } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { fail } from "../../scripts/lab/scenario.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const DRILL = [
  "[drill]",
  'client = "10.1.0.250"',
  'server = "10.2.0.250"',
  'gateway = "10.1.0.1"',
  "udp_port = 53",
];

async function withLab(
  drill: readonly string[],
  cores: number,
  what: (lab: Lab, node: LabNode) => Promise<void>,
) {
  await using lab = await Lab.up(hotReplica({ clients: 1 }));
  const node = await LabNode.start(lab, { top: TOP, preset: "nat", cores, more: drill });
  try {
    await what(lab, node);
  } finally {
    await node.stop();
  }
}

for (const cores of [1, 2]) {
  Deno.test(`a drill proves a strict NAT that stands by, and finds out that it has died (${cores} cores)`, async () => {
    await withLab(DRILL, cores, async (lab, node) => {
      const good = await node.command(["drill", "--json"]);
      const { report } = JSON.parse(good.stdout) as SignedReport;
      assert.equal(good.code, 0, report.text + JSON.stringify(report.canaries));
      assert.deepEqual([report.box, report.canaries.length, report.ok], ["redundant", 10, true]);
      const tcp = report.canaries.filter(({ name }) => name.startsWith("tcp"));
      assert.ok(tcp.every(({ binding }) => binding?.[0].startsWith("10.2.0.1:")), "the NAT's own address");

      await fail(lab, await programs(TOP), "redundant", "forwarding");
      const bad = await node.command(["drill"]);
      assert.equal(bad.code, 1);
      assert.match(bad.stdout, /failed: drill of the redundant: \d+ of 10 canaries failed/);
      assert.match(bad.stdout, /the opening did not come out on the server side/);

      const refused = await node.command(["drill", "--box", "primary"]);
      assert.deepEqual([refused.code, refused.stderr], [
        1,
        "Cannot drill: the primary serves: a drill is for a box that stands by\n",
      ]);
      const list = JSON.parse((await node.command(["drill", "list", "--json"])).stdout) as DrillSummary[];
      assert.deepEqual(list.map(({ ok }) => ok), [true, false]);
      const { switches, lastDrill, counters } = await node.status();
      assert.deepEqual([switches, lastDrill?.ok], [0, false]);
      assert.equal(counters.find(({ name }) => name === "inject_refused")?.packets, 0);
      const { text } = (await node.events()).findLast(({ kind }) => kind === "drill")!;
      assert.match(text, /drill of the redundant: .*\(failed\)/);
    });
  });
}

Deno.test("a report that was changed, or is signed with another key, is not believed", async () => {
  await withLab([...DRILL, "refused_port = 81"], 1, async (lab, node) => {
    const { stdout, code } = await node.command(["drill", "--json"]);
    const signed = JSON.parse(stdout) as SignedReport;
    // This box refuses nothing that a client opens, which the drill must notice.
    assert.equal(code, 1);
    assert.match(signed.report.text, /10\.2\.0\.250:81, to be refused: it came out/);
    const file = `${lab.directory}/report.json`;
    const verify = async (report: SignedReport, more: readonly string[] = []) => {
      await Deno.writeTextFile(file, JSON.stringify(report));
      const { code, stderr } = await new Deno.Command(`${TOP}/scripts/remediate`, {
        args: ["drill", "verify", file, ...more],
      }).output();
      return [code, new TextDecoder().decode(stderr)];
    };
    assert.deepEqual(await verify(signed, ["--key", signed.key]), [0, ""]);
    const changed = { ...signed, report: { ...signed.report, ok: true } };
    assert.match(String(await verify(changed)), /^1,Cannot trust the report: its signature does not fit/);
    assert.match(String(await verify(signed, ["--key", "AAAA"])), /^1,.*signed with another key/);
    const { mode } = await Deno.stat(`${lab.directory}/state/drill.key`);
    assert.equal(mode! & 0o777, 0o600);
  });
});
