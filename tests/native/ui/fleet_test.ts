/** A controller and agents over real sockets: TLS, pins, proxies, bounds, restarts, and who may order what. */
import assert from "node:assert/strict";
import net from "node:net";
// @ts-types="../../../appliance/fleet/ws.d.ts"
import WebSocket from "ws";
import { isDenied } from "../../../ui/access/accounts.ts";
import { makeIdentity } from "../../../ui/access/certificate.ts";
import { FleetSite, until } from "../../support/fleet_site.ts";

const live = (agent: { edge: { view: { phase: string } } }) => () => agent.edge.view.phase === "live";

Deno.test("agents find their controller again after it was stopped, and nothing is lost or done twice", async () => {
  await using site = await FleetSite.open();
  let done = 0;
  const executors = {
    drill: () => {
      done++;
      return Promise.resolve({ outcome: "done", text: "ok" } as const);
    },
  };
  const agents = await Promise.all(["a", "b", "c"].map((name) => site.agent(name, { executors })));
  for (const agent of agents) await until("it is connected", live(agent));
  const [one] = agents, id = one!.edge.view.node!;
  const { registry } = site.up.control;
  await until("it reported", async () => (await registry.node(id))?.report?.node.name === "a");

  await site.stop();
  await site.start();
  const nowMs = Date.now(),
    fresh = { kind: "drill", arguments: {}, by: "t", nowMs, expiresMs: nowMs + 60_000 } as const;
  const number = await site.up.control.order(id, fresh);
  for (const agent of agents) await until("it is connected again", live(agent));
  const now = site.up.control.registry;
  await until("it has ended", async () => (await now.commands.get(id, number))?.result?.outcome === "done");
  assert.deepEqual(await now.size(), { nodes: 3, connected: 3 });
  assert.equal(done, 1);
});

Deno.test("a long file comes whole, as fast as the controller takes it", async () => {
  await using site = await FleetSite.open({ heartbeatS: 30 });
  const content = new Uint8Array(12 << 20).map((_, i) => i % 251);
  const agent = await site.agent("n", {
    executors: {
      support: async (_, { send }) => ({
        outcome: "done",
        text: "",
        bytes: await send(new Blob([content]).stream()),
      }),
    },
  });
  await until("it is connected", live(agent));
  const id = agent.edge.view.node!, nowMs = Date.now(), { control } = site.up;
  const fresh = { kind: "support", arguments: {}, by: "t", nowMs, expiresMs: nowMs + 60_000 } as const;
  const number = await control.order(id, fresh);
  await until("it has ended", async () => (await control.registry.commands.get(id, number))?.result !== null);
  const { result } = (await control.registry.commands.get(id, number))!;
  const told = [result?.text, ...agent.said, ...site.said].join("\n");
  assert.deepEqual([result?.outcome, result?.bytes], ["done", content.length], told);
  const file = new Uint8Array(await new Response(await control.file(id, number)).arrayBuffer());
  assert.equal(file.length === content.length && file.every((byte, i) => byte === content[i]), true);
  assert.equal(agent.said.some((line) => /not there/.test(line)), false, agent.said.join());
});

/** Passes TCP through and breaks off each connection after so many bytes from the client, as often as it is told. */
class Cutter implements AsyncDisposable {
  readonly #sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  passed = 0;
  cuts = 0;

  private constructor(to: number, afterBytes: number, cutsMax: number) {
    this.#server = net.createServer((client) => {
      const server = net.connect(to, "127.0.0.1");
      let own = 0;
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => this.#sockets.delete(socket));
      }
      server.on("close", () => client.destroy());
      // What has passed arrives, so that what is counted is what was given.
      client.on("close", () => server.end());
      server.pipe(client);
      client.on("data", (bytes: Uint8Array) => {
        own += bytes.length;
        this.passed += bytes.length;
        if (!server.write(bytes)) {
          client.pause();
          server.once("drain", () => client.resume());
        }
        if (own < afterBytes || this.cuts >= cutsMax) return;
        this.cuts++;
        client.destroy();
      });
    });
  }

  static async open(to: number, afterBytes: number, cutsMax: number): Promise<Cutter> {
    const cutter = new Cutter(to, afterBytes, cutsMax);
    await new Promise<void>((done) => cutter.#server.listen(0, "127.0.0.1", () => done()));
    return cutter;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }
}

