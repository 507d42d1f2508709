/** The driver of kind syslog on real sockets of this machine: datagrams and TCP in, records out. */
import assert from "node:assert/strict";
import type { DriverContext, DriverEvent, Settings } from "../../../drivers/driver.ts";
import { ALL } from "../../../drivers/fields.ts";
import { decodeFlow } from "../../../drivers/flow_value.ts";
import { type OpenSyslog, openSyslog, SYSLOG } from "../../../drivers/syslog/driver.ts";

const CONTEXT: DriverContext = { name: "fw", nowMs: () => 5000, say: () => {} };
const bytes = (text: string) => new TextEncoder().encode(text);
const line = (event: string, port: number) =>
  `<13>Nov 22 10:00:00 box conntrack: [${event}] tcp 6 ${
    event === "DESTROY" ? "" : "120 SYN_SENT "
  }src=10.1.0.11 ` +
  `dst=10.2.0.11 sport=${port} dport=80 src=10.2.0.11 dst=10.2.0.1 sport=80 dport=${port + 1}`;

async function withDriver(settings: Settings, work: (driver: OpenSyslog) => Promise<void>) {
  const driver = await openSyslog({ format: "conntrack", listen: "127.0.0.1:0", ...settings }, CONTEXT);
  try {
    await work(driver);
  } finally {
    await driver.close();
  }
}

/** The next records that the driver tells of. */
async function take(events: AsyncIterator<DriverEvent>, count: number) {
  const taken = [];
  while (taken.length < count) {
    const next = await events.next();
    assert.ok(!next.done && next.value.kind === "record");
    taken.push(next.value.record);
  }
  return taken;
}

Deno.test("the syslog driver makes records of datagrams, and get() has what is open", async () => {
  await withDriver({}, async (driver) => {
    const stop = new AbortController();
    const events = driver.watch(stop.signal)[Symbol.asyncIterator]();
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const to = { transport: "udp", hostname: "127.0.0.1", port: driver.address!.port } as const;
    for (const text of [line("NEW", 1000), "garbage", line("NEW", 2000) + "\n", line("DESTROY", 1000)]) {
      await socket.send(bytes(text), to);
    }
    const records = await take(events, 3);
    assert.deepEqual(records.map(({ fields, ended }) => [fields.sourcePort, ended]), [[1000, false], [
      2000,
      false,
    ], [1000, true]]);
    const held = await Array.fromAsync(driver.get("supporting", ALL, stop.signal));
    assert.deepEqual(held.map(({ value }) => decodeFlow(value)?.reply.destinationPort), [2001]);
    assert.deepEqual(await Array.fromAsync(driver.get("reporting", ALL, stop.signal)), []);
    const { datagrams, entries, not_understood, alive } = driver.counters();
    assert.deepEqual([datagrams, entries, not_understood, alive], [4, 3, 1, 1]);
    stop.abort();
    socket.close();
    assert.equal((await events.next()).done, true);
    await driver.close();
    await driver.close();
  });
});

Deno.test("the syslog driver takes both framings of TCP, and drops what was cut off", async () => {
  await withDriver({ transport: "tcp" }, async (driver) => {
    const stop = new AbortController();
    const events = driver.watch(stop.signal)[Symbol.asyncIterator]();
    const { port } = driver.address!;
    const counted = await Deno.connect({ hostname: "127.0.0.1", port });
    const lines = await Deno.connect({ hostname: "127.0.0.1", port });
    const [one, two] = [line("NEW", 1000), line("NEW", 2000)];
    await counted.write(bytes(`${one.length} ${one}${two.length} ${two.slice(0, 50)}`));
    await lines.write(bytes(`${line("NEW", 3000)}\n${line("NEW", 4000).slice(0, -2)}`));
    const seen = (await take(events, 2)).map(({ fields }) => fields.sourcePort).toSorted();
    assert.deepEqual(seen, [1000, 3000]);
    await counted.write(bytes(two.slice(50)));
    assert.deepEqual((await take(events, 1))[0]?.fields.sourcePort, 2000);
    counted.close();
    lines.close();
    while (driver.counters()["connected"] !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const { connections, cut_off, entries } = driver.counters();
    assert.deepEqual([connections, cut_off, entries], [2, 1, 3]);
    stop.abort();
  });
});

Deno.test("the syslog driver hears only senders it may hear, so many at once, and no endless message", async () => {
  const until = async (driver: OpenSyslog, name: string) => {
    while (!driver.counters()[name]) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const closed = async (connection: Deno.Conn) => {
    assert.equal(await connection.read(new Uint8Array(1)).catch(() => null), null);
    connection.close();
  };
  const dial = (driver: OpenSyslog) => Deno.connect({ hostname: "127.0.0.1", port: driver.address!.port });
  await withDriver({ transport: "tcp", senders: "10.0.0.0/8" }, async (driver) => {
    await closed(await dial(driver));
    await until(driver, "refused_sender");
  });
  await withDriver({ transport: "tcp", connections_max: 1, message_bytes_max: 480 }, async (driver) => {
    const first = await dial(driver);
    await until(driver, "connections");
    await closed(await dial(driver));
    await until(driver, "refused_connections");
    await first.write(bytes("99999 <34>x"));
    await closed(first);
    assert.equal(driver.counters()["too_long"], 1);
  });
});

Deno.test("the syslog driver holds a sender over TCP back instead of dropping its messages", async () => {
  await withDriver({ transport: "tcp", queue_max: 64 }, async (driver) => {
    const sender = await Deno.connect({ hostname: "127.0.0.1", port: driver.address!.port });
    const all = bytes(Array.from({ length: 20_000 }, (_, n) => `${line("NEW", 1 + n)}\n`).join(""));
    for (let at = 0; at < all.length;) at += await sender.write(all.subarray(at));
    while (driver.counters()["messages"]! + driver.counters()["queue_dropped"]! < 20_000) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(driver.counters()["queue_dropped"], 0);
    sender.close();
  });
});

Deno.test("openSyslog() refuses with a sentence what is unsafe, wrong or taken", async () => {
  const refused = (settings: Settings, reason: RegExp) =>
    assert.rejects(openSyslog(settings, CONTEXT), reason);
  await refused(
    { format: "conntrack", listen: "0.0.0.0:0" },
    /Cannot listen for the log of fw: `listen` is 0\.0\.0\.0, beyond/,
  );
  await refused({ format: "/nowhere/x.toml" }, /Cannot read the format \/nowhere\/x\.toml: /);
  await refused(
    { format: "conntrack", transport: "tls", certificate: "/no", key: "/no", ca: "/no" },
    /Cannot read the certificate \/no/,
  );
  await withDriver({ transport: "tcp" }, async (driver) => {
    const listen = `127.0.0.1:${driver.address!.port}`;
    await refused(
      { format: "conntrack", transport: "tcp", listen },
      /Cannot listen for the log of fw at 127/,
    );
    assert.deepEqual(await driver.put([]), { taken: 0, known: 0, refused: [] });
    assert.equal(SYSLOG.fault?.({ format: "conntrack", listen: "10.0.0.1:1" })?.key, "listen");
  });
});
