/** The API against a node that is not there: answers, refusals, and what the node never hears of. */
import assert from "node:assert/strict";
import { makeApi } from "../../../ui/api.ts";
import type { CaptureAnswer, ExternalSwitchView } from "../../../appliance/view.ts";
import { boxView, CAPTURE_LISTING, type FakeNode, fakeNode, nodeStatus } from "./fake_node.ts";

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

async function ask(node: FakeNode, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await makeApi(node).request(path, init);
  const type = response.headers.get("content-type");
  return { status: response.status, type, body: await response.json(), headers: response.headers };
}

function post(body?: string): RequestInit {
  return { method: "POST", ...(body !== undefined && { body }) };
}

/** The detail of a refusal, checked to be a whole problem detail (RFC 9457). */
function refused(answer: Answer, status: number): string {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.type, "application/problem+json");
  assert.equal(answer.body.status, status);
  assert.equal(answer.body.type, "about:blank");
  assert.ok(String(answer.body.title).length > 0);
  return String(answer.body.detail);
}

Deno.test("makeApi() gives the status as the node tells it", async () => {
  const node = fakeNode();
  const answer = await ask(node, "/api/v1/status");
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, JSON.parse(JSON.stringify(node.view)));
  assert.match(
    refused(await ask(node, "/api/v1/status?verbose=1"), 400),
    /no parameter "verbose"; there are none/,
  );
});

Deno.test("makeApi() hands limits, side and search of flows to the node", async () => {
  const node = fakeNode();
  await ask(node, "/api/v1/flows");
  const answer = await ask(node, "/api/v1/flows?limit=7&side=downstream&search=10.1.0.11%3A80");
  await ask(node, "/api/v1/flows?unlike=true&limit=3");
  assert.deepEqual(node.calls, [
    'flows {"limit":100}',
    'flows {"limit":7,"side":"downstream","text":"10.1.0.11:80"}',
    'flows {"limit":3,"unlike":true}',
  ]);
  assert.equal((answer.body.flows as unknown[]).length, 1);
});

Deno.test("makeApi() refuses bad parameters before the node hears of them", async () => {
  const node = fakeNode();
  for (const limit of ["0", "-1", "10001", "1e3", "x", "", "99999999999999999999"]) {
    const detail = refused(await ask(node, `/api/v1/flows?limit=${limit}`), 400);
    assert.equal(detail, `The parameter "limit" is "${limit}"; accepted: an integer from 1 to 10000`);
  }
  assert.match(
    refused(await ask(node, "/api/v1/flows?side=left"), 400),
    /accepted: "upstream" or "downstream"/,
  );
  assert.match(refused(await ask(node, "/api/v1/flows?limt=3"), 400), /there are limit, side, search/);
  assert.match(refused(await ask(node, "/api/v1/flows?limit=1&limit=2"), 400), /given twice/);
  assert.match(refused(await ask(node, "/api/v1/events?after=-1"), 400), /"after" is "-1"/);
  assert.deepEqual(node.calls, []);
});

Deno.test("makeApi() gives events after a number, at most so many", async () => {
  const node = fakeNode();
  const answer = await ask(node, "/api/v1/events?after=41&limit=2");
  assert.deepEqual(node.calls, ['events {"after":41,"limit":2}']);
  assert.equal((answer.body.events as unknown[]).length, 2);
});

Deno.test("makeApi() takes the last event that a reader knows, if it is a number that leaves place above", async () => {
  const node = fakeNode(), known: number[] = [];
  const told = { ...node, eventsKnown: ({ sequence }: { sequence: number }) => void known.push(sequence) };
  const tell = (body?: string) => ask(told, "/api/v1/events/known", post(body));
  for (
    const body of [
      "{}",
      '{"sequence":"7"}',
      '{"sequence":-1}',
      '{"sequence":1.5}',
      '{"sequence":9007199254740991}',
    ]
  ) {
    assert.match(refused(await tell(body), 400), /sequence/, body);
  }
  refused(await tell(), 400);
  assert.deepEqual(known, []);
  assert.deepEqual((await tell('{"sequence":7}')).body, { ok: true });
  assert.deepEqual(known, [7]);
});