/** A connection breaks when so much has gone through it. */
const CUT_BYTES = 900_000;

Deno.test("a file whose connection breaks at ten points goes on where the controller has it", async () => {
  await using site = await FleetSite.open({ heartbeatS: 30 });
  await using cutter = await Cutter.open(site.port, CUT_BYTES, 10);
  const content = new Uint8Array(8 << 20).map((_, i) => i * 7 % 253);
  let begun = 0;
  const agent = await site.agent("n", {
    link: { ...site.link, url: `wss://127.0.0.1:${cutter.port}` },
    executors: {
      // What a node yields once: it is not asked for it again.
      capture: async (_, { send }) => {
        begun++;
        return { outcome: "done", text: "", bytes: await send(new Blob([content]).stream()) };
      },
    },
  });
  await until("it is connected", live(agent));
  const id = agent.edge.view.node!, nowMs = Date.now(), { control } = site.up;
  const given = { kind: "capture", arguments: { lastS: 1, filter: "" } } as const;
  const number = await control.order(id, { ...given, by: "t", nowMs, expiresMs: nowMs + 120_000 });
  await until("it has ended", async () => (await control.registry.commands.get(id, number))?.result !== null);
  const { result } = (await control.registry.commands.get(id, number))!;
  const told = [result?.text, ...agent.said, ...site.said].join("\n");
  assert.deepEqual([result?.outcome, result?.bytes, begun], ["done", content.length, 1], told);
  const file = new Uint8Array(await new Response(await control.file(id, number)).arrayBuffer());
  assert.equal(file.length === content.length && file.every((byte, i) => byte === content[i]), true);
  assert.equal(cutter.cuts, 10);
  // Base64 makes four bytes of three; a cut costs what was under way, which on a busy machine is much of what is let through
  // between two cuts. Begun anew each time, all of that would come twice.
  const whole = content.length * 4 / 3, twice = cutter.passed - whole;
  assert.ok(twice < 0.75 * 10 * CUT_BYTES, `${twice} of ${whole} bytes came twice`);
  assert.deepEqual([...Deno.readDirSync(`${site.directory}/n/outgoing`)], [], "nothing is left of it here");
});

Deno.test("an agent says nothing to a server whose certificate is another", async () => {
  await using site = await FleetSite.open();
  const pinned = { ...site.link, fingerprint: makeIdentity("x", [], Date.now()).fingerprint };
  const wrong = await site.agent("wrong", { link: pinned });
  await until("it was found out", () => /its certificate is/.test(wrong.edge.view.reason));
  const unknown = await site.agent("unknown", { link: { ...site.link, fingerprint: null } });
  await until("no authority vouches", () => /certificate/.test(unknown.edge.view.reason));
  assert.equal(site.up.control.counters().heard_hello ?? 0, 0);

  const ca = await Deno.readTextFile(`${site.directory}/state/api.pem`);
  const signed = ca.slice(ca.indexOf("-----BEGIN CERTIFICATE"));
  const good = await site.agent("good", { link: { ...site.link, fingerprint: null, ca: signed } });
  await until("an authority vouches", live(good));
});

Deno.test("an agent goes by a proxy that asks for a password", async () => {
  await using site = await FleetSite.open();
  const asked: string[] = [], sockets = new Set<net.Socket>();
  const proxy = net.createServer((client: net.Socket) => {
    sockets.add(client);
    client.on("error", () => client.destroy());
    client.once("data", (head: Uint8Array) => {
      const text = new TextDecoder().decode(head);
      asked.push(text);
      if (!text.includes(`Basic ${btoa("me:secret")}`)) {
        return client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      }
      const server = net.connect(site.port, "127.0.0.1", () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        client.pipe(server).pipe(client);
      });
      sockets.add(server);
      server.on("error", () => client.destroy());
    });
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", () => done()));
  const { port } = proxy.address() as net.AddressInfo;
  try {
    const refused = await site.agent("no", { link: { ...site.link, proxy: `http://127.0.0.1:${port}` } });
    await until("the proxy refused", () => /answered 407/.test(refused.edge.view.reason));
    const by = await site.agent("yes", {
      link: { ...site.link, proxy: `http://me:secret@127.0.0.1:${port}` },
    });
    await until("it is connected", live(by));
    assert.match(asked[0] ?? "", new RegExp(`^CONNECT 127.0.0.1:${site.port} HTTP/1.1`));
    await by.close();
    await refused.close();
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => proxy.close(done));
  }
});

