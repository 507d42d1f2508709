/**
 * Server and client of the API over a real socket (more rights than a unit test has): stale sockets,
 * sentences.
 */
import assert from "node:assert/strict";
import { connectNode, NodeSilentError } from "../../../ui/client.ts";
import { makeApi, serveApi } from "../../../ui/server.ts";
import { fakeNode } from "../../unit/ui/fake_node.ts";

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("serveApi() makes the directory and a socket that only its owner can use, and removes it", () =>
  withDirectory(async (directory) => {
    const socket = `${directory}/run/control.sock`;
    const served = await serveApi(makeApi(fakeNode()), socket);
    const { mode, isSocket } = await Deno.lstat(socket);
    assert.ok(isSocket);
    assert.equal(mode! & 0o777, 0o600);
    await served.close();
    await assert.rejects(Deno.lstat(socket), Deno.errors.NotFound);
  }));

Deno.test("serveApi() refuses a socket on which somebody answers, and leaves it to him", () =>
  withDirectory(async (directory) => {
    const socket = `${directory}/control.sock`;
    const served = await serveApi(makeApi(fakeNode()), socket);
    await assert.rejects(serveApi(makeApi(fakeNode()), socket), /a node answers there already/);
    const node = connectNode(socket);
    assert.equal((await node.status()).name, "edge1");
    node.close();
    await served.close();
  }));

Deno.test("serveApi() takes over a socket that nobody answers on, but never a file", () =>
  withDirectory(async (directory) => {
    const socket = `${directory}/control.sock`;
    const before = Deno.listen({ transport: "unix", path: socket });
    before.close();
    // Deno removes the file of a socket it closes; a process that was killed does not.
    if (!await Deno.lstat(socket).then(() => true, () => false)) await leaveStale(socket);
    const served = await serveApi(makeApi(fakeNode()), socket);
    await served.close();
    await Deno.writeTextFile(socket, "precious");
    await assert.rejects(serveApi(makeApi(fakeNode()), socket), /a file that is no socket is there/);
    assert.equal(await Deno.readTextFile(socket), "precious");
  }));

/** A socket file without a listener: linked under another name, then closed. */
async function leaveStale(socket: string): Promise<void> {
  const other = `${socket}.other`;
  const listener = Deno.listen({ transport: "unix", path: other });
  await Deno.link(other, socket);
  listener.close();
}

Deno.test("connectNode() asks and is answered, refusals included", () =>
  withDirectory(async (directory) => {
    const control = fakeNode();
    const served = await serveApi(makeApi(control), `${directory}/control.sock`);
    const node = connectNode(`${directory}/control.sock`);
    try {
      assert.equal((await node.flows({ limit: 3, side: "upstream", text: "a b&c" }))[0]!.protocol, "tcp");
      assert.equal((await node.events({ after: 0, limit: 2 })).length, 2);
      assert.equal((await node.order("switchover", { force: true })).ok, true);
      control.result = { ok: false, path: "primary", text: "it is not alive", tookUs: null };
      assert.deepEqual(await node.order("failback", { force: false }), control.result);
      control.reloaded = { ok: false, text: "c.toml:3: a problem" };
      assert.deepEqual(await node.reload(), control.reloaded);
      assert.deepEqual(control.calls, [
        'flows {"limit":3,"side":"upstream","text":"a b&c"}',
        'events {"after":0,"limit":2}',
        'switchover {"force":true}',
        'failback {"force":false}',
        "reload",
      ]);
      await assert.rejects(node.flows({ limit: 0 }), /Cannot get an answer from the node .* "limit" is "0"/);
    } finally {
      node.close();
      await served.close();
    }
  }));

Deno.test("connectNode() says what to do when no node answers", () =>
  withDirectory(async (directory) => {
    const socket = `${directory}/control.sock`;
    const node = connectNode(socket);
    const nobody = {
      name: "NodeSilentError",
      message: /none is running there; start one with `remediate run`/,
    };
    await assert.rejects(node.status(), nobody);
    await leaveStale(socket);
    await assert.rejects(node.status(), /it has ended without removing its socket/);
    node.close();
  }));

Deno.test("connectNode() refuses an answer that is not JSON", () =>
  withDirectory(async (directory) => {
    const socket = `${directory}/control.sock`;
    const served = await serveApi({ fetch: () => new Response("hello") }, socket);
    const node = connectNode(socket);
    await assert.rejects(node.status(), (error) => {
      assert.ok(error instanceof NodeSilentError);
      assert.match(error.message, /it answered no JSON/);
      return true;
    });
    node.close();
    await served.close();
  }));
