/** VNFs over the API and on the command line. */
import assert from "node:assert/strict";
import { makeApi } from "../../../ui/api.ts";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import type { RemoteNode } from "../../../ui/client.ts";
import { vnfCommand, vnfsText } from "../../../ui/vnf.ts";
import { fakeNode, NOW_MS, VNF_VIEW } from "./fake_node.ts";

Deno.test("the API lists VNFs, starts and stops them, and refuses what it does not know", async () => {
  const node = fakeNode(), api = makeApi(node);
  const post = async (verb: string, body: object) => {
    const response = await api.request(`/api/v1/vnfs/${verb}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    return [response.status, (await response.json()).detail];
  };
  assert.deepEqual((await (await api.request("/api/v1/vnfs")).json()).vnfs, [VNF_VIEW]);
  assert.deepEqual(await post("start", { name: "fw-b" }), [200, undefined]);
  assert.deepEqual(await post("stop", { name: "x" }), [409, 'there is no VNF "x"']);
  assert.deepEqual(await post("stop", {}), [400, '"name" is undefined; accepted: the name of a VNF']);
  assert.deepEqual(node.calls, ["vnfs", 'vnf start {"name":"fw-b"}', 'vnf stop {"name":"x"}']);
});

Deno.test("the commands on VNFs say what they are at", async () => {
  const run = async (line: string, view = VNF_VIEW) => {
    let [out, err] = ["", ""];
    const terminal = {
      out: (text: string) => out += text,
      err: (text: string) => err += text,
      now: () => NOW_MS,
    };
    const node = {
      vnfs: () => Promise.resolve([view]),
      vnf: (verb: string) =>
        Promise.resolve(verb === "start" ? { ok: true, view } : { ok: false, text: "it does not end" }),
    };
    const code = await vnfCommand(
      node as unknown as RemoteNode,
      parseArguments(line.split(" ")) as Invocation,
      terminal as unknown as Terminal,
    );
    return { code, out, err };
  };
  assert.deepEqual(await run("vnf start fw-b"), {
    code: 0,
    out: "fw-b (redundant) is up, process 4711\n",
    err: "",
  });
  assert.deepEqual(await run("vnf stop fw-b"), {
    code: 1,
    out: "",
    err: "Cannot stop fw-b: it does not end\n",
  });
  assert.match((await run("vnf list")).out, /fw-b +redundant +up +.*4711 +1/);
  const ill = await run("vnf status fw-b", { ...VNF_VIEW, phase: "waiting", pid: null, reason: "it ended" });
  assert.deepEqual([ill.code, ill.out], [4, "fw-b (redundant) is waiting: it ended\n"]);
  assert.match((await run("vnf status x")).err, /Cannot show x: there is fw-b/);
  assert.match(vnfsText([], NOW_MS), /There is no VNF/);
});
