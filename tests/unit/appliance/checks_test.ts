/**
 * Checks as they run: real servers on the loopback interface, and a question that never ends.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { Checks } from "../../../appliance/checks.ts";
import { askHttp } from "../../../appliance/check_http.ts";
import { type CheckConfig, parseConfig } from "../../../appliance/config.ts";
import type { ReachQuestion } from "../../../filter/dpdk.ts";

const PORTS = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"]
  .map((role) => `${role} = "null"`).join("\n");

function configs(...tables: string[]): readonly CheckConfig[] {
  const text = `[ports]\n${PORTS}\n${tables.map((table) => `[[check]]\n${table}\n`).join("")}`;
  const { config, problems } = parseConfig(text, "t.toml");
  assert.deepEqual(problems, []);
  return config!.checks;
}

const FAST = "interval_ms = 100\ntimeout_ms = 50\n";

async function until(what: string, is: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (is()) return;
    await delay(10);
  }
  assert.fail(`${what} did not come`);
}

interface Site extends AsyncDisposable {
  readonly port: number;
}

async function site(status: number): Promise<Site> {
  const server = createServer((request, answer) => {
    answer.statusCode = request.headers.host === "fw.example" ? 204 : status;
    answer.end("x".repeat(1000));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

Deno.test("askHttp() judges by the status, by the name it asked for, and by who listens", async () => {
  await using good = await site(200);
  await using bad = await site(503);
  const ask = (port: number, more = "") =>
    askHttp(configs(`name = "a"\nkind = "http"\nurl = "http://127.0.0.1:${port}/x"\n${more}`)[0]!);
  assert.equal(await ask(good.port), "none");
  assert.equal(await ask(bad.port), "status");
  assert.equal(await ask(bad.port, "status = 503"), "none");
  assert.equal(await ask(bad.port, 'server_name = "fw.example"'), "none");
  assert.equal(await ask(1), "refused");
});

Deno.test("askHttp() gives up a server that accepts and says nothing", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const fault = await askHttp(
    configs(`name = "a"\nkind = "http"\nurl = "http://127.0.0.1:${listener.addr.port}/"\n${FAST}`)[0]!,
  );
  assert.equal(fault, "timeout");
  (await accepted).close();
});

Deno.test("Checks lets a question that hangs fail alone, and asks it only once", async () => {
  const asked: string[] = [], told: string[] = [];
  const ends: (() => void)[] = [];
  const reach = ({ address }: ReachQuestion): Promise<number> => {
    asked.push(address);
    if (address === "192.0.2.9") return new Promise((resolve) => ends.push(() => resolve(0)));
    return Promise.resolve(0);
  };
  const checks = new Checks({ reach, tell: (text) => told.push(text) });
  checks.configure(configs(
    `name = "hangs"\naddress = "192.0.2.9"\n${FAST}`,
    `name = "answers"\nbox = "redundant"\naddress = "192.0.2.1"\n${FAST}`,
  ));
  try {
    // On a machine that stands still both grow too old for a moment.
    const light = (box: "primary" | "redundant") => checks.boxes().get(box)?.light;
    const times = (wanted: string) => asked.filter((address) => address === wanted).length;
    let reason: string | undefined;
    await until("a red primary and a green redundant box", () => {
      reason = checks.boxes().get("primary")?.reason;
      return light("primary") === "red" && light("redundant") === "green" && times("192.0.2.1") > 1;
    });
    assert.equal(reason, "hangs: no answer in time");
    assert.equal(times("192.0.2.9"), 1);
    assert.ok(told.some((text) => /^check hangs of primary is red/.test(text)));
  } finally {
    checks.close();
    for (const end of ends) end();
    await delay(300); // until the last rounds have seen that they are over
  }
});

Deno.test("Checks tells the errors of the system apart, and a warning is no red", async () => {
  const reach = ({ port }: ReachQuestion) => Promise.resolve(port);
  const checks = new Checks({ reach, tell: () => {} });
  const one = (name: string, errno: number, more = "") =>
    `name = "${name}"\nkind = "tcp"\naddress = "192.0.2.1"\nport = ${errno}\nfall = 1\n${more}${FAST}`;
  checks.configure(configs(
    one("closed", 111),
    one("far", 113),
    one("forbidden", 1),
    one("warns", 110, 'severity = "yellow"\nreason = "the lamp is out"\n'),
  ));
  try {
    let seen: [string, string][] = [];
    // An outcome grows too old where the machine stands still; one of them is off for good.
    await until("an outcome of each", () => {
      const views = checks.views();
      seen = views.map(({ light, reason }) => [light, reason]);
      return views.every(({ asked }) => asked > 0) &&
        views.filter(({ light }) => light === "off").length === 1;
    });
    assert.deepEqual(seen, [
      ["red", "closed: the connection is refused"],
      ["red", "far: there is no way to it"],
      ["off", "forbidden knows nothing at the moment: asking is not permitted here"],
      ["yellow", "the lamp is out"],
    ]);
  } finally {
    checks.close();
    await delay(300);
  }
});

Deno.test("Checks.configure() keeps what a check knows that stays as it was", async () => {
  const checks = new Checks({ reach: () => Promise.resolve(0), tell: () => {} });
  const stays = `name = "stays"\naddress = "192.0.2.1"\n${FAST}`;
  checks.configure(configs(stays, `name = "goes"\nbox = "redundant"\naddress = "192.0.2.2"\n${FAST}`));
  try {
    await until("answers", () => checks.views().every(({ asked }) => asked > 1));
    checks.configure(configs(stays));
    assert.ok(checks.views()[0]!.asked > 1);
    assert.deepEqual([...checks.boxes().keys()], ["primary"]);
  } finally {
    checks.close();
    await delay(300);
  }
});
