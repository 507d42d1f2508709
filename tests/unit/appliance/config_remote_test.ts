/** Remote ports: every setting, the ways to get one wrong, and where they may be. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { isPort, parsePort } from "../../../appliance/config_ports.ts";
import { parseRemote } from "../../../appliance/config_remote.ts";

const KEY = "key=/etc/remediate/channel.key";

function reason(rest: string): string {
  const found = parseRemote(rest);
  assert.ok("reason" in found, `${rest} was taken`);
  return found.reason;
}

Deno.test("parseRemote() takes an address and a key, and every setting", () => {
  assert.deepEqual(parseRemote(`192.0.2.7:4790,${KEY}`), {
    address: "192.0.2.7:4790",
    keyFile: "/etc/remediate/channel.key",
    mtu: null,
  });
  const all = `[2001:db8::7]:4790,${KEY},local=2001:db8::1,silence_ms=50,wait_ms=0,reorder_us=0,ring_mib=64` +
    ",mtu=1400,encrypt=yes";
  assert.deepEqual(parseRemote(all), {
    address: "[2001:db8::7]:4790",
    keyFile: "/etc/remediate/channel.key",
    mtu: 1400,
  });
});

Deno.test("parseRemote() says what is wrong and where", () => {
  assert.match(reason(""), /has "" where an address belongs/);
  assert.match(reason(`far.example:4790,${KEY}`), /has "far.example:4790" where an address belongs/);
  assert.match(reason(`192.0.2.7,${KEY}`), /"192.0.2.7" without a UDP port/);
  assert.match(reason(`192.0.2.7:70000,${KEY}`), /without a UDP port/);
  assert.match(reason(`2001:db8::7:4790,${KEY}`), /where an address belongs/);
  assert.match(reason("192.0.2.7:4790"), /has no key=FILE/);
  assert.match(reason("192.0.2.7:4790,key=secret"), /the key "secret", which is no absolute path/);
  assert.match(reason(`192.0.2.7:4790,${KEY},${KEY}`), /gives key more than once/);
  assert.match(
    reason(`192.0.2.7:4790,${KEY},wait_ms=-1`),
    /wait_ms "-1", which is no number from 0 to 10000/,
  );
  assert.match(reason(`192.0.2.7:4790,${KEY},silence_ms=0`), /silence_ms "0", which is no number from 10 to/);
  assert.match(reason(`192.0.2.7:4790,${KEY},encrypt=on`), /encrypt "on", which is neither yes nor no/);
  assert.match(reason(`192.0.2.7:4790,${KEY},resend=no`), /has "resend=no" where one of key, local, /);
  assert.match(reason(`192.0.2.7:4790,${KEY},local=eth0`), /has "eth0" where an address belongs/);
});

Deno.test("parsePort() gives a remote port its far end, which no other port may hold", () => {
  const found = parsePort(`remote:192.0.2.7:4790,${KEY}`);
  assert.ok(isPort(found));
  assert.deepEqual([found.kind, found.target, found.claims], [
    "remote",
    "192.0.2.7:4790",
    ["far end 192.0.2.7:4790"],
  ]);
});

function problems(changes: Readonly<Record<string, string>>, more = ""): string[] {
  const ports = {
    ...{ upstream: "af_packet:a", downstream: "af_packet:b", primary_in: "af_packet:c" },
    ...{ primary_out: "af_packet:d", redundant_in: "af_packet:e", redundant_out: "af_packet:f" },
    ...changes,
  };
  const text = ["[ports]", ...Object.entries(ports).map(([role, spec]) => `${role} = "${spec}"`), more].join(
    "\n",
  );
  return parseConfig(text, "test.toml").problems.map(({ key, reason }) => `${key} ${reason}`);
}

Deno.test("parseConfig() lets boxes be remote, each port by a channel of its own, and nothing else", () => {
  const both = {
    redundant_in: `remote:192.0.2.7:4790,${KEY}`,
    redundant_out: `remote:192.0.2.7:4791,${KEY}`,
  };
  assert.deepEqual(problems(both), []);
  assert.match(problems({ ...both, redundant_out: both.redundant_in }).join(), /far end 192.0.2.7:4790/);
  assert.match(
    problems({ upstream: both.redundant_in }).join(),
    /upstream is remote, which only ports of boxes/,
  );
  assert.match(problems(both, "[plane]\ncores = 4").join(), /redundant_in has one receive queue/);
});
