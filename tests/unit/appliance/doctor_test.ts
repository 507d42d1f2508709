/** Findings about a machine: one fault at a time, on a machine that is otherwise good. */
import assert from "node:assert/strict";
import { type Config, parseConfig } from "../../../appliance/config.ts";
import { examine } from "../../../appliance/doctor_checks.ts";
import type { Facts, InterfaceFacts, PciFacts, PortFacts } from "../../../appliance/doctor_facts.ts";
import type { Finding } from "../../../appliance/doctor_finding.ts";
import { type Role, ROLES } from "../../../appliance/view.ts";

const INTERFACE: InterfaceFacts = {
  kind: "interface",
  exists: true,
  up: true,
  mtu: 1500,
  addresses: [],
  master: null,
  offloads: [],
};
const PCI: PciFacts = { kind: "pci", exists: true, driver: "vfio-pci", interfaces: [] };

function config(spec: (role: Role, index: number) => string, more = ""): Config {
  const lines = ROLES.map((role, index) =>
    `${role.replace("-", "_")} = ${JSON.stringify(spec(role, index))}`
  );
  const { config, problems } = parseConfig(`[ports]\n${lines.join("\n")}\n${more}`, "t.toml");
  assert.deepEqual(problems, []);
  return config!;
}

const SOFT = config((_, index) => `af_packet:p${index}`);
const HARD = config((_, index) => `0000:03:00.${index}`);

function facts(more: Partial<Facts> = {}, port: PortFacts = INTERFACE): Facts {
  return {
    uid: 0,
    capabilities: new Set(["net_admin", "net_raw", "ipc_lock", "sys_rawio", "sys_admin", "bpf"]),
    cpus: [0, 1],
    cpuFlags: new Set(["sse4_1", "sse4_2", "ssse3", "popcnt"]),
    hugepages: [{ kib: 2048, total: 1024, free: 1024 }],
    availableMib: 8000,
    sharedMib: 4000,
    kernel: { afPacket: true, afXdp: true, bpffs: true, tun: true },
    iommu: true,
    vfio: true,
    noIommuMode: false,
    planeLibrary: null,
    pcapLibrary: null,
    state: { path: "/var/lib/remediate", writable: true, freeMib: 10_000 },
    runtime: { path: "/run/remediate", writable: true },
    ownPlane: false,
    otherPlanes: [],
    management: new Map(),
    ports: new Map(ROLES.map((role) => [role, port])),
    ...more,
  };
}

/** The one thing that is not ok. */
function only(findings: readonly Finding[]): Finding {
  const bad = findings.filter(({ level }) => level !== "ok");
  assert.equal(bad.length, 1, JSON.stringify(bad, null, 1));
  assert.ok(bad[0]!.fix, "it names no fix");
  return bad[0]!;
}

/** The one thing wrong when a single port differs. */
function port(seen: PortFacts, of: Config = SOFT, more: Partial<Facts> = {}): Finding {
  const good = of === HARD ? PCI : INTERFACE;
  const ports = new Map<Role, PortFacts>(ROLES.map((role) => [role, role === "upstream" ? seen : good]));
  return only(examine(facts({ ports, ...more }), of));
}

