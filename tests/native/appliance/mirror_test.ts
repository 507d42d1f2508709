/** The jobs on captures with the C core: what is written, explained and tuned of a capture made here. */
import assert from "node:assert/strict";
import { CaptureWriter, readWhole } from "../../../appliance/mirror_files.ts";
import { agesMs, type AlertJudge, explainFile, mirrorFile, tuneFile } from "../../../appliance/mirror_run.ts";
import { gridRules } from "../../../appliance/mirror_tune.ts";
import type { CapturedFrame } from "../../../filter/capture.ts";
import { filterRule } from "../../../filter/rule.ts";
import { bulkContent, bulkFlow } from "../../../scripts/bench/ids_bulk.ts";
import { BASELINES } from "../../../scripts/bench/ids_policies.ts";
import { newScore } from "../../../scripts/bench/ids_score.ts";
import { tryCapture } from "../../../scripts/bench/ids_trial.ts";
import { heavyPart, mixCosts, publishedRatio } from "../../../scripts/bench/ids_mix.ts";
import { main } from "../../../mod.ts";
import { run, TOP } from "../filter/library.ts";

const POLICY = {
  rules: [filterRule({ name: "r", handshake: true, teardown: true, firstPackets: 5 })],
  ages: agesMs(),
};

/** An ARP request, and two transfers after one another. */
function frames(): CapturedFrame[] {
  const arp = new Uint8Array(42);
  arp.set([8, 6], 12);
  const content = bulkContent();
  return [
    { timeNs: 0n, link: 1, bytes: arp, wireLength: 42 },
    ...bulkFlow(1, "http-download", 120_000, content),
    ...bulkFlow(2, "tls-download", 60_000, content),
  ];
}

interface Place extends AsyncDisposable {
  readonly path: string;
  file(name: string): string;
}

