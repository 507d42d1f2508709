/** Traces: a frame is known again behind a NAT, and not taken for another. */
import assert from "node:assert/strict";
import { CORE, run, sanitized } from "./library.ts";

Deno.test("a frame that a NAT has changed has the same trace but for one end, one that crossed to IPv4 as well, another payload has not", async () => {
  await sanitized("trace", [...CORE, "trace"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    // Print and the far end stay; another payload differs; the peek and the parser agree.
    assert.deepEqual(told, [
      ...["tcp4", "tcp6", "udp4", "udp6", "bare", "icmp4", "icmp6"].map((kind) => `${kind} 11 1 1`),
      // Nor between IPv6 and IPv4, where both ends change.
      ...["tcp6-4", "udp6-4", "icmp6-4"].map((kind) => `${kind} 1 1`),
      "none arp",
    ]);
  });
});
