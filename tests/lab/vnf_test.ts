/**
 * A real firewall, nftables in a network namespace, started, looked after and stopped from a template; and what stays
 * of it when control goes and comes back.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { VnfView } from "../../appliance/vnf/contract.ts";
import type { VnfTemplate } from "../../appliance/vnf/life.ts";
import { Vnfs } from "../../appliance/vnf/vnfs.ts";
import { tryRun } from "../../scripts/lab/process.ts";
import { binary, TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const decoder = new TextDecoder();

async function run(...words: string[]): Promise<{ code: number; out: string }> {
  const [program, ...args] = words;
  const { code, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  return { code, out: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function good(...words: string[]): Promise<string> {
  const { code, out } = await run(...words);
  assert.equal(code, 0, `${words.join(" ")}: ${out}`);
  return out;
}

/** Three namespaces in a row: a client, the firewall, a server. */
async function lab(
  work: (name: (part: string) => string, directory: string) => Promise<void>,
): Promise<void> {
  const tag = crypto.randomUUID().slice(0, 4), name = (part: string) => `vnf${tag}${part}`;
  const directory = await Deno.makeTempDir({ prefix: "remediate-vnf-" });
  const parts = ["c", "f", "s"];
  try {
    for (const part of parts) await good("ip", "netns", "add", name(part));
    for (const [a, b, net] of [["c", "f", "10.91.1"], ["s", "f", "10.91.2"]] as const) {
      const end = `${a}0`;
      await good(
        "ip",
        "link",
        "add",
        end,
        "netns",
        name(a),
        "type",
        "veth",
        "peer",
        "name",
        end,
        "netns",
        name(b),
      );
      for (const [place, host] of [[a, 2], [b, 1]] as const) {
        await good("ip", "-n", name(place), "addr", "add", `${net}.${host}/24`, "dev", end);
        await good("ip", "-n", name(place), "link", "set", end, "up");
      }
      await good("ip", "-n", name(a), "route", "add", "default", "via", `${net}.1`);
    }
    await good("ip", "netns", "exec", name("f"), "sysctl", "-qw", "net.ipv4.ip_forward=1");
    await work(name, directory);
  } finally {
    for (const part of parts) await run("ip", "netns", "del", name(part));
    await Deno.remove(directory, { recursive: true });
  }
}

function template(where: string, more: Partial<VnfTemplate>): VnfTemplate {
  return {
    name: "fw",
    box: "redundant",
    in: "namespace",
    where,
    start: "true",
    stays: false,
    health: null,
    healthMs: 150,
    healthTimeoutMs: 3000,
    stop: null,
    stopMs: 3000,
    startMs: 8000,
    autostart: true,
    restartMs: 100,
    restartMsMax: 1000,
    log: null,
    ...more,
  };
}

const RULES =
  "add table inet fw; add chain inet fw forward { type filter hook forward priority 0; policy drop; }; " +
  "add rule inet fw forward icmp type { echo-request, echo-reply } accept";

function vnfs(told: string[]): Vnfs {
  return new Vnfs({
    tell: (cause, text) => told.push(`${cause}: ${text}`),
    complain: (text) => told.push(`complaint: ${text}`),
  });
}

async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    if (await is()) return;
    await delay(50);
  }
  assert.fail(`not within 30 s: ${what}`);
}

Deno.test("a firewall of nftables lives by its template (needs root)", async () => {
  await lab(async (name, directory) => {
    const told: string[] = [], registry = `${directory}/vnfs.json`;
    const fw = template(name("f"), {
      start: `nft '${RULES}'`,
      health: "nft list chain inet fw forward",
      stop: "nft flush ruleset",
    });
    const all = vnfs(told);
    const phase = () => all.list()[0]?.phase;
    const ping = async () =>
      (await run("ip", "netns", "exec", name("c"), "ping", "-c1", "-W1", "10.91.2.2")).code === 0;
    const open = async () => {
      const { code } = await run(
        "ip",
        "netns",
        "exec",
        name("c"),
        "timeout",
        "1",
        "bash",
        "-c",
        "echo > /dev/tcp/10.91.2.2/9",
      );
      return code === 1; // refused by the server: it came through
    };
    try {
      all.begin([fw], registry);
      await until("up", () => phase() === "up");
      assert.ok(await ping(), "the firewall forwards what it should");
      assert.ok(!await open(), "and nothing else");
      // Somebody takes its rules away: it is ill, and is started again.
      await good("ip", "netns", "exec", name("f"), "nft", "flush", "ruleset");
      await until("started again", () => all.list()[0]!.restarts === 1 && phase() === "up");
      assert.ok(!await open());
      const stopped = await all.stop("fw");
      assert.ok(stopped.ok, JSON.stringify(stopped));
      assert.equal((await good("ip", "netns", "exec", name("f"), "nft", "list", "ruleset")).trim(), "");
      const unknown = await all.start("x");
      assert.ok(!unknown.ok && /there is no VNF "x"; there is fw/.test(unknown.text));
      assert.ok((await all.start("fw")).ok);
    } finally {
      await all.close(true);
    }
    assert.match(told.join("\n"), /start: VNF fw \(redundant\) is up\ndied: .*not healthy/);
    assert.equal((await good("ip", "netns", "exec", name("f"), "nft", "list", "ruleset")).trim(), "");
  });
});