Deno.test("makeApi() hands out captures as they come, and what they are of to the node", async () => {
  const node = fakeNode();
  const query = "filter=tcp%20port%2080&ports=upstream,primary-in&seconds=5&packets=7";
  const response = await makeApi(node).request(`/api/v1/capture?${query}`);
  assert.equal(response.headers.get("content-type"), "application/x-pcapng");
  assert.deepEqual([...await response.bytes()], [1, 2, 3]);
  const nothing: CaptureAnswer = { ok: false, fault: "node", text: "there is no plane" };
  node.captured = nothing;
  assert.equal(refused(await ask(node, "/api/v1/capture"), 409), "there is no plane");
  await ask(node, "/api/v1/capture/kept?last_s=300");
  await ask(node, "/api/v1/capture/kept?around_s=30&at_ms=1700000000000");
  node.captured = { ...nothing, fault: "request", text: 'Cannot compile filter "tpc": syntax error' };
  assert.match(refused(await ask(node, "/api/v1/capture/kept?filter=tpc"), 400), /^Cannot compile filter/);
  assert.deepEqual(node.calls, [
    'live {"filter":"tcp port 80","ports":["upstream","primary-in"],"seconds":5,"packets":7}',
    'live {"filter":"","ports":[],"seconds":null,"packets":null}',
    'kept {"filter":"","lastS":300,"aroundS":60}',
    'kept {"filter":"","lastS":null,"aroundS":30,"atMs":1700000000000}',
    'kept {"filter":"tpc","lastS":null,"aroundS":60}',
  ]);
  assert.deepEqual((await ask(node, "/api/v1/capture/files")).body, { ...CAPTURE_LISTING });
});

Deno.test("makeApi() refuses captures of ports and times that are none", async () => {
  const node = fakeNode();
  assert.match(
    refused(await ask(node, "/api/v1/capture?ports=upstream,left"), 400),
    /has "left"; accepted: of upstream, /,
  );
  assert.match(refused(await ask(node, "/api/v1/capture?seconds=0"), 400), /"seconds" is "0"/);
  assert.match(refused(await ask(node, "/api/v1/capture?snap=9"), 400), /there are filter, ports, seconds/);
  for (const moment of ["around_s=1", "at_ms=1"]) {
    assert.match(refused(await ask(node, `/api/v1/capture/kept?last_s=1&${moment}`), 400), /not both/);
  }
  assert.deepEqual(node.calls, []);
});

Deno.test("makeApi() carries out orders, forced only when the body says so", async () => {
  const node = fakeNode();
  const answer = await ask(node, "/api/v1/switchover", post());
  assert.deepEqual(answer.body, node.result);
  await ask(node, "/api/v1/failback", post('{"force":true}'));
  await ask(node, "/api/v1/failback", post("{}"));
  assert.deepEqual(node.calls, [
    'switchover {"force":false}',
    'failback {"force":true}',
    'failback {"force":false}',
  ]);
});

Deno.test("makeApi() answers 409 with the node's words when it does not carry out an order", async () => {
  const node = fakeNode();
  node.result = { ok: false, path: "primary", text: "the redundant is not known to be alive", tookUs: null };
  const answer = await ask(node, "/api/v1/switchover", post());
  assert.equal(refused(answer, 409), "the redundant is not known to be alive");
  assert.deepEqual(answer.body.result, node.result);
});

Deno.test("makeApi() refuses bodies that are not what an order takes", async () => {
  const node = fakeNode();
  const detail = async (body: string) => refused(await ask(node, "/api/v1/switchover", post(body)), 400);
  assert.match(await detail("{"), /The body is not JSON/);
  assert.match(await detail("[]"), /no JSON object/);
  assert.match(await detail("null"), /no JSON object/);
  assert.match(await detail('{"force":"yes"}'), /"force" is "yes"; accepted: true or false/);
  assert.match(await detail('{"froce":true}'), /no member "froce" in this body; there is force/);
  refused(await ask(node, "/api/v1/switchover", post(" ".repeat(5000))), 413);
  refused(await ask(node, "/api/v1/reload", post('{"force":true}')), 400);
  assert.deepEqual(node.calls, []);
});

Deno.test("makeApi() reloads, and answers 422 with every problem when the new configuration is bad", async () => {
  const node = fakeNode();
  assert.deepEqual((await ask(node, "/api/v1/reload", post())).body, node.reloaded);
  node.reloaded = { ok: false, text: "c.toml:3: a problem\nc.toml:4: another" };
  assert.equal(refused(await ask(node, "/api/v1/reload", post()), 422), node.reloaded.text);
});

