/** Orders to the layer over the API and on the command line. */
import assert from "node:assert/strict";
import type { MoveView, TransferView } from "../../../appliance/layer/contract.ts";
import { makeApi } from "../../../ui/api.ts";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import type { RemoteNode } from "../../../ui/client.ts";
import { layerCommand, movesText, moveText } from "../../../ui/layer.ts";
import { fakeNode, MOVE_VIEW } from "./fake_node.ts";

async function post(
  path: string,
  body: object,
): Promise<{ status: number; detail: string; calls: string[] }> {
  const node = fakeNode();
  const response = await makeApi(node).request(`/api/v1/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return { status: response.status, detail: String((await response.json()).detail), calls: node.calls };
}

const PAIR = { source: "fw-a", destination: "fw-b" };

Deno.test("the API hands orders to the layer and its refusals back", async () => {
  const { status, detail, calls } = await post("state/move", { ...PAIR, fields: "tcp 10.1.2.0/24 * > * 80" });
  assert.deepEqual([status, detail], [409, "there is no driver: none is configured"]);
  const fields = { protocol: 6, source: "10.1.2.0/24", destinationPort: 80 };
  assert.deepEqual(calls, [`move ${JSON.stringify({ ...PAIR, fields, guarantee: "loss-free" })}`]);
  assert.deepEqual((await post("state/clone", PAIR)).calls, [`clone ${JSON.stringify(PAIR)}`]);
  assert.match((await post("scale-in", PAIR)).calls[0]!, /^scale-in .*"fields":\{\}/);
  assert.match((await post("migrate", { ...PAIR, guarantee: "none" })).calls[0]!, /^migrate .*"none"/);
});

Deno.test("the API refuses wrong orders before the layer hears of them", async () => {
  const bad = async (path: string, body: object) => {
    const { status, detail, calls } = await post(path, body);
    assert.deepEqual([status, calls.length], [400, 0], detail);
    return detail;
  };
  assert.match(await bad("state/move", PAIR), /"fields" is undefined; accepted: a header field list/);
  assert.match(await bad("state/move", { ...PAIR, fields: "quic" }), /"quic" is no protocol/);
  assert.match(
    await bad("state/move", { ...PAIR, fields: "all", guarantee: "some" }),
    /accepted: one of none, /,
  );
  assert.match(await bad("state/merge", { source: "", destination: "x" }), /"source" is ""/);
  assert.match(await bad("state/merge", { ...PAIR, force: true }), /no member "force"/);
});

async function run(
  line: readonly string[],
  answer: object,
): Promise<{ code: number; out: string; err: string; asked: string }> {
  let [out, err, asked] = ["", "", ""];
  const terminal = {
    out: (text: string) => out += text,
    err: (text: string) => err += text,
  } as unknown as Terminal;
  const node = {
    layer: (
      path: string,
      body: object,
    ) => (asked = `${path} ${JSON.stringify(body)}`, Promise.resolve(answer)),
    moves: () => Promise.resolve([MOVE_VIEW]),
  } as unknown as RemoteNode;
  const code = await layerCommand(node, parseArguments([...line]) as Invocation, terminal);
  return { code, out, err, asked };
}

Deno.test("the commands of the layer say what was done, or why not", async () => {
  const moved: MoveView = { ...MOVE_VIEW, step: "delete", end: "moved" };
  const move = await run(["state", "move", "fw-a", "fw-b", "* 10.1.2.0/24"], { ok: true, view: moved });
  assert.equal(
    move.asked,
    `state/move ${JSON.stringify({ ...PAIR, fields: "* 10.1.2.0/24", guarantee: "loss-free" })}`,
  );
  assert.equal(move.out, `${moveText(moved)}\n`);
  assert.match(move.out, /^moved .* from fw-a to fw-b in .*512 records/);
  const refused = await run(["migrate", "fw-a", "fw-b"], { ok: false, text: "fw-b is not there" });
  assert.deepEqual([refused.code, refused.err], [1, "Cannot migrate: fw-b is not there\n"]);
  const view: TransferView = {
    ...PAIR,
    counts: MOVE_VIEW.counts,
    conflicts: [{ key: "packets", reason: "it went on" }],
    conflictsMore: 2,
  };
  const merge = await run(["state", "merge", "fw-a", "fw-b"], { ok: true, view });
  assert.equal(merge.asked, `state/merge ${JSON.stringify(PAIR)}`);
  assert.match(merge.out, /3 conflicts\n {2}packets: it went on\n {2}and 2 more\n$/);
});

Deno.test("state moves shows the step of each", async () => {
  const { out } = await run(["state", "moves"], {});
  assert.match(out, /1f2e3d4c .* insert +fw-a > fw-b +\* 10\.1\.2\.0\/24/);
  assert.match(
    movesText([{ ...MOVE_VIEW, course: "back", reason: "fw-b died" }]),
    /insert, going back.*fw-b died/,
  );
  assert.equal(movesText([]), "No state was moved.\n");
});
