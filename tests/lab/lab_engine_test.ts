/**
 * The lab itself: it comes up whole, passes traffic through a strict box, and leaves nothing behind.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { startBridge } from "../../scripts/lab/node.ts";
import { end, namespacesOf, processesIn, sleep } from "../../scripts/lab/process.ts";
import { records, sweep } from "../../scripts/lab/registry.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
/** Longer than a connection may be still and count as one that lives. */
const LIFE_MS = 1_500;

async function interfaces(): Promise<string> {
  const { stdout } = await new Deno.Command("ip", { args: ["-o", "link"] }).output();
  return new TextDecoder().decode(stdout).replace(/ (state|qdisc) \w+/g, "");
}

Deno.test("Lab.up() carries a request through the primary, translated, and down() leaves nothing behind", async () => {
  const before = await interfaces();
  await using lab = await Lab.up(hotReplica());
  const built = await programs(TOP);
  await startBridge(lab);
  await startServers(lab, built);
  await waitForPath(lab, built, "c1", "s1");
  const fetched = await lab.exec("c1", ["curl", "-sS", "-m", "5", "http://10.2.0.11/5k"]);
  assert.equal(fetched.length, 5_700);
  const seen = await lab.exec("s1", ["ip", "-o", "neigh", "show", "dev", "eth0"]);
  assert.match(seen, /10\.2\.0\.1 .*02:00:00:00:02:01/);
  assert.equal((await lab.exec("node", ["ip", "-o", "-4", "addr", "show", "scope", "global"])).trim(), "");
  assert.equal(await interfaces(), before);
  const { prefix, directory } = lab;
  assert.ok(processesIn(namespacesOf(prefix)).length >= 9);
  await Promise.all([lab.down(), lab.down()]);
  assert.deepEqual(namespacesOf(prefix), []);
  assert.ok(records().every((record) => record.prefix !== prefix));
  assert.throws(() => Deno.statSync(directory), Deno.errors.NotFound);
});

Deno.test("a box of the lab is strict: it drops the middle of a connection it has not seen begin", async () => {
  await using lab = await Lab.up(hotReplica());
  const built = await programs(TOP);
  await startBridge(lab);
  await startServers(lab, built);
  await waitForPath(lab, built, "c2", "s2");
  const [program, ...args] = lab.argv("c2", [
    built.longflows,
    "fetch",
    "10.2.0.12",
    "7000",
    "4",
    "51200",
    "60000",
  ]);
  const flows = new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
  const output = flows.output();
  const moved = async () => {
    const sockets = await lab.exec("c2", ["ss", "-Htin", "state", "established", "dport", "=", ":7000"]);
    return sockets.match(/ bytes_received:[1-9]/g)?.length ?? 0;
  };
  for (let look = 0; look < 600 && await moved() < 4; look++) await sleep(50);
  // A conntrack table that was emptied is what a cold redundant box has: zones make the old entries unreachable.
  await lab.exec("primary", [
    "nft",
    "table inet cold { chain c { type filter hook prerouting priority -300; ct zone set 7; }; }",
  ]);
  await sleep(LIFE_MS);
  end(flows, "SIGTERM");
  const report = JSON.parse(new TextDecoder().decode((await output).stdout)) as {
    flows: [string, number, number, number, boolean][];
  };
  assert.deepEqual(
    report.flows.map(([state, , , , alive]) => [state, alive]),
    Array(4).fill(["open", false]),
  );
  assert.ok(report.flows.every(([, , , bytes]) => bytes > 0), "flows moved before");
});

Deno.test("Lab.up() removes what it had built when a part of it fails", async () => {
  const topology = hotReplica();
  const [first, ...rest] = topology.namespaces;
  const broken = {
    ...topology,
    namespaces: [{ ...first!, routes: [{ to: "default", via: "192.0.2.1" }] }, ...rest],
  };
  const before = records().map((record) => record.prefix);
  let prefix = "";
  const add = () => {
    prefix = records().find((record) => !before.includes(record.prefix))!.prefix;
    return () => {};
  };
  await assert.rejects(
    Lab.up(broken, { add }),
    /Cannot run .*(unreachable|invalid gateway)/,
  );
  assert.match(prefix, /^rm[0-9a-f]{4}$/);
  assert.deepEqual(namespacesOf(prefix), []);
  assert.ok(records().every((record) => record.prefix !== prefix));
});

Deno.test("sweep() takes down the lab of a run that was killed, with its processes", async () => {
  const script = `
    import { Lab } from "${TOP}/scripts/lab/engine.ts";
    import { hotReplica } from "${TOP}/scripts/lab/topology.ts";
    const lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
    lab.start("c1", ["sleep", "600"]);
    console.log(lab.prefix);
    await new Promise(() => setInterval(() => {}, 1000));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", script],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const prefix = new TextDecoder().decode((await reader.read()).value).trim();
  await reader.cancel();
  assert.match(prefix, /^rm[0-9a-f]{4}$/);
  assert.deepEqual((await sweep()).filter((one) => one === prefix), [], "its owner is alive");
  child.kill("SIGKILL");
  await child.status;
  assert.ok(namespacesOf(prefix).length > 0);
  const processes = processesIn(namespacesOf(prefix));
  assert.ok(processes.length >= 1);
  assert.ok((await sweep()).includes(prefix));
  assert.deepEqual(namespacesOf(prefix), []);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`Lifetime takes the lab down on ${signal} and exits with its number`, async () => {
    const script = `
      import { Lab } from "${TOP}/scripts/lab/engine.ts";
      import { Lifetime } from "${TOP}/scripts/lab/lifetime.ts";
      import { hotReplica } from "${TOP}/scripts/lab/topology.ts";
      using lifetime = new Lifetime(() => {});
      const lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }), lifetime);
      console.log(lab.prefix);
      await new Promise(() => setInterval(() => {}, 1000));`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-lock", script], stdout: "piped" })
      .spawn();
    const reader = child.stdout.getReader();
    const prefix = new TextDecoder().decode((await reader.read()).value).trim();
    assert.match(prefix, /^rm[0-9a-f]{4}$/);
    child.kill(signal);
    const status = await child.status;
    await reader.cancel();
    assert.equal(status.code, 128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal]);
    assert.deepEqual(namespacesOf(prefix), []);
  });
}