Deno.test("examine() finds nothing wrong with a good machine, with soft ports, PCI ports or no configuration", () => {
  for (const findings of [examine(facts(), SOFT), examine(facts({}, PCI), HARD), examine(facts(), null)]) {
    assert.deepEqual(findings.filter(({ level }) => level !== "ok"), []);
    for (const { text, fix } of findings) {
      assert.match(text, /^[A-Z0-9/a-z_:`].*\.$/s);
      assert.equal(fix, null);
    }
  }
});

Deno.test("examine() fails without the rights that the ports need", () => {
  const bare = new Set(["net_admin", "net_raw", "ipc_lock"]);
  const user = only(examine(facts({ uid: 1000, capabilities: new Set() }), SOFT));
  assert.deepEqual([user.level, user.fix], ["fail", "run it as root"]);
  assert.match(user.text, /Lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK \(user id 1000\)/);
  assert.deepEqual(
    examine(facts({ uid: 1000, capabilities: bare }), SOFT).filter(({ level }) => level !== "ok"),
    [],
  );
  assert.match(only(examine(facts({ capabilities: bare }, PCI), HARD)).text, /CAP_SYS_RAWIO, CAP_SYS_ADMIN/);
  assert.equal(only(examine(facts({ uid: 1000, capabilities: null }), SOFT)).topic, "rights");
});

Deno.test("examine() names the command for hugepages, and fails only where they are insisted on", () => {
  const none = facts({ hugepages: [{ kib: 2048, total: 0, free: 0 }, { kib: 1048576, total: 4, free: 4 }] });
  const auto = only(examine(none, SOFT));
  assert.deepEqual([auto.level, auto.topic, auto.fix], [
    "warn",
    "hugepages",
    "echo 128 > /proc/sys/vm/nr_hugepages",
  ]);
  const insisting = config((_, index) => `af_packet:p${index}`, '[plane]\nhugepages = "on"\n');
  assert.equal(only(examine(none, insisting)).level, "fail");
  const without = config((_, index) => `af_packet:p${index}`, '[plane]\nhugepages = "off"\n');
  assert.deepEqual(examine(none, without).filter(({ level }) => level !== "ok"), []);
});

Deno.test("examine() tells the plan of cores, and warns of workers without a CPU", () => {
  const on = (lines: string) => config((_, index) => `af_packet:p${index}`, `[plane]\n${lines}\n`);
  const plan = (lines: string) => examine(facts(), on(lines)).find(({ topic }) => topic === "cores")!.text;
  assert.equal(plan("cores = 1"), "One worker has all six ports.");
  assert.match(plan("cores = 2"), /client side, one those of the server side/);
  const four = only(examine(facts(), on("cores = 4")));
  assert.deepEqual([four.level, four.topic, four.fix], ["warn", "cores", "set plane.cores to 2"]);
  assert.match(four.text, /^2 workers share .* There are 2 CPUs for 4 workers/);
  const late = only(examine(facts(), on("cores = 2\ncore = 1")));
  assert.deepEqual([late.level, late.topic, late.fix], ["warn", "core", "set plane.core to one of 0"]);
  assert.match(late.text, /No CPU 2 is online/);
});

Deno.test("examine() fails when memory, CPU, libraries or directories are not there", () => {
  assert.match(
    only(examine(facts({ availableMib: 50 }), SOFT)).text,
    /50 MiB are available, 96 MiB are needed/,
  );
  assert.match(
    only(examine(facts({ cpuFlags: new Set(["ssse3", "sse4_1", "popcnt"]) }), SOFT)).text,
    /lacks sse4_2/,
  );
  const pinned = config((_, index) => `af_packet:p${index}`, "[plane]\ncore = 7\n");
  assert.equal(only(examine(facts(), pinned)).fix, "set plane.core to one of 0, 1");
  assert.equal(
    only(examine(facts({ planeLibrary: "Cannot load it" }), SOFT)).fix,
    "build it with ./scripts/native",
  );
  assert.equal(only(examine(facts({ pcapLibrary: "it is missing" }), SOFT)).fix, "apt install libpcap0.8");
  const full = only(examine(facts({ state: { path: "/s", writable: true, freeMib: 3 } }), SOFT));
  assert.deepEqual([full.level, full.text], ["warn", "/s has 3 MiB left."]);
  assert.equal(only(examine(facts({ runtime: { path: "/r", writable: false } }), SOFT)).level, "fail");
});

Deno.test("examine() fails for a kernel feature only when a port needs it", () => {
  const poor = { kernel: { afPacket: true, afXdp: false, bpffs: false, tun: false } };
  assert.deepEqual(examine(facts(poor), SOFT).filter(({ level }) => level !== "ok"), []);
  const xdp = config((_, index) => `af_xdp:p${index}`);
  const faults = examine(facts(poor), xdp).filter(({ level }) => level !== "ok");
  assert.deepEqual(faults.map(({ level, fix }) => [level, fix]), [
    ["fail", "use a kernel with CONFIG_XDP_SOCKETS, or other ports"],
    ["fail", "mount -t bpf bpf /sys/fs/bpf"],
  ]);
  assert.match(only(examine(facts({ iommu: false }, PCI), HARD)).fix!, /intel_iommu=on/);
  assert.deepEqual(
    examine(facts({ iommu: false, noIommuMode: true }, PCI), HARD).filter((f) => f.level !== "ok"),
    [],
  );
  assert.equal(only(examine(facts({ vfio: false }, PCI), HARD)).fix, "modprobe vfio-pci");
});

Deno.test("examine() refuses the interface by which its owner reaches the machine", () => {
  const management = new Map([["p0", "carries the default route"]]);
  const soft = only(examine(facts({ management }), SOFT));
  assert.equal(soft.text, "p0 carries the default route: the node would cut it off.");
  assert.equal(soft.level, "fail");
  const hard = port({ ...PCI, driver: "e1000e", interfaces: ["p0"] }, HARD, { management });
  assert.match(hard.text, /^0000:03:00\.0 is p0, which carries the default route/);
});

Deno.test("examine() says of each port what is wrong with it and how to mend it", () => {
  assert.match(port({ ...INTERFACE, exists: false }).text, /There is no interface p0/);
  assert.equal(port({ ...INTERFACE, master: "br0" }).fix, "ip link set p0 nomaster");
  assert.equal(port({ ...INTERFACE, addresses: ["10.0.0.1"] }).fix, "ip address flush dev p0");
  assert.equal(port({ ...INTERFACE, up: false }).fix, "ip link set p0 up");
  const offloads = port({ ...INTERFACE, offloads: ["gro", "tso"] });
  assert.deepEqual([offloads.level, offloads.fix], ["warn", "ethtool -K p0 gro off tso off"]);
  assert.equal(port({ ...INTERFACE, offloads: null }).fix, "apt install ethtool");
  assert.match(port({ ...PCI, exists: false }, HARD).text, /There is no PCI device 0000:03:00\.0/);
  const bound = port({ ...PCI, driver: "ixgbe" }, HARD);
  assert.equal(bound.fix, "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0");
  assert.match(port({ ...PCI, driver: null }, HARD).text, /is bound to no driver/);
});

Deno.test("examine() looks for the files and sockets that ports need, and for taps in the way", () => {
  const files = config((_, index) => index === 0 ? "pcap:/a.pcap" : "null");
  const nothing = new Map<Role, PortFacts>(ROLES.map((role) => [role, { kind: "nothing" }]));
  const missing = new Map(nothing).set("upstream", { kind: "file", missing: ["/a.pcap"] });
  assert.equal(
    only(examine(facts({ ports: missing }), files)).text,
    "pcap:/a.pcap needs /a.pcap, which is not there.",
  );
  const taps = config((_, index) => index === 0 ? "tap:t0" : "null");
  const there = new Map<Role, PortFacts>(nothing).set("upstream", INTERFACE);
  assert.equal(only(examine(facts({ ports: there }), taps)).fix, "ip link delete t0");
  const own = examine(facts({ ports: there, ownPlane: true }), taps).filter(({ level }) => level !== "ok");
  assert.deepEqual(own, []);
});

Deno.test("examine() holds MTUs against each other and against frame_bytes_max", () => {
  const differing = port({ ...INTERFACE, mtu: 9000 });
  assert.match(differing.text, /MTUs differ \(1500 to 9000\)/);
  assert.match(differing.fix!, /^ip link set p1 mtu 9000; /);
  const small = config((_, index) => `af_packet:p${index}`, "[plane]\nframe_bytes_max = 1518\n");
  assert.equal(
    only(examine(facts({}, { ...INTERFACE, mtu: 9000 }), small)).fix,
    "set plane.frame_bytes_max to 9018",
  );
  const xdp = config((_, index) => index === 0 ? "af_xdp:p0" : "null");
  const nothing = new Map<Role, PortFacts>(ROLES.map((role) => [role, { kind: "nothing" }]));
  const big = only(examine(facts({ ports: nothing.set("upstream", { ...INTERFACE, mtu: 9000 }) }), xdp));
  assert.deepEqual([big.level, big.topic], ["fail", "port upstream"]);
});

Deno.test("examine() tells of planes that run, its own and others", () => {
  const own = examine(facts({ ownPlane: true, hugepages: [] }), SOFT);
  assert.ok(own.some(({ text }) => text.includes("`run` will take it over")));
  assert.deepEqual(own.filter(({ level }) => level !== "ok"), []);
  assert.match(only(examine(facts({ otherPlanes: [812] }), SOFT)).fix!, /kill 812$/);
});

Deno.test("examine() says whether a NIC has a relay that joins upstream and downstream", () => {
  const on = '[failover]\nbypass = "on_failure"\n';
  const hard = config((_, index) => `0000:03:00.${index}`, on);
  const apart = config((_, index) => `0000:0${index}:00.0`, on);
  const relay: PciFacts = { ...PCI, relay: true };
  assert.match(only(examine(facts({}, PCI), hard)).text, /upstream and downstream have no bypass relay/);
  assert.match(only(examine(facts({}, relay), apart)).text, /on two adapters/);
  const good = examine(facts({}, relay), hard);
  assert.deepEqual(good.filter(({ level }) => level !== "ok"), []);
  assert.ok(good.some(({ topic }) => topic === "bypass"));
  assert.ok(!examine(facts({}, PCI), HARD).some(({ topic }) => topic === "bypass"));
});
