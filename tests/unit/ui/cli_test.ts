/** Commands against a node that is not there: what they print, where, and their exit codes. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { type Invocation, type Options, parseArguments } from "../../../ui/arguments.ts";
import {
  changeMember,
  giveOrder,
  listBoxes,
  listEvents,
  listFlows,
  maintain,
  reportCheck,
  reportFindings,
  showStatus,
  type Terminal,
} from "../../../ui/cli.ts";
import { makeApi } from "../../../ui/api.ts";
import { NodeSilentError, type RemoteNode } from "../../../ui/client.ts";
import { boxView, type FakeNode, fakeNode, nodeStatus, NOW_MS } from "./fake_node.ts";

interface Screen extends Terminal {
  stdout: string;
  stderr: string;
  turns: number;
}

/** A terminal that is interrupted after `turns` sleeps. */
function screen(turns = Infinity): Screen {
  let now = NOW_MS;
  return {
    stdout: "",
    stderr: "",
    turns,
    out(text) {
      this.stdout += text;
    },
    err(text) {
      this.stderr += text;
    },
    colours: false,
    now: () => now,
    sleep(ms) {
      now += ms;
      this.turns--;
      return Promise.resolve();
    },
    interrupted() {
      return this.turns <= 0;
    },
  };
}

function remote(control: FakeNode): RemoteNode {
  return {
    status: () => Promise.resolve(control.status()),
    flows: (options) => Promise.resolve(control.flows(options as Parameters<FakeNode["flows"]>[0])),
    events: (options) => Promise.resolve(control.events(options)),
    eventsKnown: (sequence) => Promise.resolve(control.eventsKnown?.({ sequence })),
    match: (options) => Promise.resolve(control.match(options)),
    probes: () => Promise.resolve(control.probes()),
    order: (name, options) => control[name](options),
    member: (change, box) => control[change]({ box }),
    maintain: (box, on) => control.maintain({ box, on }),
    resync: ({ box, stop }) => control.resync({ box: box ?? null, stop }),
    reload: () => control.reload(),
    ask: async (method, path, { body, headers } = {}) => {
      const init = { method, headers: { ...headers }, ...(body && { body: JSON.stringify(body) }) };
      const response = await makeApi(control).request(path, init);
      return { status: response.status, body: await response.json() };
    },
    drill: (box) => control.drills.run(box as "primary" | null),
    drills: () => Promise.resolve(control.drills.list()),
    layer: () => Promise.reject(new Error("not asked for")),
    moves: () => Promise.resolve(control.layer.moves()),
    vnfs: () => Promise.resolve(control.vnfs.list()),
    vnf: (verb, name) => control.vnfs[verb](name),
    captureFiles: () => Promise.resolve(control.captures.list()),
    capture: () => Promise.reject(new Error("not asked for")),
    recorder: () => Promise.resolve(control.recorder.status()),
    setRecorder: (on) => Promise.resolve(control.recorder.set({ on })),
    state: {} as RemoteNode["state"], // Not asked here: state_test.ts.
    close: () => {},
  };
}

function invocation(line: string): Invocation {
  return parseArguments(line.split(" ")) as Invocation;
}

function options(line: string): Options {
  return invocation(line).options;
}

Deno.test("showStatus() ends with 4 when the node is not green", async () => {
  const control = fakeNode();
  assert.equal(await showStatus(remote(control), options("status"), screen()), 0);
  control.view = nodeStatus({ light: "yellow", reason: "the redundant box is not alive" });
  const yellow = screen();
  assert.equal(await showStatus(remote(control), options("status"), yellow), 4);
  assert.match(yellow.stdout, /^edge1: yellow: the redundant box is not alive\n/);
});

Deno.test("showStatus() prints exactly the view as JSON", async () => {
  const control = fakeNode();
  const terminal = screen();
  await showStatus(remote(control), options("status --json"), terminal);
  assert.deepEqual(JSON.parse(terminal.stdout), JSON.parse(JSON.stringify(control.view)));
  assert.deepEqual(control.calls, ["status"]);
});

Deno.test("showStatus() watches until it is interrupted, also while no node answers", async () => {
  const control = fakeNode();
  const node = remote(control);
  let asked = 0;
  node.status = () =>
    ++asked === 2
      ? Promise.reject(new NodeSilentError("Cannot reach a node"))
      : Promise.resolve(control.view);
  const terminal = screen(3);
  assert.equal(await showStatus(node, options("status --watch --interval 200"), terminal), 0);
  assert.equal(terminal.stdout.match(/^edge1: green/gm)?.length, 2);
  assert.match(terminal.stdout, /Cannot reach a node\n/);
  assert.equal(terminal.now(), NOW_MS + 600);
});

Deno.test("showStatus() watches as one JSON object a line", async () => {
  const terminal = screen(2);
  await showStatus(remote(fakeNode()), options("status --watch --json"), terminal);
  const lines = terminal.stdout.trim().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line).name), ["edge1", "edge1"]);
});

Deno.test("listFlows() asks for what the person asks for", async () => {
  const control = fakeNode();
  const terminal = screen();
  await listFlows(remote(control), options("flows --limit 3 --side upstream --search udp --json"), terminal);
  assert.deepEqual(control.calls, ['flows {"limit":3,"side":"upstream","text":"udp"}']);
  assert.equal(JSON.parse(terminal.stdout).length, 1);
});

