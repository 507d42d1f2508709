/** The syslog driver over TLS: who has a certificate of the site is heard, everybody else is not. */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { openSyslog } from "../../../drivers/syslog/driver.ts";
import { makeCertificates } from "../../support/switch_lab.ts";

const LINE =
  "[NEW] tcp 6 120 SYN_SENT src=10.1.0.11 dst=10.2.0.11 sport=1000 dport=80 src=10.2.0.11 dst=10.1.0.11 " +
  "sport=80 dport=1000\n";
const COUNTED_MS_MAX = 30_000;

Deno.test("the syslog driver hears over TLS only who has a certificate of its authority", async () => {
  const directory = await Deno.makeTempDir();
  const { ca, node, switch: box, foreign } = await makeCertificates(directory);
  const driver = await openSyslog(
    { format: "conntrack", listen: "127.0.0.1:0", transport: "tls", ca, ...node },
    { name: "fw", nowMs: () => 1, say: () => {} },
  );
  const read = (path: string) => Deno.readTextFileSync(path);
  /** Sends a line and waits for the end of the connection. */
  const send = (with_: { cert?: string; key?: string }) =>
    new Promise<void>((resolve) => {
      const options = { host: "127.0.0.1", port: driver.address!.port, ca: [read(ca)], ...with_ };
      const socket = connect({ ...options, checkServerIdentity: () => undefined });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.once("secureConnect", () => socket.end(LINE));
    });
  const until = async (name: string, count: number) => {
    for (const endMs = Date.now() + COUNTED_MS_MAX; (driver.counters()[name] ?? 0) < count;) {
      assert.ok(Date.now() < endMs, `${name} stands at ${driver.counters()[name]}, not at ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  try {
    await send({});
    await send({ cert: read(foreign.certificate), key: read(foreign.key) });
    await until("refused_tls", 2);
    assert.equal(driver.counters()["messages"], 0);
    await send({ cert: read(box.certificate), key: read(box.key) });
    await until("entries", 1);
    assert.equal(driver.counters()["connections"], 1);
  } finally {
    await driver.close();
    await Deno.remove(directory, { recursive: true });
  }
});
