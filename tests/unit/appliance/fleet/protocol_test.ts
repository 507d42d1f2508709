/** The codec of the fleet's protocol, and the machine's patience. */
import assert from "node:assert/strict";
import { AgentMachine } from "../../../../appliance/fleet/agent.ts";
import { waitMs } from "../../../../appliance/fleet/backoff.ts";
import { changed, merged } from "../../../../appliance/fleet/delta.ts";
import { argumentsFault, COMMAND_KINDS } from "../../../../appliance/fleet/kinds.ts";
import { FROM_AGENT, FROM_CONTROLLER, SECTIONS } from "../../../../appliance/fleet/messages.ts";
import {
  type AgentMessage,
  agree,
  encode,
  FRAME_BYTES_MAX,
  fromAgent,
  fromController,
  jsonSchema,
  proofText,
} from "../../../../appliance/fleet/protocol.ts";
import { report } from "../../../support/fleet.ts";

const LIVE = { opening: false, version: 2 };

Deno.test("agree() takes the best version that both have", () => {
  assert.equal(agree([2, 1], [2, 1]), 2);
  assert.equal(agree([3, 2], [2, 1]), 2);
  assert.equal(agree([2, 1], [3, 2]), 2);
  assert.equal(agree([3], [2, 1]), null);
  assert.equal(agree([2, 1], []), null);
});

Deno.test("a message comes back as it was sent", () => {
  const messages: AgentMessage[] = [
    { type: "report", sequence: 1, base: null, sections: report() },
    { type: "report", sequence: 2, base: 1, sections: { match: { share: null, reason: "" } } },
    { type: "result", command: 1, outcome: "done", text: "ok", data: { any: [1] }, bytes: null },
    { type: "piece", command: 1, offset: 0, content: "AAAA" },
  ];
  for (const message of messages) {
    assert.deepEqual(fromAgent(encode(message), LIVE), { ok: true, message });
  }
});

Deno.test("every member of every message is checked: one that is missing, strange or of another type", () => {
  const whole: AgentMessage = { type: "progress", command: 1, percent: 5, text: "half" };
  for (const key of ["command", "percent", "text"]) {
    const { [key]: _, ...without } = whole as unknown as Record<string, unknown>;
    assert.equal(fromAgent(JSON.stringify(without), LIVE).ok, false, key);
    const odd = fromAgent(JSON.stringify({ ...whole, [key]: { a: 1 } }), LIVE);
    assert.equal(odd.ok, false, key);
    assert.match(odd.ok ? "" : odd.text, new RegExp(`"${key}" is \\{"a":1\\}`));
  }
  assert.equal(fromAgent(JSON.stringify({ ...whole, more: 1 }), LIVE).ok, false);
});

Deno.test("a frame is bounded in bytes, and before the welcome much more so", () => {
  const long = JSON.stringify({
    type: "progress",
    command: 1,
    percent: null,
    text: "ü".repeat(FRAME_BYTES_MAX / 2),
  });
  const decoded = fromAgent(long, LIVE);
  assert.equal(decoded.ok ? "" : decoded.fault, "oversize");
  const early = fromAgent(" ".repeat(8193), { opening: true, version: null });
  assert.equal(early.ok ? "" : early.fault, "oversize");
});

Deno.test("a message has its place: before the welcome or after it", () => {
  const piece = encode({ type: "piece", command: 1, offset: 0, content: "" });
  assert.equal(fromAgent(piece, { opening: true, version: null }).ok, false);
  const proof = encode({ type: "proof", signature: "A".repeat(86), token: null });
  assert.equal(fromAgent(proof, LIVE).ok, false);
  assert.equal(fromAgent(proof, { opening: true, version: null }).ok, true);
});

Deno.test("version 1 knows no deltas, and a whole report has all sections", () => {
  const delta = encode({ type: "report", sequence: 2, base: 1, sections: {} });
  assert.equal(fromAgent(delta, { opening: false, version: 1 }).ok, false);
  const part = encode({
    type: "report",
    sequence: 2,
    base: null,
    sections: { match: { share: 1, reason: "" } },
  });
  assert.equal(fromAgent(part, LIVE).ok, false);
});

Deno.test("a file is resumed since version 3 alone", () => {
  const text = encode({ type: "resume", command: 1 });
  assert.equal(fromAgent(text, { opening: false, version: 3 }).ok, true);
  const old = fromAgent(text, { opening: false, version: 2 });
  assert.match(old.ok ? "" : old.text, /version 2 cannot resume a file/);
});

Deno.test("an agent takes no command whose arguments are not those of its kind", () => {
  const command = (kind: string, given: object) =>
    fromController(JSON.stringify({ type: "command", number: 1, kind, arguments: given, expiresMs: 1 }));
  assert.equal(command("drill", {}).ok, true);
  assert.equal(command("drill", { box: "nothing" }).ok, false);
  assert.equal(command("drill", { shell: "sh" }).ok, false);
  assert.equal(command("shell", {}).ok, false);
  const offer = {
    version: "1",
    digest: "a".repeat(64),
    bytes: 1,
    sources: ["https://x.example/b"],
    force: false,
  };
  assert.equal(command("update.offer", offer).ok, true);
  assert.equal(command("update.offer", { ...offer, digest: "b" }).ok, false);
  assert.equal(command("update.offer", { ...offer, sources: ["file:///etc/passwd"] }).ok, false);
  for (const kind of COMMAND_KINDS) assert.notEqual(argumentsFault(kind, { nothing: 1 }), null, kind);
});

