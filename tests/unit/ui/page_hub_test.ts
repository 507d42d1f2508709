/** The hub of live values: what a viewer gets, and what he cannot make others pay for. */
import assert from "node:assert/strict";
import { FakeTime } from "../../support/fake_time.ts";
import { LiveHub, VIEWERS_MAX } from "../../../ui/page/hub.ts";
import { nodeStatus, NOW_MS, portView } from "./fake_node.ts";

interface Message {
  readonly values: Readonly<Record<string, string>>;
  readonly shape: string;
  readonly samples?: readonly unknown[];
  readonly sample?: readonly number[];
}

/** A node whose upstream port receives so many bytes a second. */
function hubOf(bytesPerSecond: number) {
  const time = new FakeTime(NOW_MS);
  let reads = 0;
  const status = () => {
    reads++;
    const seconds = (time.nowMs - NOW_MS) / 1000;
    const ports = nodeStatus().ports.map(({ role }) =>
      portView(role, role === "upstream" ? { rxBytes: 1e6 + bytesPerSecond * seconds } : {})
    );
    return nodeStatus({ ports });
  };
  const hub = new LiveHub({ status }, { now: () => time.nowMs, intervalMs: 200 });
  return { hub, time, reads: () => reads };
}

const decoder = new TextDecoder();

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Message> {
  const { value } = await reader.read();
  return JSON.parse(decoder.decode(value).replace(/^data: |\n\n$/g, ""));
}

Deno.test("LiveHub gives everything first and then only what has changed", async () => {
  const { hub, time } = hubOf(125_000);
  const reader = hub.stream()!.getReader();
  const first = await next(reader);
  assert.equal(first.values["state.word"], "Protected");
  assert.equal(first.values["port.upstream.rx"], "–");
  time.advance(1000);
  let seen: Message = first;
  for (let i = 0; i < 5; i++) seen = await next(reader);
  assert.equal(hub.read().values["port.upstream.rx"], "1.0 Mbit/s");
  assert.equal(seen.values["state.word"], undefined);
  assert.deepEqual(hub.samples.at(-1)?.slice(1, 3), [1e6, 0]);
  await reader.cancel();
  assert.equal(hub.viewers, 0);
  assert.equal(time.timers, 0);
  time.restore();
});

Deno.test("LiveHub reads the node once for all viewers, and not at all for none", async () => {
  const { hub, time, reads } = hubOf(0);
  const readers = Array.from({ length: 10 }, () => hub.stream()!.getReader());
  const before = reads();
  time.advance(400);
  assert.equal(reads() - before, 2);
  for (const reader of readers) await reader.cancel();
  time.advance(2000);
  assert.equal(reads() - before, 2);
  time.restore();
});

Deno.test("LiveHub keeps nothing for a viewer who does not read, and gives him the newest whole when he does", async () => {
  const { hub, time } = hubOf(125_000);
  const reader = hub.stream()!.getReader();
  time.advance(60_000);
  const waiting: Message[] = [];
  for (let i = 0; i < 5; i++) waiting.push(await next(reader));
  time.advance(200);
  const whole = await next(reader);
  assert.equal(whole.values["state.word"], "Protected");
  assert.equal(whole.values["port.upstream.rx"], "1.0 Mbit/s");
  await reader.cancel();
  time.restore();
});

Deno.test("LiveHub has a bound of viewers and takes another when one goes", async () => {
  const { hub, time } = hubOf(0);
  const readers = Array.from({ length: VIEWERS_MAX }, () => hub.stream()!.getReader());
  assert.equal(hub.stream(), null);
  await readers[0]!.cancel();
  assert.notEqual(hub.stream(), null);
  hub.close();
  assert.equal(hub.viewers, 0);
  assert.equal(time.timers, 0);
  time.restore();
});
