/** The commands on the flight recorder, the routes behind them, and what a replay says. */
import assert from "node:assert/strict";
import type { ReplayReport } from "../../../appliance/replay.ts";
import { makeApi } from "../../../ui/api.ts";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import type { RemoteNode } from "../../../ui/client.ts";
import { recorder, renderRecorder } from "../../../ui/recorder.ts";
import { renderReplay } from "../../../ui/replay.ts";
import { fakeNode, NOW_MS, RECORDER_STATUS } from "./fake_node.ts";

async function run(line: string, answer = { ok: true, text: "the recorder is off" }) {
  const parsed = parseArguments(line.split(" "));
  assert.equal(parsed.kind, "command", JSON.stringify(parsed));
  const said = { out: "", err: "" }, asked: string[] = [], written: number[] = [];
  const node = {
    recorder: () => Promise.resolve(RECORDER_STATUS),
    setRecorder: (on: boolean) => (asked.push(`on ${on}`), Promise.resolve(answer)),
    capture: (what: string, query: URLSearchParams) => {
      asked.push(`${what} ${query}`);
      return Promise.resolve(ReadableStream.from([Uint8Array.of(1, 2), Uint8Array.of(3)]));
    },
  } as unknown as RemoteNode;
  const terminal = {
    out: (text: string) => said.out += text,
    err: (text: string) => said.err += text,
  } as Partial<Terminal> as Terminal;
  const means = {
    stop: new AbortController().signal,
    refusal: (path: string) => path === "bad" ? "Cannot write there" : null,
    open: () =>
      Promise.resolve({
        write: (bytes: Uint8Array) => Promise.resolve(written.push(...bytes) > 0),
        close: () => {},
      }),
  };
  const code = await recorder(node, parsed as Invocation, terminal, means);
  return { code, ...said, asked, written };
}

Deno.test("recorder save asks for the time around the last switch, or for the last minutes", async () => {
  const saved = await run("recorder save out.pcapng");
  assert.deepEqual([saved.code, saved.asked, saved.written], [0, ["recorded around_s=60"], [1, 2, 3]]);
  assert.deepEqual((await run("recorder save out.pcapng --last 2")).asked, ["recorded last_s=120"]);
  const both = await run("recorder save out.pcapng --last 2 --around 5");
  assert.deepEqual([both.code, both.asked], [2, []]);
  assert.equal((await run("recorder save bad")).code, 2);
});

Deno.test("recorder on and off tell what the node says", async () => {
  const off = await run("recorder off");
  assert.deepEqual([off.code, off.asked, off.out], [0, ["on false"], "the recorder is off\n"]);
  const refused = await run("recorder on", { ok: false, text: "recorder.mib is 0" });
  assert.deepEqual([refused.code, refused.err], [1, "Cannot turn the recorder on: recorder.mib is 0\n"]);
});

Deno.test("recorder status tells what is held, lost and left out", async () => {
  const { out } = await run("recorder status");
  assert.match(out, /^The recorder is on: .* in 2 files in \/var\/lib\/remediate\/recorder, back to /);
  assert.match(out, /15000 records since control started, 3 lost on the way; 40 left out/);
  assert.equal(JSON.parse((await run("recorder status --json")).out).shed, 40);
  assert.equal(
    renderRecorder({ ...RECORDER_STATUS, bytesMax: 0 }),
    "There is no recorder (recorder.mib = 0).\n",
  );
  assert.match(
    renderRecorder({ ...RECORDER_STATUS, failing: "disk full" }),
    /Nothing can be written .*: disk full/,
  );
});

Deno.test("makeApi() tells of the recorder, turns it, and hands out what it holds", async () => {
  const node = fakeNode();
  const api = makeApi(node);
  const ask = (path: string, init?: RequestInit) => api.request(`/api/v1/recorder${path}`, init);
  const post = (body: string) => ({ method: "POST", body });
  assert.deepEqual(await (await ask("")).json(), RECORDER_STATUS);
  assert.equal((await ask("", post('{"on":false}'))).status, 200);
  assert.match(
    (await (await ask("", post('{"on":"no"}'))).json()).detail,
    /"on" is "no"; accepted: true or false/,
  );
  assert.match(
    (await (await ask("", post("{}"))).json()).detail,
    /"on" is undefined; accepted: true or false/,
  );
  node.turned = { ok: false, text: "there is none" };
  assert.equal((await ask("", post('{"on":true}'))).status, 409);
  const saved = await ask("/saved?around_s=5");
  assert.deepEqual([...new Uint8Array(await saved.arrayBuffer())], [1, 2, 3]);
  assert.equal((await ask("/saved?around_s=5&last_s=5")).status, 400);
  const wrong = await ask("", { method: "PUT" });
  assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD, POST"]);
  assert.deepEqual(node.calls, [
    "recorder",
    'record {"on":false}',
    'record {"on":true}',
    'save {"lastS":null,"aroundS":5}',
  ]);
});

const counts = (same: number, other = 0) =>
  ({ same, other, cut: 0, impossible: 0, no_rules: 0, other_layout: 0 }) as const;
const REPORT: ReplayReport = {
  node: "edge",
  version: "1.0",
  fromMs: NOW_MS,
  toMs: NOW_MS + 1000,
  packets: 12,
  decisions: counts(10),
  steps: counts(3),
  judgements: { same: 1, other: 0 },
  switches: { told: 1, withStep: 1 },
  seals: { seals: 4, broken: null, unsealedBytes: 0, cut: null },
  differences: [],
  different: 0,
  identical: true,
};

Deno.test("renderReplay() claims what came out the same and says what cannot be told", () => {
  const text = renderReplay(REPORT, false);
  assert.match(text, /Decisions on frames: 10 of 10 come out byte for byte the same\./);
  assert.match(text, /1 of 1 switches told have theirs\.\n[^]*by 4 seals\.\nIdentical\.\n$/);
  assert.doesNotMatch(text, /nothing is said/);
  const decisions = { ...counts(10), cut: 2, no_rules: 3, other_layout: 4 };
  const untold = renderReplay({ ...REPORT, decisions }, false);
  assert.equal([...untold.matchAll(/nothing is said of them/g)].length, 3);
  assert.match(untold, /10 of 10 come out/);
});

Deno.test("renderReplay() shows the first difference, or all, and where the file was changed", () => {
  const difference = {
    what: "decision",
    packet: 7,
    byte: 900,
    timeMs: NOW_MS,
    recorded: "not copied",
    replayed: "copied: first, rule 0",
  } as const;
  const report = {
    ...REPORT,
    decisions: counts(8, 2),
    different: 2,
    differences: [difference, { ...difference, packet: null, what: "step" } as const],
    seals: {
      seals: 4,
      broken: { from: 800, to: 1200 },
      unsealedBytes: 9,
      cut: "the block at byte 1300 is cut",
    },
    identical: false,
  };
  const first = renderReplay(report, false);
  assert.match(first, /THE FILE WAS CHANGED between byte 800 and byte 1200\./);
  assert.match(
    first,
    /packet 7, .*: recorded "not copied", replayed "copied: first, rule 0"\n1 more differences/,
  );
  assert.match(first, /8 of 10 come out[^]*What follows cannot be read: .*cut\.[^]*NOT identical\.\n$/);
  assert.match(renderReplay(report, true), /step at byte 900, /);
});
