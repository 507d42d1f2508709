/** External switches in the configuration: what comes of good tables, and what every bad one is told. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";

const PORTS = ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"]
  .map((role) => `${role} = "null"`).join("\n");
const SIX = `upstream = "1"\ndownstream = "2"\nprimary_in = "pin"\nprimary_out = "pout"\nredundant_in = "rin"
redundant_out = "rout"`;
const CLIENT = 'upstream = "1"\nprimary_in = "2"\nredundant_in = "3"';

function aSwitch(...lines: string[]): string {
  return `[[switch]]\n${lines.join("\n")}\n`;
}

function parsed(...tables: string[]) {
  return parseConfig(`[ports]\n${PORTS}\n${tables.join("")}`, "t.toml");
}

function reasons(...tables: string[]): string[] {
  return parsed(...tables).problems.map(({ line, key, reason }) => `${line} ${key} ${reason}`);
}

const NAMED = 'name = "edge"\naddress = "tcp:192.0.2.7:6653"';

Deno.test("parseConfig() makes settings of a switch, with the policy of the node where it has none", () => {
  const { config, problems } = parsed(aSwitch(NAMED, SIX, 'datapath = "00000200000000AB"'));
  assert.deepEqual(problems, []);
  assert.deepEqual(config!.switches, [{
    name: "edge",
    by: "connect",
    address: { scheme: "tcp", host: "192.0.2.7", port: 6653 },
    tls: null,
    datapath: "00000200000000ab",
    client: { outer: "1", boxes: ["pin", "rin"] },
    server: { outer: "2", boxes: ["pout", "rout"] },
    bypass: null,
    deadPolicy: "forward",
    mirror: "state",
    table: 0,
    priority: 1000,
    groupFirst: 21000,
    verifyMs: 1000,
  }]);
  assert.deepEqual(parsed().config!.switches, []);
});

Deno.test("parseConfig() takes a switch of one side that comes by TLS, with several redundant boxes", () => {
  const lines = [
    'name = "a"',
    'listen = "tls:[2001:db8::1]:6653"',
    'ca = "/c"',
    'certificate = "/d"',
    'key = "/e"',
  ];
  const ports = 'upstream = "1"\nprimary_in = "2"\nredundant_in = "3, 4,eth5"\nbypass = "9"';
  const { config, problems } = parsed(aSwitch(...lines, ports, 'dead_policy = "forward"'));
  assert.deepEqual(problems, []);
  const [one] = config!.switches;
  assert.equal(one!.by, "listen");
  assert.deepEqual(one!.address, { scheme: "tls", host: "2001:db8::1", port: 6653 });
  assert.deepEqual(one!.tls, { ca: "/c", certificate: "/d", key: "/e" });
  assert.deepEqual([one!.client, one!.server, one!.bypass], [
    { outer: "1", boxes: ["2", "3", "4", "eth5"] },
    null,
    "9",
  ]);
});

Deno.test("parseConfig() names place and reason of what is wrong with a switch", () => {
  const cases: [string[], string[]][] = [
    [[aSwitch('name = "edge"', SIX)], ["8 switch[0] has neither address nor listen"]],
    [[aSwitch(NAMED, SIX, 'listen = "tcp:0.0.0.0:1"')], [
      "17 switch[0].listen stands beside address: either end dials, not both",
    ]],
    [[aSwitch('name = "edge"\naddress = "tls:192.0.2.7:6653"', SIX)], [
      "8 switch[0].ca is missing, and tls needs it",
      "8 switch[0].certificate is missing, and tls needs it",
      "8 switch[0].key is missing, and tls needs it",
    ]],
    [[aSwitch(NAMED, SIX, 'ca = "/x"')], ["17 switch[0].ca has no effect without tls"]],
    [[aSwitch(NAMED, 'upstream = "1"\nprimary_in = "2"\nbypass = "9"')], [
      "8 switch[0].redundant_in is missing beside upstream",
    ]],
    [[aSwitch(NAMED)], ["8 switch[0] has no ports"]],
    [[aSwitch(NAMED, CLIENT)], [
      "8 switch[0].dead_policy is forward, and this switch has one side and no way around the boxes",
    ]],
    [[aSwitch(NAMED, SIX, 'bypass = "9"')], [
      "17 switch[0].bypass has no effect: this switch joins upstream and downstream itself",
    ]],
    [[aSwitch(NAMED, SIX.replace('"pout"', '"1"'))], [
      "14 switch[0].primary_out holds 1, which is already upstream",
    ]],
    [[aSwitch(NAMED, SIX.replace('"rin"', '"3,4"'))], [
      "16 switch[0].redundant_out names 1 boxes, and redundant_in 2",
    ]],
    [[aSwitch(NAMED.replace("tcp:", "udp:"), SIX)], ["10 switch[0].address is no address"]],
    [[aSwitch(NAMED.replace("6653", "66535"), SIX)], ["10 switch[0].address is no address"]],
    [[aSwitch(NAMED, SIX, 'datapath = "2a"')], ["17 switch[0].datapath is no datapath"]],
    [[aSwitch(NAMED, SIX.replace('"rin"', '"a,b,c,d"'))], ["15 switch[0].redundant_in names 4 boxes"]],
  ];
  for (const [tables, expected] of cases) assert.deepEqual(reasons(...tables), expected);
});

Deno.test("parseConfig() keeps switches apart that would be taken for each other", () => {
  const twice = reasons(aSwitch(NAMED, SIX), aSwitch(NAMED, SIX));
  assert.deepEqual(twice, [
    "18 switch[1].name is that of switch[0] as well",
    "19 switch[1].address is that of switch[0] as well",
  ]);
  const listen = 'listen = "tcp:0.0.0.0:6653"';
  const shared = reasons(aSwitch('name = "a"', listen, SIX), aSwitch('name = "b"', listen, SIX));
  assert.deepEqual(shared, [
    "8 switch[0].datapath is missing, and switch[1] shares tcp:0.0.0.0:6653",
    "17 switch[1].datapath is missing, and switch[0] shares tcp:0.0.0.0:6653",
  ]);
  const datapath = 'datapath = "000000000000000a"';
  const other = aSwitch('name = "b"', 'address = "tcp:192.0.2.8:6653"', SIX, datapath.replace("0a", "0A"));
  assert.deepEqual(reasons(aSwitch(NAMED, SIX, datapath), other).map((text) => text.replace(/^\d+ /, "")), [
    "switch[1].datapath is that of switch[0] as well",
  ]);
  const three = aSwitch(
    'name = "b"',
    'address = "tcp:192.0.2.8:6653"',
    CLIENT.replace('"3"', '"3,4"'),
    'bypass = "9"',
  );
  assert.match(
    reasons(aSwitch(NAMED, SIX), three).join(),
    /redundant_in names 2 boxes, and switch\[0\]\.redundant_in 1/,
  );
});

Deno.test("parseConfig() warns that groups switch by themselves", () => {
  const { warnings } = parsed(aSwitch(NAMED, SIX), "[failover]\nautomatic = false\n");
  assert.match(warnings.map(({ reason }) => reason).join(), /fast-failover groups .* switch by themselves/);
  const four = SIX.replace('"rin"', '"a, b"').replace('"rout"', '"c, d"');
  const unnamed = parsed(aSwitch(NAMED, four)).warnings.map(({ key, reason }) => `${key} ${reason}`);
  assert.match(unnamed.join(), /^switch\[0\]\.redundant_in names more redundant boxes than this file \(1\)/);
  const named = parsed('[[redundant]]\nin = "null"\nout = "null"\n', aSwitch(NAMED, four));
  assert.deepEqual([named.problems, named.warnings], [[], []]);
});
