/** Generated bulk: valid packets, connections from SYN to FIN, and the mean that is asked for. */
import assert from "node:assert/strict";
import { Random } from "../../../filter/random.ts";
import { parsePacket, TCP } from "../../../filter/packet.ts";
import { BULK, bulkContent, bulkFlow, bulkFlows, bulkSize } from "../../../scripts/bench/ids_bulk.ts";

Deno.test("bulkFlow() is one TCP connection without gaps, of every kind", () => {
  for (const kind of ["tls-download", "http-download", "tls-upload"] as const) {
    const packets = bulkFlow(7, kind, 50_000, bulkContent()).map(({ bytes }) => parsePacket(bytes));
    const next = [0, 0];
    const payload = [0, 0];
    for (const { verdict, flow } of packets) {
      assert.equal(verdict, "flow");
      const { tcp, dir, payloadBytes } = flow!;
      if (next[dir] !== 0) assert.equal(tcp!.seq, next[dir]);
      next[dir] = tcp!.seq + payloadBytes + (tcp!.flags & (TCP.syn | TCP.fin) ? 1 : 0);
      payload[dir]! += payloadBytes;
    }
    const [client, server] = [packets[0]!.flow!.dir, packets[1]!.flow!.dir];
    const upload = kind === "tls-upload";
    assert.ok(payload[upload ? client : server]! >= 50_000, kind);
    assert.ok(payload[upload ? server : client]! < 4000, kind);
    assert.equal(packets[0]!.flow!.tcp!.flags, TCP.syn);
    assert.equal(packets.at(-3)!.flow!.tcp!.flags, TCP.fin | TCP.ack);
  }
});

Deno.test("bulkSize() stays in its bounds, and few flows carry most bytes", () => {
  const random = new Random(1);
  const sizes = Array.from({ length: 4000 }, () => bulkSize(random)).sort((a, b) => b - a);
  assert.ok(sizes.at(-1)! >= BULK.sizeMin && sizes[0]! <= BULK.sizeMax);
  const sum = (some: readonly number[]) => some.reduce((total, size) => total + size, 0);
  assert.ok(sum(sizes.slice(0, 400)) > 0.5 * sum(sizes));
});

Deno.test("bulkFlows() makes the same transfers every time", () => {
  const sizes = () =>
    bulkFlows().take(20).map((frames) => frames.reduce((sum, { wireLength }) => sum + wireLength, 0))
      .toArray();
  const made = sizes();
  assert.deepEqual(sizes(), made);
  assert.equal(new Set(made).size, made.length);
});
