/** Every form of a port, and the ways to get it wrong. */
import assert from "node:assert/strict";
import { isPort, parsePort, type Port } from "../../../appliance/config_ports.ts";

function port(text: string): Port {
  const found = parsePort(text);
  assert.ok(isPort(found), `${text} was refused`);
  return found;
}

function reason(text: string): string {
  const found = parsePort(text);
  assert.ok(!isPort(found), `${text} was taken`);
  return found.reason;
}

Deno.test("parsePort() takes each kind", () => {
  assert.deepEqual(port("0000:03:00.0"), {
    spec: "0000:03:00.0",
    kind: "pci",
    target: "0000:03:00.0",
    output: "",
    memifRole: "client",
    claims: ["PCI device 0000:03:00.0"],
  });
  assert.equal(port("0000:0A:1F.7").spec, "0000:0a:1f.7");
  assert.equal(port("af_xdp:enp3s0f0").kind, "af_xdp");
  assert.equal(port("af_packet:eth0.100").target, "eth0.100");
  assert.equal(port("tap:rm0").kind, "tap");
  assert.deepEqual(port("null").claims, []);
});

Deno.test("parsePort() takes memif with its role, on a file or an abstract socket", () => {
  assert.equal(port("memif:/run/vpp/memif.sock").memifRole, "client");
  assert.equal(port("memif:@name,role=server").memifRole, "server");
  assert.equal(port("memif:@name,role=server").target, "@name");
  assert.match(reason("memif:run/x"), /neither an absolute path nor/);
  assert.match(reason("memif:"), /names no socket/);
  assert.match(reason("memif:/a,role=master"), /unknown option "role=master"/);
  assert.match(reason("memif:/a,role=client,role=server"), /more than once/);
});

Deno.test("parsePort() takes a file to receive from, and one to send to", () => {
  assert.equal(port("pcap:/a/b.pcap").target, "/a/b.pcap");
  assert.equal(port("pcap:rx=/in.pcap,tx=/out.pcap").output, "/out.pcap");
  assert.deepEqual(port("pcap:tx=/out.pcap,rx=/in.pcap").claims, ["file /out.pcap"]);
  assert.match(reason("pcap:"), /names no file/);
  assert.match(reason("pcap:tx=/out.pcap"), /no rx=FILE/);
  assert.match(reason("pcap:rx=/a,tx=/a"), /the same file/);
  assert.match(reason("pcap:rx=/a,rx=/b"), /rx more than once/);
  assert.match(reason("pcap:/a,/b"), /where rx=FILE or tx=FILE belongs/);
});

Deno.test("parsePort() takes a generator with its settings, which nobody else is kept from", () => {
  const made = port("gen:flows=100000,sizes=imix,kinds=mix,new=0.5,fin=2,zipf=1,seed=1,cold=0,rate=1000000");
  assert.deepEqual([made.kind, made.claims], ["gen", []]);
  assert.equal(port("gen:").kind, "gen");
  assert.equal(port("gen:flows=0,sizes=1514").target, "flows=0,sizes=1514");
  assert.match(reason("gen:flows"), /has "flows" where one of flows, sizes, .* belongs/);
  assert.match(reason("gen:speed=1"), /has "speed=1" where one of/);
  assert.match(reason("gen:flows=1,flows=2"), /gives flows more than once/);
  assert.match(reason("gen:flows=-1"), /has flows "-1", which is no number from 0 to 100000000/);
  assert.match(reason("gen:sizes=63"), /has sizes "63", which is neither imix nor a number from 64 to 9000/);
  assert.match(reason("gen:kinds=udp"), /has kinds "udp", which is neither tcp nor mix/);
});

Deno.test("parsePort() says what was probably meant", () => {
  assert.match(reason("eth1"), /write "af_packet:eth1"/);
  assert.match(reason("03:00.0"), /write "0000:03:00.0"/);
  assert.match(reason("af_packet:"), /names no interface/);
  assert.match(reason("af_packet:averylonginterfacename"), /longer than 15 bytes/);
  assert.match(reason("af_packet:a b"), /no possible interface/);
  assert.match(reason("dpdk:eth1"), /is no port/);
  assert.match(reason(""), /is no port/);
  assert.match(reason(`pcap:/${"x".repeat(240)}`), /longer than 239 bytes/);
  assert.match(reason("pcap:/a\u0007"), /control character/);
});
