/**
 * Questions to this machine itself, through the library: who answers, who refuses, and what the node lacks.
 */
import assert from "node:assert/strict";
import { openNative, type ReachQuestion } from "../../../filter/dpdk.ts";

const ECONNREFUSED = 111, ENODEV = 19, EINVAL = 22;

/** Loaded once: the library stays while the process lives, as in control. */
const native = openNative();

function ask(question: Partial<ReachQuestion>): Promise<number> {
  return native.reach({
    kind: "icmp",
    address: "127.0.0.1",
    port: 0,
    device: "",
    timeoutMs: 20_000,
    ...question,
  });
}

Deno.test("reach() gets an echo over both versions of IP, and by an interface that is named (needs root)", async () => {
  assert.equal(await ask({}), 0);
  assert.equal(await ask({ address: "::1" }), 0);
  assert.equal(await ask({ device: "lo" }), 0);
});

Deno.test("reach() tells a port that listens from one that does not", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const accepted = listener.accept();
  assert.equal(await ask({ kind: "tcp", port }), 0);
  (await accepted).close();
  listener.close();
  assert.equal(await ask({ kind: "tcp", port }), ECONNREFUSED);
});

Deno.test("reach() says that there is no such interface, and takes no names (needs root)", async () => {
  assert.equal(await ask({ kind: "tcp", port: 1, device: "nosuch0" }), ENODEV);
  assert.equal(await ask({ kind: "neighbour", device: "nosuch0" }), ENODEV);
  assert.equal(await ask({ kind: "neighbour", address: "2001:db8::1", device: "nosuch0" }), ENODEV);
  assert.equal(await ask({ address: "localhost" }), EINVAL);
});

Deno.test("reach() answers many questions at once, each its own (needs root)", async () => {
  const answers = await Promise.all(
    Array.from({ length: 32 }, (_, i) => ask({ address: i % 2 ? "::1" : "127.0.0.1" })),
  );
  assert.deepEqual(answers, Array(32).fill(0));
});
