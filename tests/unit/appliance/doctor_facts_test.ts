/** Reading what kernel and ethtool write. */
import assert from "node:assert/strict";
import {
  hasMount,
  hasProtocol,
  planeConfigOf,
  readAvailableMib,
  readCapabilities,
  readCpuFlags,
  readCpuList,
  readDefaultRoutes,
  readInterfaces,
  readOffloads,
} from "../../../appliance/doctor_facts.ts";

Deno.test("readCapabilities() names the bits that matter", () => {
  assert.deepEqual(
    readCapabilities("Name:\tx\nCapEff:\t0000000000003000\n"),
    new Set(["net_admin", "net_raw"]),
  );
  assert.equal(readCapabilities("CapEff:\t000001ffffffffff\n")?.has("bpf"), true);
  assert.deepEqual(readCapabilities("CapEff:\t0000000000000000\n"), new Set());
  assert.equal(readCapabilities("nothing"), null);
});

Deno.test("readCpuList() and readCpuFlags() read lists", () => {
  assert.deepEqual(readCpuList("0-2,5\n"), [0, 1, 2, 5]);
  assert.deepEqual(readCpuList("\n"), []);
  assert.deepEqual(
    readCpuFlags("processor : 0\nflags\t\t: fpu sse4_2\nbugs :\n"),
    new Set(["fpu", "sse4_2"]),
  );
  assert.equal(readCpuFlags(""), null);
});

Deno.test("readAvailableMib(), hasMount() and hasProtocol() find their line", () => {
  assert.equal(readAvailableMib("MemTotal:  9 kB\nMemAvailable:    2097152 kB\n"), 2048);
  assert.equal(readAvailableMib(""), null);
  const mounts = "none /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\nproc /proc proc rw 0 0\n";
  assert.deepEqual([hasMount(mounts, "hugetlbfs"), hasMount(mounts, "bpf")], [true, false]);
  const protocols = "protocol  size\nPACKET    1600\nXDP  1088\n";
  assert.deepEqual([hasProtocol(protocols, "XDP"), hasProtocol(protocols, "PACK")], [true, false]);
});

Deno.test("readInterfaces() takes the names of a namespace, odd ones too", () => {
  const dev = "Inter-|   Receive\n face |bytes\n    lo:  438765     702\neth0.100: 1 2\n  a:b: 1 2\n";
  assert.deepEqual(readInterfaces(dev), new Set(["lo", "eth0.100", "a:b"]));
  assert.deepEqual(readInterfaces(""), new Set());
});

Deno.test("readDefaultRoutes() finds default routes of IPv4 and IPv6, and not those of lo", () => {
  const route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n" +
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\n" +
    "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";
  const zeros = "0".repeat(32);
  const line = (length: string, name: string) =>
    `${zeros} ${length} ${zeros} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     ${name}`;
  const ipv6 = [line("00", "eth2"), line("00", "lo"), line("40", "eth3")].join("\n");
  assert.deepEqual(readDefaultRoutes(route, ipv6), ["eth0", "eth2"]);
  assert.deepEqual(readDefaultRoutes("", ""), []);
});

Deno.test("readOffloads() takes what is on and not fixed", () => {
  const text =
    "Features for eth0:\nrx-checksumming: on\ntcp-segmentation-offload: on\n\ttx-tcp-segmentation: on\n" +
    "generic-segmentation-offload: off\ngeneric-receive-offload: on\nlarge-receive-offload: off [fixed]\n" +
    "rx-vlan-offload: on [fixed]\n";
  assert.deepEqual(readOffloads(text), ["tso", "gro"]);
});

Deno.test("planeConfigOf() knows a plane by its command line", () => {
  const words = (...list: string[]) => list.join("\0") + "\0";
  assert.equal(
    planeConfigOf(words("/opt/deno", "run", "-A", "/opt/mod.ts", "plane", "--config", "/r/a.toml")),
    "/r/a.toml",
  );
  assert.equal(planeConfigOf(words("/usr/bin/remediate", "plane", "--config", "/r/a.toml")), "/r/a.toml");
  assert.equal(planeConfigOf(words("remediate", "plane")), "");
  assert.equal(planeConfigOf(words("remediate", "run", "--config", "plane")), null);
  assert.equal(planeConfigOf(words("fly", "plane")), null);
  assert.equal(planeConfigOf(""), null);
});