Deno.test("makeApi() names the paths there are, and the method a path takes", async () => {
  const node = fakeNode();
  assert.match(refused(await ask(node, "/api/v1/statsu"), 404), /there are .*\/api\/v1\/status/);
  const wrong = await ask(node, "/api/v1/switchover");
  assert.match(refused(wrong, 405), /takes POST, not GET/);
  assert.equal(wrong.headers.get("allow"), "POST");
  refused(await ask(node, "/api/v1/status", post()), 405);
});

Deno.test("makeApi() answers 500 with the reason when the node throws", async () => {
  const node = fakeNode();
  node.status = () => {
    throw new Error("Cannot read the board: it is gone");
  };
  assert.equal(refused(await ask(node, "/api/v1/status"), 500), "Cannot read the board: it is gone");
});

Deno.test("makeApi() is healthy while the plane runs and is seen, and traffic passes", async () => {
  const node = fakeNode();
  const health = async (view: Partial<typeof node.view>) => {
    node.view = nodeStatus(view);
    return await ask(node, "/healthz");
  };
  assert.deepEqual((await health({})).body, { ok: true });
  assert.equal((await health({ path: "wire" })).status, 200);
  assert.match(refused(await health({ path: "block" }), 503), /traffic is blocked/);
  assert.match(refused(await health({ freshMs: 1500 }), 503), /not seen the plane for 1500 ms/);
  const plane = { ...nodeStatus().plane, state: "failed" as const };
  assert.match(refused(await health({ plane }), 503), /the plane is failed/);
});

Deno.test("makeApi() lists boxes, lets them join and leave, and refuses a body without the name of one", async () => {
  const node = fakeNode();
  const send = (path: string, body: object) => ask(node, path, post(JSON.stringify(body)));
  const listed = (await ask(node, "/api/v1/boxes")).body as { boxes: { box: string }[] };
  assert.deepEqual(listed.boxes.map(({ box }) => box), ["primary", "redundant"]);
  assert.equal((await send("/api/v1/boxes/join", { box: "fw-c" })).status, 200);
  assert.match(refused(await send("/api/v1/boxes/leave", {}), 400), /"box" is undefined/);
  assert.equal((await send("/api/v1/boxes/maintain", { box: "primary", on: true })).status, 200);
  assert.match(refused(await send("/api/v1/boxes/maintain", { box: "primary", on: 1 }), 400), /"on" is 1/);
  assert.match(refused(await send("/api/v1/switchover", { box: "" }), 400), /"box" is ""/);
  assert.equal((await send("/api/v1/switchover", { box: "redundant-2" })).status, 200);
  node.result = { ok: false, path: "primary", text: "it serves", tookUs: null };
  assert.match(refused(await send("/api/v1/boxes/leave", { box: "primary" }), 409), /it serves/);
  assert.deepEqual(node.calls.filter((call) => call !== "status"), [
    'join {"box":"fw-c"}',
    'maintain {"box":"primary","on":true}',
    'switchover {"force":false,"box":"redundant-2"}',
    'leave {"box":"primary"}',
  ]);
});

Deno.test("makeApi() is ready only when it is safe to fail over to the other box", async () => {
  const node = fakeNode();
  const ready = async (view: Partial<typeof node.view>) => {
    node.view = nodeStatus(view);
    return await ask(node, "/readyz");
  };
  assert.equal((await ready({})).status, 200);
  const [primary, redundant] = nodeStatus().boxes;
  const dead = { ...redundant!, light: "red" as const, reason: "its link is down" };
  assert.match(
    refused(await ready({ boxes: [primary!, dead] }), 503),
    /redundant is not alive: its link is down/,
  );
  const third = boxView("redundant-2"), away = boxView("redundant-2", { member: false, light: "yellow" });
  assert.equal((await ready({ boxes: [primary!, dead, third] })).status, 200);
  assert.equal((await ready({ boxes: [primary!, dead, away] })).status, 503);
  assert.match(refused(await ready({ boxes: [primary!] }), 503), /no second box/);
  assert.match(refused(await ready({ path: "wire" }), 503), /passes by both/);
  const external = { name: "edge", light: "yellow", reason: "redundant-in down" } as ExternalSwitchView;
  assert.match(refused(await ready({ external: [external] }), 503), /switch edge: redundant-in down/);
  assert.equal((await ready({ external: [{ ...external, light: "green" }] })).status, 200);
  assert.match(refused(await ready({ freshMs: 1500 }), 503), /not seen the plane/);
});