Deno.test("whatever is put in place of any byte is refused or is a message", () => {
  const good = encode({ type: "report", sequence: 1, base: null, sections: report() });
  let state = 1;
  const random = () => state = (state * 48271) % 2147483647;
  for (let i = 0; i < 3000; i++) {
    const at = random() % good.length, letter = String.fromCharCode(32 + random() % 95);
    const decoded = fromAgent(good.slice(0, at) + letter + good.slice(at + (random() % 3)), LIVE);
    if (decoded.ok) assert.equal(encode(decoded.message).length > 0, true);
    else assert.equal(decoded.text.length < 400, true, decoded.text);
  }
});

Deno.test("proofText() differs when anything of the connection does", () => {
  const one = {
    ...{ offered: [2, 1], accepted: [2, 1], version: 2, fleet: "f", key: "k", agentNonce: "a" },
    ...{ controllerNonce: "c", certificate: "AA", token: "" },
  };
  const others = [
    { offered: [1] },
    { accepted: [2] },
    { version: 1 },
    { fleet: "g" },
    { key: "l" },
    { agentNonce: "b" },
    { controllerNonce: "d" },
    { certificate: "BB" },
    { token: "t" },
  ].map((over) => proofText({ ...one, ...over }));
  assert.equal(new Set([proofText(one), ...others]).size, 10);
});

Deno.test("jsonSchema() names every message of both sides", () => {
  const schema = jsonSchema() as { $defs: Record<string, { oneOf: { title: string }[] }> };
  assert.deepEqual(schema.$defs.agent?.oneOf.map(({ title }) => title), Object.keys(FROM_AGENT));
  assert.deepEqual(schema.$defs.controller?.oneOf.map(({ title }) => title), Object.keys(FROM_CONTROLLER));
});

Deno.test("merged() undoes changed(), section by section", () => {
  const before = report(), after = report({ match: { share: 0, reason: "x" } });
  assert.deepEqual(changed(before, before), {});
  assert.deepEqual(merged(before, changed(before, after)), after);
  assert.deepEqual(merged(null, changed(null, after)), after);
  assert.equal(merged(null, { match: after.match }), null);
  assert.deepEqual(Object.keys(changed(null, after)), [...SECTIONS]);
});

Deno.test("waitMs() doubles its bound up to five minutes and is drawn from all of it", () => {
  assert.equal(waitMs(1, 1), 4000);
  assert.equal(waitMs(2, 1), 8000);
  assert.equal(waitMs(50, 1), 300_000);
  assert.equal(waitMs(50, 0), 200);
});

const machine = (nowMs = 0) =>
  new AgentMachine({ name: "n", key: "A".repeat(43), fleet: "f", token: null, random: () => 1 }, nowMs);

Deno.test("an agent tries again later and later, and says why once", () => {
  const agent = machine(), told: string[] = [];
  let now = 0, waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(agent.tick(now).map((one) => one.do), ["connect"]);
    for (const action of agent.closed("nobody is there", now)) {
      if (action.do === "tell") told.push(action.text);
    }
    assert.deepEqual(agent.tick(now), []);
    const { retryMs } = agent.view;
    waits = [...waits, (retryMs ?? 0) - now];
    now = retryMs ?? 0;
  }
  assert.deepEqual(waits, [4000, 8000, 16_000, 32_000]);
  assert.deepEqual(told, ["the controller is not there: nobody is there"]);
});

Deno.test("an agent with other settings tries at once, whatever failed before", () => {
  const agent = machine();
  for (let now = 0, i = 0; i < 5; i++, now = agent.view.retryMs ?? 0) {
    agent.tick(now);
    agent.closed("x", now);
  }
  agent.hurry(5);
  assert.deepEqual(agent.tick(5), [{ do: "connect" }]);
  agent.closed("x", 5);
  assert.equal(agent.view.retryMs, 4005);
});

Deno.test("a clock that was set back does not keep an agent waiting", () => {
  const agent = machine(1_000_000);
  agent.tick(1_000_000);
  agent.closed("x", 1_000_000);
  assert.deepEqual(agent.tick(5), [{ do: "connect" }]);
});

Deno.test("an agent gives up on a controller that opens and says nothing, or falls silent", () => {
  const agent = machine();
  agent.tick(0);
  agent.opened("AA", "A".repeat(43), 0);
  assert.deepEqual(agent.tick(60_000), []);
  assert.deepEqual(agent.tick(60_001).map((one) => one.do), ["close"]);
});

Deno.test("what comes out of turn ends the connection", () => {
  const agent = machine();
  agent.tick(0);
  agent.opened("AA", "A".repeat(43), 0);
  const welcome = {
    type: "welcome",
    node: "a".repeat(16),
    report: 0,
    event: 0,
    heartbeatS: 30,
    nowMs: 0,
  } as const;
  assert.deepEqual(agent.heard(welcome, 1).map((one) => one.do), ["close"]);
});
