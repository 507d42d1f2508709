/** HAProxy itself logs to the syslog driver: which server a client was given becomes a record that others can read. */
import assert from "node:assert/strict";
import { ALL } from "../../drivers/fields.ts";
import { openSyslog } from "../../drivers/syslog/driver.ts";
import { end, sleep } from "../../scripts/lab/process.ts";

const HOST = "127.0.0.1";

function freePort(): number {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

const config = (log: number, http: number, tcp: number, server: number) =>
  `global
  log ${HOST}:${log} local0
defaults
  log global
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend web
  mode http
  option httplog
  bind ${HOST}:${http}
  default_backend pool
frontend plain
  mode tcp
  option tcplog
  bind ${HOST}:${tcp}
  default_backend straight
backend pool
  mode http
  server one ${HOST}:${server}
backend straight
  mode tcp
  server two ${HOST}:${server}
`;

Deno.test("the syslog driver has of HAProxy's own log which server a client was given", async () => {
  const driver = await openSyslog(
    { format: "haproxy", listen: `${HOST}:0` },
    { name: "lb", nowMs: () => Date.now(), say: () => {} },
  );
  const server = Deno.serve({ hostname: HOST, port: 0, onListen: () => {} }, () => new Response("x"));
  const directory = await Deno.makeTempDir();
  const file = `${directory}/haproxy.cfg`, [http, tcp] = [freePort(), freePort()];
  await Deno.writeTextFile(file, config(driver.address!.port, http, tcp, server.addr.port));
  const haproxy = new Deno.Command("haproxy", { args: ["-db", "-f", file], stdout: "null", stderr: "null" })
    .spawn();
  try {
    const ask = async (port: number) => {
      for (let n = 0; n < 3_000; n++) {
        const answer = await fetch(`http://${HOST}:${port}/`, { headers: { connection: "close" } }).catch(
          () => null,
        );
        if (answer !== null) return await answer.text();
        await sleep(10);
      }
      throw new Error("Cannot reach HAProxy");
    };
    assert.deepEqual([await ask(http), await ask(tcp)], ["x", "x"]);
    for (let n = 0; n < 3_000 && driver.counters()["alive"] !== 2; n++) await sleep(10);
    const records = await Array.fromAsync(driver.get("supporting", ALL, new AbortController().signal));
    const told = records.map((
      { codec, key, value },
    ) => [codec, key, JSON.parse(new TextDecoder().decode(value)).chosen]);
    assert.deepEqual(told.toSorted(), [
      ["choice/1", "plain 127.0.0.1", "straight/two"],
      ["choice/1", "web 127.0.0.1", "pool/one"],
    ]);
    const { not_understood, refused } = driver.counters();
    assert.deepEqual([not_understood, refused], [0, 0]);
  } finally {
    end(haproxy, "SIGTERM");
    await haproxy.status;
    await server.shutdown();
    await driver.close();
    await Deno.remove(directory, { recursive: true });
  }
});
