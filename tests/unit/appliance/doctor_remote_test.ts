/** What doctor says of a port of a box elsewhere. */
import assert from "node:assert/strict";
import type { Config, Port } from "../../../appliance/config.ts";
import { parsePort } from "../../../appliance/config_ports.ts";
import type { RemoteFacts } from "../../../appliance/doctor_facts.ts";
import { remoteFaults } from "../../../appliance/doctor_remote.ts";

const GOOD: RemoteFacts = { kind: "remote", keyBytes: 45, keyMode: 0o100600, routed: true, mtu: 1_600 };
const CONFIG = { plane: { frameBytesMax: 1_522 } } as Config;

function found(change: Partial<RemoteFacts> = {}, settings = ""): string[] {
  const port = parsePort(`remote:192.0.2.7:4790,key=/etc/key${settings}`) as Port;
  return remoteFaults({ ...GOOD, ...change }, CONFIG, { port, topic: "port redundant-in" })
    .map(({ level, text }) => `${level} ${text}`);
}

Deno.test("remoteFaults() says whether every frame fits into one packet", () => {
  assert.deepEqual(found(), ["ok Every frame fits into one packet to 192.0.2.7:4790 (MTU 1600)."]);
  const parts =
    "warn Frames above 1424 bytes go to 192.0.2.7:4790 in parts: its way takes packets of 1500 bytes.";
  assert.deepEqual(found({ mtu: 1_500 }), [parts]);
  assert.deepEqual(found({}, ",mtu=1500"), [parts]);
  assert.deepEqual(found({ mtu: null }), []);
});

Deno.test("remoteFaults() finds a key that is missing, short or open to others, and a far end without a route", () => {
  assert.match(found({ keyBytes: null, keyMode: null })[0]!, /^fail The key \/etc\/key is not there/);
  assert.match(found({ keyBytes: 15 })[0]!, /^fail The key \/etc\/key has 15 bytes, too few/);
  assert.match(found({ keyMode: 0o100644 })[0]!, /^warn Others may read the key/);
  assert.match(
    found({ routed: false, mtu: null })[0]!,
    /^warn There is no route to the far end 192.0.2.7:4790/,
  );
});