/** A folder with the capture in it, and the library built. */
async function place(): Promise<Place> {
  await run(`${TOP}/scripts/native`, ["filter"]);
  const folder = await Deno.makeTempDir({ prefix: "remediate-mirror-" });
  const path = `${folder}/in.pcap`;
  await using writer = await CaptureWriter.create(path);
  await writer.write(frames());
  await writer.close();
  return {
    path,
    file: (name) => `${folder}/${name}`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Raises signature n where the n-th frame of the capture is there, as far as a copy has so many bytes. */
class FakeJudge implements AlertJudge {
  readonly judged: string[] = [];
  readonly #place: Place;
  constructor(place: Place) {
    this.#place = place;
  }
  scratch(name: string): string {
    return this.#place.file(name);
  }
  async judge(path: string) {
    this.judged.push(path);
    const { frames } = await readWhole(path);
    // A request, and a byte pattern deep in each transfer.
    const found = frames.map(({ bytes }, i) => ({ bytes, packet: i + 1 })).filter(({ bytes }) =>
      bytes.length > 54
    );
    const first = found[0] ? [{ sid: 1, packet: found[0].packet }] : [];
    const deep = found[14] ? [{ sid: 2, packet: found[14].packet }] : [];
    return [...first, ...deep];
  }
}

Deno.test("mirrorFile() writes exactly the frames that are mirrored, and counts them by reason and rule", async () => {
  await using here = await place();
  const write = here.file("out.pcap");
  const pieces: number[] = [];
  const progress = ({ doneBytes }: { doneBytes: number }) => void pieces.push(doneBytes);
  const { totals, cut } = await mirrorFile({ read: here.path, write, progress }, POLICY);
  const { frames: copied } = await readWhole(write);
  assert.equal(cut, null);
  assert.equal(copied.length, totals.mirrored.packets);
  assert.equal(copied.reduce((sum, { bytes }) => sum + bytes.length, 0), totals.mirrored.bytes);
  assert.equal(totals.all.packets, frames().length);
  assert.deepEqual(totals.why.get("neighbour"), { packets: 1, bytes: 42 });
  assert.equal(totals.why.get("handshake")!.packets, 6);
  assert.equal(totals.rule.get("r")!.packets, totals.mirrored.packets - 1);
  assert.equal(pieces.at(-1), (await Deno.stat(here.path)).size);
  // What is written is a part of what was read, in its order.
  const all = (await readWhole(here.path)).frames.map(({ bytes, timeNs }) => `${timeNs} ${bytes.toHex()}`);
  let at = -1;
  for (const { bytes, timeNs } of copied) {
    const found = all.indexOf(`${timeNs} ${bytes.toHex()}`, at + 1);
    assert.ok(found > at);
    at = found;
  }
});

Deno.test("mirrorFile() refuses what cannot be, and leaves the file that is there alone", async () => {
  await using here = await place();
  const job = (read: string, write: string) => mirrorFile({ read, write }, POLICY);
  await assert.rejects(job(here.path, here.path), /Cannot write .*in\.pcap: it is the capture that is read/);
  const other = here.file("other");
  await Deno.writeTextFile(other, "precious");
  await assert.rejects(job(here.file("nothing"), other), /Cannot read .*nothing: no such file or directory/);
  await assert.rejects(
    job(other, here.file("x")),
    /Cannot read .*other: it ends within its header, after 8 bytes/,
  );
  assert.equal(await Deno.readTextFile(other), "precious");
  await assert.rejects(
    job(here.path, here.file("no/such/folder")),
    /Cannot write .*folder: no such file or directory/,
  );
});

Deno.test("explainFile() accounts for every packet of a flow, in words", async () => {
  await using here = await place();
  const options = { text: ":80", flowsMax: 5, linesMax: 100 };
  const { flows, flowsLeftOut } = await explainFile({ read: here.path }, POLICY, options);
  assert.equal(flowsLeftOut, false);
  assert.equal(flows.length, 1);
  const [flow] = flows;
  assert.match(flow!.flow, /^tcp 10\.0\.0\.1:20001 > 198\.51\.100\.1:80$/);
  assert.equal(flow!.lines.reduce((sum, { packets }) => sum + packets, 0), flow!.packets);
  assert.equal(flow!.packets, bulkFlow(1, "http-download", 120_000, bulkContent()).length);
  assert.deepEqual(flow!.lines.slice(0, 4).map(({ why }) => why), [
    "handshake",
    "handshake",
    "handshake",
    "first",
  ]);
  const left = flow!.lines.find(({ why }) => why === "none")!;
  assert.match(left.text, /beyond what rule r mirrors: the opening, the closing, the first 5 packets$/);
  const all = await explainFile({ read: here.path }, POLICY, { text: null, flowsMax: 2, linesMax: 3 });
  assert.deepEqual([all.flows.length, all.flowsLeftOut], [2, true]);
  assert.equal(all.flows[0]!.flow, "(neighbour)");
  const { lines, omitted, packets } = all.flows[1]!;
  assert.equal(omitted + lines.reduce((sum, line) => sum + line.packets, 0), packets);
});

Deno.test("tuneFile() finds that more of a rule costs more, and judges equal copies once", async () => {
  await using here = await place();
  const rules = gridRules();
  const byTurns = await tuneFile({ read: here.path }, { rules, ages: agesMs(), judge: null });
  assert.equal(byTurns.length, rules.length);
  const of = (name: string) => byTurns.find(({ rule }) => rule.name === name)!;
  assert.ok(of("p0-b0-t0").byteShare < of("p5-b0-t0").byteShare);
  assert.ok(of("p5-b0-t0").byteShare < of("p0-b16384-t0").byteShare);
  assert.equal(of("p12-b16384-t0").kept, 1);
  assert.equal(of("p0-b0-t0").kept, 0);
  const judge = new FakeJudge(here);
  const judged = await tuneFile({ read: here.path }, { rules, ages: agesMs(), judge });
  assert.equal(judged.find(({ rule }) => rule.name === "p12-b16384-t0")!.kept, 1);
  assert.equal(judged.find(({ rule }) => rule.name === "p5-b0-t0")!.kept, 0.5);
  assert.ok(judge.judged.length - 1 < rules.length);
});

Deno.test("tryCapture() judges each selection once and counts what each policy keeps", async () => {
  await using here = await place();
  const judge = new FakeJudge(here);
  const [scores, half] = [BASELINES, BASELINES].map((all) => all.map(({ name }) => newScore(name)));
  const given = { capture: "in.pcap", path: here.path, number: 0 };
  const counted = await tryCapture(judge, BASELINES, [scores!, half!], given);
  assert.deepEqual(half, scores);
  assert.deepEqual(counted, { capture: "in.pcap", signatures: 2, alerts: 2 });
  const kept = Object.fromEntries(scores!.map(({ policy, signatures }) => [policy, signatures]));
  assert.deepEqual(kept, {
    "SYN only": 0,
    "handshake+teardown": 0,
    "first 5": 1,
    "first 10": 2,
    "first 4 KB": 1,
  });
  const { sid, cut, why } = scores![2]!.missed[0]!;
  assert.deepEqual([sid, cut], [2, null]);
  assert.match(
    why,
    /^packet \d+ was not copied \(.*\); of \d+ with payload before it in its flow \d were copied$/,
  );
});

Deno.test("mixCosts() weighs captures, and transfers on top until each reading is reached", async () => {
  await using here = await place();
  const [syn, , five] = BASELINES;
  const policies = [{ name: "syn", rules: syn!.rules, keeps: syn!.keeps! }, { ...five!, published: 0.02 }];
  const captures = [here.path, here.file("missing.pcap")].map((path) => ({ path, half: "tune" }) as const);
  const { real, halves, heavy } = await mixCosts(policies, captures, () => {});
  assert.deepEqual([real.directions, real.connections, real.transfers], [4, 2, 0]);
  assert.equal(real.costs[0]!.all.packets, frames().length);
  // Two SYNs and the ARP request.
  assert.equal(real.costs[0]!.mirrored.packets, 3);
  assert.ok(real.costs[1]!.mirrored.bytes > real.costs[0]!.mirrored.bytes);
  assert.deepEqual([halves.tune, halves.judge.costs[0]!.all.bytes], [real, 0]);
  // The mean of both counts is above 36 kB already.
  assert.deepEqual([heavy.direction, heavy.connection], [real, real]);
  assert.ok(publishedRatio(policies, real.costs) > 1 && heavy.published.transfers > 0);
  assert.ok(publishedRatio(policies, heavy.published.costs) <= 1);
  assert.deepEqual(heavyPart(real, real, heavy.published), heavy.published.costs);
});

Deno.test("remediate mirror runs as a command, and tells the person what is missing", async () => {
  await using here = await place();
  const said = { out: "", err: "" };
  const terminal = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    colours: false,
    watched: true,
    now: () => performance.now(),
    sleep: () => Promise.resolve(),
    interrupted: () => false,
  };
  assert.equal(await main(["mirror", "--read", here.path], terminal), 2);
  assert.match(said.err, /--write is missing/);
  assert.equal(await main(["mirror", "--read", here.path, "--write", here.file("o")], terminal), 0);
  assert.match(said.out, /by rule\n {2}ids /);
  assert.match(said.err, /100 %/);
  assert.equal(await main(["mirror", "explain", here.path, "--json", "--limit", "1"], terminal), 0);
  const plot = here.file("curve.svg");
  assert.equal(await main(["mirror", "tune", here.path, "--budget", "20%", "--plot", plot], terminal), 0);
  assert.match(await Deno.readTextFile(plot), /^<svg /);
  const dots = here.file("curve.png");
  assert.equal(await main(["mirror", "tune", here.path, "--budget", "20%", "--plot", dots], terminal), 0);
  assert.deepEqual([...(await Deno.readFile(dots)).subarray(1, 4)], [0x50, 0x4e, 0x47]);
  assert.equal(await main(["mirror", "tune", here.path, "--budget", "0%"], terminal), 2);
  assert.equal(await main(["mirror", "explain", here.path, "--preset", "ids", "--config", "x"], terminal), 2);
});