Deno.test("a process of a VNF outlives control, is taken over, started again when it dies, and ended by its pid (needs root)", async () => {
  await lab(async (name, directory) => {
    const told: string[] = [], registry = `${directory}/vnfs.json`;
    // A child of its own, so that ending it has to end both.
    const fw = template(name("f"), {
      start: "sleep 987 & exec sleep 988",
      stays: true,
      log: `${directory}/fw.log`,
    });
    const first = vnfs(told);
    first.begin([fw], registry);
    await until("up", () => first.list()[0]!.phase === "up");
    const { pid } = first.list()[0]!;
    await first.close(false);
    assert.ok(pid !== null && (await Deno.stat(`/proc/${pid}`)).isDirectory);

    // As if control had died between the start and the note of it.
    const text = await Deno.readTextFile(registry);
    await Deno.writeTextFile(
      registry,
      text.replace(/"child":\{[^}]*\}/, '"child":null').replace('"begun":true', '"begun":false'),
    );
    const second = vnfs(told);
    try {
      second.begin([fw], registry);
      await until("taken over", () => second.list()[0]!.phase === "up");
      assert.deepEqual([second.list()[0]!.pid, second.list()[0]!.restarts], [pid, 0]);
      Deno.kill(pid, "SIGKILL");
      await until("started again", () => second.list()[0]!.phase === "up" && second.list()[0]!.pid !== pid);
      // The configuration forgets it.
      second.configure([]);
      await until("gone", () => second.list().length === 0);
    } finally {
      await second.close(true);
    }
    const left = await good("ip", "netns", "pids", name("f"));
    assert.equal(left.trim(), "", "what a process had started beside it went with it");
    assert.match(told.join("\n"), /died: VNF fw .*it has ended/);
  });
});

Deno.test("a node starts its VNFs, is ordered about them, and leaves them to the next control (needs root)", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const vnf = ["[[vnf]]", 'name = "spare"', 'in = "host"', 'start = "exec sleep 989"', "restart_ms = 100"];
  const node = await TestNode.start(wire, { more: vnf });
  const command = (...words: string[]) =>
    tryRun([binary(), ...words, "--socket", `${node.directory}/run/control.sock`], { timeoutMs: 60_000 });
  const view = async (): Promise<VnfView> =>
    JSON.parse((await command("vnf", "status", "spare", "--json")).stdout);
  await until("up", async () => (await view()).phase === "up");
  const { pid } = await view();
  await node.endControl("SIGTERM");
  await node.startControl();
  await until("taken over", async () => (await view()).phase === "up");
  assert.equal((await view()).pid, pid);
  const stopped = await command("vnf", "stop", "spare");
  assert.deepEqual([stopped.code, stopped.stdout], [0, "spare (redundant) is stopped\n"]);
  assert.match((await command("vnf", "list")).stdout, /spare +redundant +stopped/);
  assert.match(
    (await command("vnf", "start", "other")).stderr,
    /Cannot start other: there is no VNF "other"/,
  );
  const refused = await command("state", "move", "fw-a", "fw-b", "all");
  assert.deepEqual([refused.code, refused.stderr], [
    1,
    "Cannot move state: there is no driver: none is configured\n",
  ]);
  assert.equal((await command("state", "moves")).stdout, "No state was moved.\n");
  assert.equal((await command("vnf", "start", "spare")).code, 0);
  const last = (await view()).pid;
  assert.ok(last !== null && last !== pid);
  // Ctrl-C ends all of it.
  await node.endControl("SIGINT");
  await assert.rejects(Deno.stat(`/proc/${last}`));
});