Deno.test("frames of strangers are bounded, and other paths are no WebSockets", async () => {
  await using site = await FleetSite.open();
  const talk = (path: string, text: string | Uint8Array) =>
    new Promise<string>((done) => {
      const socket = new WebSocket(`wss://127.0.0.1:${site.port}${path}`, { rejectUnauthorized: false });
      const heard: string[] = [];
      socket.on("open", () => socket.send(text as string));
      socket.on("message", (data) => void heard.push(String(data)));
      socket.on("error", () => {});
      socket.on("close", () => done(heard.join()));
    });
  assert.match(await talk("/fleet", "x".repeat(9000)), /"oversize"/);
  assert.match(await talk("/fleet", "{}"), /"malformed"/);
  assert.match(await talk("/fleet", Uint8Array.of(1, 2)), /"malformed"/);
  await talk("/fleet", "x".repeat(600_000));
  assert.equal(await talk("/elsewhere", "{}"), "");
  assert.equal(site.up.control.counters().refused_oversize, 2);
  assert.equal(site.up.control.counters().refused_malformed, 2);
  assert.equal(site.said.filter((line) => /refused 127.0.0.1/.test(line)).length, 4);
});

Deno.test("a controller's API: roles, tokens that are kept as digests, and what a command takes", async () => {
  await using site = await FleetSite.open();
  const agent = await site.agent("n");
  await until("it is connected", live(agent));
  const remote = site.remote();
  try {
    const nodes = (await remote.ask("GET", "/api/v1/fleet/nodes?search=n")).body.nodes as { id: string }[];
    const path = `/api/v1/fleet/nodes/${nodes[0]?.id}/commands`;
    assert.equal(
      (await remote.ask("POST", path, { body: { kind: "drill", arguments: { box: "x" } } })).status,
      400,
    );
    assert.equal((await remote.ask("POST", path, { body: { kind: "shell" } })).status, 400);
    assert.equal((await remote.ask("GET", "/api/v1/fleet/nodes/nobody")).status, 404);
    assert.equal((await remote.ask("GET", "/healthz")).status, 200);
    const { body: { token } } = await remote.ask("POST", "/api/v1/fleet/tokens", { body: { note: "x" } });
    assert.match(String(token), /^rft_/);
    const kept = await Deno.readFile(`${site.directory}/state/fleet.db-wal`);
    assert.equal(new TextDecoder("latin1").decode(kept).includes(String(token).slice(-30)), false);

    for (
      const [role, kind, given, wanted] of [
        ["viewer", "drill", {}, 403],
        ["operator", "config.push", { text: "", confirmS: 60 }, 403],
        ["operator", "drill", {}, 200],
        ["admin", "config.push", { text: "", confirmS: 60 }, 200],
      ] as const
    ) {
      const made = await remote.ask("POST", "/api/v1/tokens", {
        body: { name: `${role}-${kind}`, role, days: 1 },
      });
      assert.equal(isDenied(made.body as never), false, JSON.stringify(made));
      const answer = await post(site, path, { kind, arguments: given }, String(made.body.token));
      assert.equal(answer, wanted, `${role} ${kind}`);
    }
    assert.equal(await post(site, path, { kind: "drill" }, "rmt_none"), 401);
    const audit = await Deno.readTextFile(`${site.directory}/state/audit.jsonl`);
    assert.match(audit, /"who":"token:operator-drill".*"result":200/);
  } finally {
    remote.close();
  }
});

async function post(site: FleetSite, path: string, body: object, token: string): Promise<number> {
  const pem = await Deno.readTextFile(`${site.directory}/state/api.pem`);
  using client = Deno.createHttpClient({ caCerts: [pem.slice(pem.indexOf("-----BEGIN CERTIFICATE"))] });
  const response = await fetch(`https://127.0.0.1:${site.port}${path}`, {
    client,
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  return response.status;
}
