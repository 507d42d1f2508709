/**
 * Duty: the API of a node that forwards: the first account by the one-time code over TLS, a token for metrics, and a
 * change of the configuration that undoes itself although control was started again meanwhile.
 */
import assert from "node:assert/strict";
import { inNamespace, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { binary, TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const LISTEN = "127.0.0.1:8443";
const PASSWORD = "correct horse battery";
const MORE = ["[api]", `listen = "${LISTEN}"`];

interface Told {
  readonly status: number;
  readonly body: string;
}

/** A request in the node's namespace, which knows the node by its certificate alone. */
async function ask(node: TestNode, path: string, ...more: string[]): Promise<Told> {
  const certificate = `${node.directory}/cert.pem`;
  const pem = await Deno.readTextFile(`${node.directory}/state/api.pem`);
  await Deno.writeTextFile(certificate, pem.slice(pem.indexOf("-----BEGIN CERT")));
  const argv = ["curl", "-sS", "--max-time", "20", "--cacert", certificate, "-w", "\n%{http_code}", ...more];
  const { stdout, stderr } = await tryRun(
    inNamespace(node.wire.lab.ns(NODE_NS), [...argv, `https://${LISTEN}${path}`]),
    { timeoutMs: 30_000 },
  );
  const end = stdout.lastIndexOf("\n");
  assert.ok(end >= 0, stderr);
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

function remediate(node: TestNode, words: readonly string[], stdin?: string) {
  const options = { timeoutMs: 30_000, ...(stdin !== undefined && { stdin }) };
  return tryRun([binary(), ...words, "--config", node.configPath], options);
}

Deno.test("a node without accounts lets in who knows the one-time code, by TLS, once", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { more: MORE });
  assert.match(node.log, /no admin yet: the one-time code .*first-code, for root alone/);
  const print = /certificate SHA-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})/.exec(node.log)?.[1];
  assert.ok(print);
  assert.match((await remediate(node, ["status"])).stdout, new RegExp(`Listens on ${LISTEN}, .*${print}`));
  const code = (await Deno.readTextFile(`${node.directory}/run/first-code`)).trim();
  assert.ok(!node.log.includes(code));
  const first = (code: string) =>
    ask(node, "/api/v1/first", "-d", JSON.stringify({ code, name: "ann", password: PASSWORD }));
  assert.equal((await first("aaaa-bbbb-cccc-dddd")).status, 401);
  assert.equal((await first(code)).status, 200);
  assert.equal((await first(code)).status, 409);
  await assert.rejects(Deno.stat(`${node.directory}/run/first-code`), Deno.errors.NotFound);
  assert.equal((await ask(node, "/api/v1/status")).status, 401);
  assert.equal((await remediate(node, ["user", "add", "bob", "--role", "viewer"], `${PASSWORD}\n`)).code, 0);
  assert.match((await remediate(node, ["user", "list"])).stdout, /^ann +admin .*\nbob +viewer /m);
  const bob = await ask(node, "/api/v1/session", "-d", JSON.stringify({ name: "bob", password: PASSWORD }));
  assert.equal(JSON.parse(bob.body).role, "viewer");
  const made = await remediate(node, ["token", "add", "prometheus"]);
  const bearer = `Authorization: Bearer ${made.stdout.trim()}`;
  const metrics = await ask(node, "/metrics", "-H", bearer);
  assert.equal(metrics.status, 200);
  assert.match(metrics.body, /^remediate_plane_running 1$/m);
  assert.match(metrics.body, /^remediate_port_received_packets_total\{port="upstream"\} \d+$/m);
  assert.equal((await ask(node, "/api/v1/failback", "-X", "POST", "-H", bearer)).status, 403);
  // curl ends a stream by the clock: a slow machine gets another try with more of it.
  const seen = /event: status\ndata: \{"name":/;
  const listen = (seconds: string) =>
    ask(node, "/api/v1/live?per_second=10", "-N", "-H", bearer, "--max-time", seconds);
  const soon = await listen("1");
  assert.match(seen.test(soon.body) ? soon.body : (await listen("15")).body, seen);
  const audit = await Deno.readTextFile(`${node.directory}/state/audit.jsonl`);
  assert.match(audit, /"who":"local","from":"","what":"POST \/api\/v1\/tokens","result":200/);
  assert.ok(!audit.includes(PASSWORD));
  assert.ok(!audit.includes(code));
});

Deno.test("a configuration that nobody confirms is undone, also by the next control; the plane goes on", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { preset: "nat" });
  const { plane: { pid } } = await node.status();
  const old = await Deno.readTextFile(node.configPath), fresh = `${node.directory}/fresh.toml`;
  const rules = async () => (await node.status()).mirror.rules.map(({ name }) => name).join(" ");
  await Deno.writeTextFile(fresh, old.replace('preset = "nat"', 'preset = "lb"'));
  assert.match((await remediate(node, ["config", "diff", fresh])).stdout, /-preset = "nat"\n\+preset = "lb"/);
  const before = await rules();
  const bad = `${node.directory}/bad.toml`;
  await Deno.writeTextFile(bad, `${old}colour = 1\n`);
  const refused = await remediate(node, ["config", "apply", bad]);
  assert.deepEqual([refused.code, refused.stdout], [2, ""]);
  assert.match(refused.stderr, /bad\.toml:\d+: \w+\.colour is no key/);
  assert.equal(await Deno.readTextFile(node.configPath), old);
  const applied = await remediate(node, ["config", "apply", fresh, "--confirm-s", "3"]);
  assert.equal(applied.code, 0, applied.stderr);
  assert.notEqual(await rules(), before);
  await node.endControl("SIGTERM");
  await node.startControl();
  const deadline = Date.now() + 20_000;
  while (await rules() !== before && Date.now() < deadline) {
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.equal(await rules(), before);
  assert.equal(await Deno.readTextFile(node.configPath), old);
  assert.equal((await node.status()).plane.pid, pid);
  assert.match((await remediate(node, ["config", "history"])).stdout, /\b2 .* undone/);
  const again = await remediate(node, ["config", "apply", fresh, "--confirm-s", "60"]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal((await remediate(node, ["config", "confirm"])).code, 0);
  assert.notEqual(await rules(), before);
  assert.equal((await remediate(node, ["config", "rollback", "1", "--confirm-s", "0"])).code, 0);
  assert.equal(await rules(), before);
});
