/** Suricata as a judge, where it is installed: its alerts with their packets, and counts that are known. */
import assert from "node:assert/strict";
import { CaptureWriter } from "../../../appliance/mirror_files.ts";
import { Judge } from "../../../appliance/mirror_judge.ts";
import { type End, ethernet, ip, udp } from "../../../filter/frame.ts";
import { dataFolder } from "../../../scripts/bench/ids_captures.ts";
import { BASELINES } from "../../../scripts/bench/ids_policies.ts";
import { newScore, readKnown } from "../../../scripts/bench/ids_score.ts";
import { differences, tryCapture } from "../../../scripts/bench/ids_trial.ts";

const installed = await new Deno.Command("suricata", { args: ["-V"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success, () => false);
const known = await Deno.readTextFile(`${dataFolder()}/alerts.tsv`).catch(() => null);
const NEEDS = "(needs Suricata: ./scripts/setup --only ids)";
/** Small ones whose alerts do not depend on the release of Suricata. */
const FEW = ["arkime_synthetic", "bigendian", "cloudshark-arp"].map((name) =>
  `arkime:tests/pcap/${name}.pcap`
);
const ENDS: [End, End] = [
  { mac: [2, 0, 0, 0, 0, 1], ip: [10, 0, 0, 1], port: 1000 },
  { mac: [2, 0, 0, 0, 0, 2], ip: [10, 0, 0, 2], port: 2000 },
];

Deno.test({
  name: `Judge.judge() gives the signatures of a capture with their packets ${NEEDS}`,
  ignore: !installed,
  async fn() {
    const folder = await Deno.makeTempDir();
    const rules = `${folder}/x.rules`;
    await Deno.writeTextFile(rules, 'alert udp any any -> any any (msg:"x"; content:"needle"; sid:4711;)\n');
    await using judge = await Judge.open(rules);
    const path = judge.scratch("in.pcap");
    await using writer = await CaptureWriter.create(path);
    const frames = ["hay", "hay", "a needle", "hay"].map((words, i) => {
      const bytes = ethernet(ENDS, 0x0800, ip(ENDS, 17, udp(ENDS, new TextEncoder().encode(words))).body);
      return { timeNs: BigInt(i) * 1_000_000n, link: 1, bytes, wireLength: bytes.length };
    });
    await writer.write(frames);
    await writer.close();
    assert.deepEqual(await judge.judge(path, "one"), [{ sid: 4711, packet: 3 }]);
    await judge.judge(path, "one");
    assert.equal(judge.runs, 1);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: `tryCapture() counts what alerts.tsv says ${NEEDS}${
    known === null ? " (needs captures: REMEDIATE_DATA)" : ""
  }`,
  ignore: !installed || known === null,
  async fn() {
    const folder = dataFolder();
    await using judge = await Judge.open(`${folder}/rules/et-open-subset.rules`);
    const few = readKnown(known!).filter(({ capture }) => FEW.includes(capture));
    assert.equal(few.length, FEW.length);
    const scores = BASELINES.map(({ name }) => newScore(name));
    const counted = [];
    for (const [number, { capture }] of few.entries()) {
      const path = `${folder}/captures/${capture.replace(":", "/")}`;
      counted.push(await tryCapture(judge, BASELINES, [scores], { capture, path, number }));
    }
    assert.deepEqual(differences(few, counted), []);
    for (const { signatures, signaturesWhole } of scores) assert.ok(signatures <= signaturesWhole);
  },
});
