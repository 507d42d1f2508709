/**
 * A real NAT tells of its connections through ulogd2 and rsyslog, and what the syslog driver has of them is what
 * `conntrack -L` of the box has, translations included.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { DriverContext, StateDriver } from "../../drivers/driver.ts";
import { ALL, fieldsText } from "../../drivers/fields.ts";
import { decodeFlow, flowFields } from "../../drivers/flow_value.ts";
import { builtinFormat } from "../../drivers/formats/builtin.ts";
import { compileFormat } from "../../drivers/formats/engine.ts";
import { openSyslog } from "../../drivers/syslog/driver.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { NatLog } from "../../scripts/lab/nat_log.ts";
import { programs } from "../../scripts/lab/native.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { waitForPath, workloadArgv } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { BOX, natTopology } from "../support/nat_log_lab.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 80;
const SECONDS = 8;
const WAIT_MS_MAX = 30_000;
const CONTEXT: DriverContext = { name: "nat", nowMs: () => Date.now(), say: () => {} };

/** "tcp 10.1.0.11 40000 > 10.2.0.11 80 as 10.2.0.11 80 > 10.2.0.1 1234", of TCP and UDP. */
async function ofBox(lab: Lab): Promise<string[]> {
  const reader = compileFormat(builtinFormat("conntrack"));
  const listed = (await lab.exec(BOX, ["conntrack", "-L"])).trim().split("\n").map((line) =>
    reader.read(line)
  );
  return listed.flatMap((reading) => {
    if (reading.kind !== "entry" || reading.entry.what !== "flow") return [];
    const { original, reply } = reading.entry;
    return original?.protocol === 1
      ? []
      : [`${fieldsText(flowFields(original!))} as ${fieldsText(flowFields(reply!))}`];
  }).toSorted();
}

async function ofDriver(driver: StateDriver): Promise<string[]> {
  const records = await Array.fromAsync(driver.get("supporting", ALL, new AbortController().signal));
  return records.map(({ key, value }) => `${key} as ${fieldsText(flowFields(decodeFlow(value)!.reply))}`)
    .toSorted();
}

/** Asks again until both have the same, and at least so many connections, or time is up; the last two answers. */
async function agreed(lab: Lab, driver: StateDriver, min = 0): Promise<readonly [string[], string[]]> {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const [box, known] = [await ofBox(lab), await ofDriver(driver)];
    const same = box.filter((text) => text.startsWith("tcp")).length >= min && box.join() === known.join();
    if (same || Date.now() > deadline) return [box, known];
    await sleep(100);
  }
}

Deno.test("the syslog driver has of a NAT's log what the NAT has, as connections open and as they go", async () => {
  const built = await programs(TOP);
  await using lab = await Lab.up(natTopology());
  const driver = await openSyslog({ format: "ulogd-flow", transport: "tcp", listen: "127.0.0.1:0" }, CONTEXT);
  try {
    await using _log = await NatLog.start(lab, driver.address!, "flows");
    await startServers(lab, built);
    await waitForPath(lab, built, "c1", "s1");
    const work = { kind: "long", from: "c1", to: "s1", flows: FLOWS, bytesPerSecond: 2048 } as const;
    const load = run(lab.argv("c1", workloadArgv(work, "10.2.0.11", built, SECONDS)), { timeoutMs: 30_000 });
    load.catch(() => {}); // awaited below
    await sleep(1500);
    const [box, known] = await agreed(lab, driver, FLOWS);
    assert.ok(box.filter((text) => text.startsWith("tcp")).length >= FLOWS, `${box.length} connections`);
    assert.deepEqual(known, box);
    const translated = box.filter((text) => {
      const [, from, to] = /^\w+ \S+ (\d+) > .* (\d+)$/.exec(text) ?? [];
      return from !== to;
    });
    assert.ok(translated.length > FLOWS / 2, "the NAT chooses ports of its own, and the log tells which");
    await load;
    await lab.exec(BOX, ["conntrack", "-F"]);
    const [after, left] = await agreed(lab, driver);
    assert.deepEqual(left, after);
    assert.ok(left.length < FLOWS, `${left.length} are left`);
    const { refused, not_understood, queue_dropped, closed, framing_lost } = driver.counters();
    assert.deepEqual([refused, not_understood, queue_dropped, framing_lost], [0, 0, 0, 0]);
    assert.ok(closed! >= FLOWS);
  } finally {
    await driver.close();
  }
});