Deno.test("listEvents() shows the last ones", async () => {
  const terminal = screen();
  await listEvents(remote(fakeNode()), options("events --limit 2"), terminal);
  assert.match(terminal.stdout, /event 2\n.*event 3\n$/);
  assert.ok(!terminal.stdout.includes("event 1"));
});

Deno.test("giveOrder() says what came of it: good news to stdout, refusals to stderr with 1", async () => {
  const control = fakeNode();
  const done = screen();
  assert.equal(await giveOrder(remote(control), "switchover", invocation("switchover --force"), done), 0);
  assert.equal(done.stdout, "traffic goes by the redundant box\n");
  control.result = { ok: false, path: "primary", text: "it is not alive", tookUs: null };
  const refused = screen();
  assert.equal(await giveOrder(remote(control), "failback", invocation("failback"), refused), 1);
  assert.equal(refused.stderr, "Cannot fail back: it is not alive\n");
  control.reloaded = { ok: false, text: "c.toml:3: a problem" };
  const reload = screen();
  assert.equal(await giveOrder(remote(control), "reload", invocation("reload"), reload), 1);
  assert.equal(reload.stderr, "Cannot reload: c.toml:3: a problem\n");
  assert.equal(
    await giveOrder(remote(control), "switchover", invocation("switchover redundant-2"), screen()),
    1,
  );
  assert.deepEqual(control.calls, [
    'switchover {"force":true}',
    'failback {"force":false}',
    "reload",
    'switchover {"force":false,"box":"redundant-2"}',
  ]);
});

Deno.test("listBoxes() shows each box with its names and its duty, those that left as away", async () => {
  const control = fakeNode();
  const away = boxView("redundant-2", {
    name: "fw-c",
    member: false,
    light: "yellow",
    reason: "it has left",
  });
  control.view = nodeStatus({ boxes: [...control.view.boxes, away] });
  const terminal = screen();
  assert.equal(await listBoxes(remote(control), options("box list"), terminal), 0);
  const lines = terminal.stdout.trim().split("\n").map((line) => line.trim().split(/ {2,}/));
  assert.deepEqual(lines.slice(1), [
    ["primary", "-", "serving", "green", "5,000", "4,990", "links up"],
    ["redundant", "-", "standby", "green", "120", "110", "links up"],
    ["redundant-2", "fw-c", "away", "yellow", "120", "110", "it has left"],
  ]);
});

Deno.test("maintain() says what came of it, and what it could not do", async () => {
  const control = fakeNode();
  control.result = { ok: true, path: "redundant", text: "the primary left", tookUs: 3 };
  const done = screen(), refused = screen();
  assert.equal(await maintain(remote(control), true, "primary", done), 0);
  assert.equal(done.stdout, "the primary left\n");
  control.result = { ok: false, path: "primary", text: "nobody relieves it", tookUs: null };
  assert.equal(await maintain(remote(control), true, "primary", refused), 1);
  assert.equal(refused.stderr, "Cannot switch maintenance of primary on: nobody relieves it\n");
  assert.deepEqual(control.calls, Array(2).fill('maintain {"box":"primary","on":true}'));
});

Deno.test("changeMember() says what came of it, and names the box where it is refused", async () => {
  const control = fakeNode();
  control.result = { ok: true, path: "primary", text: "the redundant-2 joined", tookUs: null };
  const done = screen(), refused = screen();
  assert.equal(await changeMember(remote(control), "join", "fw-c", done), 0);
  assert.equal(done.stdout, "the redundant-2 joined\n");
  control.result = { ok: false, path: "primary", text: "it serves", tookUs: null };
  assert.equal(await changeMember(remote(control), "leave", "primary", refused), 1);
  assert.equal(refused.stderr, "Cannot let primary leave: it serves\n");
  assert.deepEqual(control.calls, ['join {"box":"fw-c"}', 'leave {"box":"primary"}']);
});

Deno.test("reportCheck() prints a line per problem and ends with 2, or says that all is good", () => {
  const bad = screen();
  assert.equal(reportCheck(parseConfig("[log]\nlevel = 1\n", "c.toml"), "c.toml", false, bad), 2);
  assert.match(
    bad.stderr,
    /^c\.toml:2: log\.level is an integer, not a text; found 1; accepted: one of "debug"/,
  );
  assert.match(bad.stderr, /\n7 problems\n$/);
  const ports = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"];
  const text = `[ports]\n${ports.map((role) => `${role} = "null"`).join("\n")}\n[failover]\nsilence_ms = 0\n`;
  const good = screen();
  assert.equal(reportCheck(parseConfig(text, "c.toml"), "c.toml", false, good), 0);
  assert.equal(good.stdout, "c.toml is good.\n");
  assert.match(good.stderr, /^warning: c\.toml:9: failover\.silence_ms is off/);
});

Deno.test("reportFindings() prints each with its fix, and ends with 1 if one fails", () => {
  const finding = {
    level: "fail",
    topic: "port upstream",
    text: "There is no eth9.",
    fix: "correct the port",
  } as const;
  const good = { level: "ok", topic: "cpu", text: "2 CPUs.", fix: null } as const;
  const terminal = screen();
  assert.equal(reportFindings([good, finding], false, terminal), 1);
  assert.equal(
    terminal.stdout,
    "ok    cpu: 2 CPUs.\nfail  port upstream: There is no eth9.\n      fix: correct the port\n\n" +
      "1 failed, 0 to look at, 1 good\n",
  );
  const json = screen();
  assert.equal(reportFindings([good], true, json), 0);
  assert.deepEqual(JSON.parse(json.stdout), { ok: true, findings: [good] });
});
