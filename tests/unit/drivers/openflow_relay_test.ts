/**
 * The tap hands bytes on: both ways, unchanged, whatever they are, until the last one, for an end that reads slowly too.
 */
import assert from "node:assert/strict";
import { Random } from "../../../filter/random.ts";
import { freePort, openTap } from "../../support/openflow_lab.ts";

function chance(seed: number, bytes: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

async function readAll(conn: Deno.Conn, pauseMs: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    parts.push(buffer.slice(0, count));
    if (pauseMs > 0 && parts.length % 8 === 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at, at + 7001));
  await conn.closeWrite();
}

async function through(up: Uint8Array, down: Uint8Array, pauseMs: number) {
  const listen = `tcp:127.0.0.1:${freePort()}`;
  using controller = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const said: string[] = [];
  const tap = await openTap({ listen, controller: `tcp:127.0.0.1:${controller.addr.port}` }, said);
  try {
    const port = Number(listen.split(":")[2]);
    const [near, far] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port }),
      controller.accept(),
    ]);
    const writing = Promise.all([writeAll(near, up), writeAll(far, down)]);
    const [atFar, atNear] = await Promise.all([readAll(far, pauseMs), readAll(near, 0)]);
    await writing;
    near.close();
    far.close();
    return { atFar, atNear, counters: tap.counters(), said };
  } finally {
    await tap.close();
  }
}

Deno.test("a tap hands on what is no OpenFlow at all, byte for byte, and says so", async () => {
  const [up, down] = [chance(1, 700_000), chance(2, 900_000)];
  const { atFar, atNear, counters, said } = await through(up, down, 1);
  assert.deepEqual([atFar.length, atNear.length], [up.length, down.length]);
  assert.ok(atFar.every((byte, at) => byte === up[at]) && atNear.every((byte, at) => byte === down[at]));
  assert.equal(counters["unreadable_streams"], 2);
  assert.match(said.join("\n"), /Cannot read OpenFlow stream/);
});

Deno.test("a tap says where it cannot listen, and what is missing for TLS", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listen = `tcp:127.0.0.1:${taken.addr.port}`;
  await assert.rejects(
    openTap({ listen, controller: "tcp:127.0.0.1:1" }),
    /Cannot open the tap on tcp:.*in use/i,
  );
  const tls = openTap({ listen: "tls:127.0.0.1:1", controller: "tcp:127.0.0.1:1", ca: "/x" });
  await assert.rejects(tls, /listen says tls, and certificate, key is missing/);
});

Deno.test("a controller that is not there ends the connection of the switch", async () => {
  const listen = `tcp:127.0.0.1:${freePort()}`;
  const said: string[] = [];
  const tap = await openTap({ listen, controller: `tcp:127.0.0.1:${freePort()}` }, said);
  try {
    const near = await Deno.connect({ hostname: "127.0.0.1", port: Number(listen.split(":")[2]) });
    assert.equal((await readAll(near, 0).catch(() => new Uint8Array(0))).length, 0);
    near.close();
    assert.match(said.join("\n"), /the channel of .* has ended: the controller: .*refused/i);
  } finally {
    await tap.close();
  }
});
