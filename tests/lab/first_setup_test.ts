/** From bare ports to an armed node: the page asks, hears a neighbour, writes the configuration, and the node runs by it. */
import assert from "node:assert/strict";
import { parseConfig } from "../../appliance/config.ts";
import { inNamespace, sleep, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { ROLES } from "../../appliance/view.ts";
import { lldpFrame } from "../support/lldp.ts";
import { binary } from "../support/node.ts";
import { nodeEnd, Wire } from "../support/wire.ts";

const LISTEN = "127.0.0.1:8443", LLDP = lldpFrame("core1", "ge-0/0/7"), PASSWORD = "correct horse battery";

/** Its words go to a file, which nobody has to read in time. */
async function startControl(argv: readonly string[], directory: string): Promise<Deno.ChildProcess> {
  await Deno.writeTextFile(`${directory}/log`, "");
  const args = ["-c", 'exec "$@" 2>>"$0"', `${directory}/log`, ...argv];
  return new Deno.Command("sh", { args, stdout: "null" }).spawn();
}

Deno.test("a machine without ports is set up by its page, learns, and is armed", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const directory = await Deno.makeTempDir({ dir: wire.lab.directory });
  const file = `${directory}/remediate.toml`, jar = `${directory}/cookies`;
  await Deno.writeTextFile(
    file,
    `[node]\nstate_directory = "${directory}/state"\nruntime_directory = "${directory}/run"\n` +
      `[plane]\nhugepages = "off"\nmemory_mib = 96\nflows_max = 1024\n[api]\nlisten = "${LISTEN}"\n`,
  );
  const inside = (...argv: string[]) =>
    tryRun(inNamespace(wire.lab.ns(NODE_NS), argv), { timeoutMs: 30_000 });
  const curl = async (path: string, fields: Record<string, string> | null = null) => {
    const form = Object.entries(fields ?? {}).flatMap((one) => ["--data-urlencode", one.join("=")]);
    const url = `https://${LISTEN}${path}`;
    return (await inside("curl", "-sSk", "-b", jar, "-c", jar, "--max-time", "20", ...form, url)).stdout;
  };
  const control = await startControl(
    inNamespace(wire.lab.ns(NODE_NS), [binary(), "run", "--config", file]),
    directory,
  );
  const logged = () => Deno.readTextFileSync(`${directory}/log`);
  const until = async (what: string, is: () => boolean | Promise<boolean>) => {
    for (const end = Date.now() + 30_000; !await is(); await sleep(50)) {
      assert.ok(Date.now() < end, `${what} did not come: ${logged()}`);
    }
  };
  try {
    await until("the page", () => logged().includes("set this node up at"));
    const code = (await Deno.readTextFile(`${directory}/run/first-code`)).trim();
    assert.match(await curl("/"), /^$/); // to the login
    await curl("/login", { code, name: "ann", password: PASSWORD });
    const page = await curl("/");
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    for (const role of ROLES) assert.ok(page.includes(nodeEnd(role)), page);
    await until("a neighbour", async () => {
      bench.send("upstream", LLDP);
      return (await curl("/")).includes("core1 ge-0/0/7");
    });

    const ports = Object.fromEntries(ROLES.map((role) => [role, nodeEnd(role)]));
    const twice = await curl("/check", { ...ports, upstream: ports.downstream!, csrf, preset: "nat" });
    assert.match(twice, /downstream: \S+ is upstream already/);
    assert.match(await curl("/apply", { ...ports, preset: "nat" }), /not of your session/);
    assert.match(await curl("/check", { ...ports, csrf, preset: "nat" }), /learning_first = true/);
    assert.match(await curl("/apply", { ...ports, csrf, preset: "nat" }), /The node starts/);
    const { config } = parseConfig(await Deno.readTextFile(file), file);
    assert.deepEqual([config?.filter.preset, config?.failover.learningFirst], ["nat", true]);

    const remediate = (...words: string[]) =>
      tryRun([binary(), ...words, "--config", file], { timeoutMs: 20_000 });
    await until("the node", async () => (await remediate("status", "--json")).stdout.includes('"learning"'));
    assert.equal((await remediate("arm")).code, 0);
    assert.ok(!(await remediate("status", "--json")).stdout.includes('"learning"'));
  } finally {
    Deno.kill(control.pid, "SIGINT");
    await control.status;
  }
});