Deno.test("the syslog driver knows of packets that nftables logs who began, and how it ended", async () => {
  const built = await programs(TOP);
  await using lab = await Lab.up(natTopology());
  const driver = await openSyslog(
    { format: "netfilter-log", transport: "tcp", listen: "127.0.0.1:0" },
    CONTEXT,
  );
  const clients = (texts: readonly string[]) => texts.map((text) => text.replace(/ as .*/, "")).toSorted();
  try {
    await using _log = await NatLog.start(lab, driver.address!, "packets");
    const log = 'log prefix "nat " group 2';
    const rules = [
      `insert rule inet box forward tcp flags fin,rst ${log}`,
      `insert rule inet box forward ct state new ${log}`,
    ];
    await lab.exec(BOX, ["nft", rules.join("; ")]);
    await startServers(lab, built);
    await waitForPath(lab, built, "c1", "s1");
    const work = { kind: "long", from: "c1", to: "s1", flows: FLOWS, bytesPerSecond: 2048 } as const;
    const load = run(lab.argv("c1", workloadArgv(work, "10.2.0.11", built, 5)), { timeoutMs: 30_000 });
    load.catch(() => {}); // awaited below
    await sleep(1500);
    let box = clients(await ofBox(lab));
    for (let n = 0; n < 200 && box.length < FLOWS; n++, await sleep(100)) box = clients(await ofBox(lab));
    const open = async () => clients(await ofDriver(driver)).filter((text) => box.includes(text));
    for (let n = 0; n < 200 && (await open()).length < box.length; n++) await sleep(100);
    assert.ok(box.length >= FLOWS);
    assert.deepEqual(await open(), box);
    assert.ok(
      clients(await ofDriver(driver)).every((text) => / 10\.1\.0\.11 \d+ > /.test(text)),
      "a client began each",
    );
    await load;
    const states = async () => {
      const records = await Array.fromAsync(
        driver.get("supporting", { protocol: 6 }, new AbortController().signal),
      );
      return records.filter(({ value }) => decodeFlow(value)!.state === "syn_sent").length;
    };
    for (let n = 0; n < 200 && await states() > 0; n++) await sleep(100);
    assert.equal(await states(), 0, "of each the end was told");
    assert.equal(driver.counters()["refused"], 0);
  } finally {
    await driver.close();
  }
});

const AT_ONCE = 16;

/** Waits until the driver has so many messages. */
async function heard(driver: StateDriver, count: number): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS_MAX; (driver.counters()["messages"] ?? 0) < count;) {
    if (Date.now() > deadline) {
      throw new Error(`Cannot see ${count} messages: ${JSON.stringify(driver.counters())}`);
    }
    await sleep(1);
  }
}

const NETFILTER = "12";

/** Waits until somebody in the box hears of its connections: what opens before is never told. */
async function follows(lab: Lab): Promise<void> {
  // sk Eth Pid Groups ...
  const hears = (line: string) => {
    const [, family, , groups] = line.split(/\s+/);
    return family === NETFILTER && parseInt(groups!, 16) !== 0;
  };
  for (const deadline = Date.now() + WAIT_MS_MAX; Date.now() < deadline; await sleep(20)) {
    if ((await lab.exec(BOX, ["cat", "/proc/net/netlink"])).split("\n").some(hears)) return;
  }
  throw new Error("Cannot see that anybody follows the connections of the box");
}

Deno.test("the syslog driver follows `conntrack -E` over datagrams", async () => {
  const built = await programs(TOP);
  await using lab = await Lab.up(natTopology());
  const driver = await openSyslog({ format: "conntrack", listen: "127.0.0.1:0" }, CONTEXT);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to = { transport: "udp", hostname: "127.0.0.1", port: driver.address!.port } as const;
  const [program, ...args] = lab.argv(BOX, ["conntrack", "-E", "-o", "timestamp,id"]);
  const events = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
  const sending = (async () => {
    let held = "", sent = 0;
    for await (const text of events.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (held + text).split("\n");
      held = lines.pop()!;
      for (const line of lines) {
        await socket.send(new TextEncoder().encode(`<13>${line}`), to);
        // Datagrams that wait for a busy reader beyond its buffer are lost; that is not what is tried here.
        if (++sent % AT_ONCE === 0) await heard(driver, sent);
      }
    }
  })();
  try {
    await follows(lab);
    await startServers(lab, built);
    await waitForPath(lab, built, "c1", "s1");
    const work = { kind: "long", from: "c1", to: "s1", flows: FLOWS, bytesPerSecond: 2048 } as const;
    const load = run(lab.argv("c1", workloadArgv(work, "10.2.0.11", built, SECONDS)), { timeoutMs: 30_000 });
    load.catch(() => {}); // awaited below
    await sleep(1500);
    const [box, known] = await agreed(lab, driver, FLOWS);
    assert.ok(box.length >= FLOWS);
    assert.deepEqual(known, box);
    await load;
  } finally {
    events.kill("SIGTERM");
    await events.status;
    await sending;
    socket.close();
    await driver.close();
  }
});
