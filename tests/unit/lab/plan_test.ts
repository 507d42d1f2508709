/**
 * The lab's topologies and the scripts made of them, without building anything.
 */
import assert from "node:assert/strict";
import { boxRules, nat64Address, taygaConfig } from "../../../scripts/lab/boxes.ts";
import { failureAction, FAILURES, recoveryAction } from "../../../scripts/lab/failures.ts";
import {
  bridgeScript,
  buildPlan,
  processorMask,
  splitProcessors,
  topologyProblems,
} from "../../../scripts/lab/plan.ts";
import { hotReplica, TOPOLOGIES, type Topology } from "../../../scripts/lab/topology.ts";

Deno.test("hotReplica() gives both boxes the same addresses on both sides", () => {
  const ends = hotReplica().links.flatMap((link) => link.ends);
  for (const name of ["in", "out"]) {
    const [primary, redundant] = ["primary", "redundant"].map((ns) =>
      ends.find((end) => end.ns === ns && end.name === name)
    );
    assert.ok(primary?.mac);
    assert.deepEqual([redundant?.mac, redundant?.addresses], [primary.mac, primary.addresses]);
  }
});

Deno.test("hotReplica() gives clients disjoint source ports, and the same ones when they are to collide", () => {
  const key = "ipv4.ip_local_port_range";
  const slices = hotReplica().namespaces.map((ns) => ns.sysctls?.[key]).filter((slice) =>
    slice !== undefined
  );
  assert.equal(slices.length, 5);
  const ranges = slices.map((slice) => slice.split(" ").map(Number)).sort((a, b) => a[0]! - b[0]!);
  for (const [index, [first, last]] of ranges.entries()) {
    assert.ok(first! < last! && last! < 65_536);
    if (index > 0) assert.ok(first! > ranges[index - 1]![1]!, "slices overlap");
  }
  assert.ok(hotReplica({ collide: true }).namespaces.every((ns) => ns.sysctls?.[key] === undefined));
});

Deno.test("hotReplica() refuses more hosts than its addresses and ports hold", () => {
  assert.throws(() => hotReplica({ clients: 6 }), /Cannot make 6 clients: between 1 and 5 fit/);
  assert.throws(() => hotReplica({ servers: 0 }), /Cannot make 0 servers: between 1 and 9 fit/);
});

Deno.test("topologyProblems() finds nothing wrong with the topologies of the table", () => {
  for (const [name, make] of Object.entries(TOPOLOGIES)) assert.deepEqual(topologyProblems(make()), [], name);
});

Deno.test("topologyProblems() names every mistake at once", () => {
  const topology: Topology = {
    name: "wrong",
    ipv6: false,
    namespaces: [{ name: "a" }, { name: "a" }, { name: "B b" }],
    links: [{ ends: [{ ns: "a", name: "x", bridge: "br" }, { ns: "nowhere", name: "y; reboot" }] }],
    boxes: [{ name: "a", kind: "nat", inside: "x", outside: "z", ports: "preserve", input: "drop" }],
    servers: [],
  };
  const problems = topologyProblems(topology).join("\n");
  for (
    const part of [
      '"a": it is there twice',
      '"B b"',
      "no such bridge",
      "no such namespace",
      '"y; reboot"',
      "z is missing",
    ]
  ) {
    assert.ok(problems.includes(part), `${part} in:\n${problems}`);
  }
  assert.throws(() => buildPlan(topology, "rm0000"), TypeError);
});

Deno.test("buildPlan() makes every interface inside its namespace and never with its peer's index", () => {
  const { batch, scripts } = buildPlan(hotReplica(), "rm12ab");
  const links = batch.split("\n").filter((line) => line.startsWith("link add"));
  const indexes = links.flatMap((line) =>
    [...line.matchAll(/ index (\d+) /g)].map((found) => Number(found[1]))
  );
  assert.equal(new Set(indexes).size, 2 * links.length);
  for (const line of links) assert.equal(line.match(/ netns rm12ab-/g)?.length, 2, line);
  assert.equal(batch.match(/^netns add rm12ab-/gm)?.length, scripts.size);
});

Deno.test("buildPlan() turns off IPv6 and offloads, and limits the servers alone", () => {
  const { scripts } = buildPlan(hotReplica({ serverMbit: 50 }), "rm12ab");
  for (const script of scripts.values()) assert.match(script, /disable_ipv6; do echo 1/);
  assert.match(scripts.get("node")!, /ethtool -K pup tx off rx off tso off gso off gro off/);
  const limited = [...scripts].filter(([, script]) => script.includes("tbf rate 50mbit")).map(([ns]) => ns);
  assert.deepEqual(limited, ["s1", "s2", "s3"]);
  assert.ok(
    ![...buildPlan(hotReplica({ serverMbit: null }), "rm12ab").scripts.values()].join().includes("tbf"),
  );
});

Deno.test("buildPlan() makes boxes strict and leaves the node's namespace without addresses", () => {
  const { scripts } = buildPlan(hotReplica(), "rm12ab");
  for (const box of ["primary", "redundant"]) {
    const script = scripts.get(box)!;
    for (const name of ["nf_conntrack_tcp_loose", "nf_conntrack_tcp_be_liberal"]) {
      assert.ok(script.includes(`echo '0' >/proc/sys/net/netfilter/${name}`), name);
    }
    assert.ok(script.includes("echo '1' >/proc/sys/net/ipv4/ip_forward"));
  }
  assert.ok(!/addr add|ip_forward/.test(scripts.get("node")!));
});

Deno.test("boxRules() drops what conntrack does not know, and translates only in a NAT", () => {
  const box = { name: "primary", inside: "in", outside: "out", ports: "preserve", input: "drop" } as const;
  for (const kind of ["nat", "firewall"] as const) {
    const rules = boxRules({ ...box, kind });
    assert.ok(
      rules.includes("hook forward priority filter; policy drop;") && rules.includes("ct state invalid drop"),
    );
    assert.equal(rules.includes("masquerade"), kind === "nat");
  }
  assert.match(boxRules({ ...box, kind: "nat", ports: "fully-random" }), /masquerade fully-random$/m);
  assert.match(boxRules({ ...box, kind: "nat", input: "reset" }), /reject with tcp reset/);
});

Deno.test("a NAT64 forwards both protocols by its device, and opens from inside to outside alone", () => {
  const topology = hotReplica({ kind: "nat64-pool" });
  const { scripts } = buildPlan(topology, "rm12ab");
  const script = scripts.get("redundant")!;
  assert.match(
    script,
    /disable_ipv6; do echo 0 [^]*ipv6\/conf\/all\/forwarding[^]*^tuntap add dev nat64 mode tun$/m,
  );
  assert.match(scripts.get("node")!, /disable_ipv6; do echo 1 /);
  assert.match(scripts.get("c1")!, /^addr add fd00:1::11\/64 dev eth0 nodad$/m);
  const opens = [...script.matchAll(/iifname "(\w+)" oifname "(\w+)" ct state new accept/g)];
  assert.deepEqual(opens.map(([, from, to]) => [from, to]), [["in", "nat64"], ["nat64", "out"]]);
  const pools = topology.boxes.map((box) => /dynamic-pool (\S+)/.exec(taygaConfig(box))![1]);
  assert.deepEqual(pools, ["10.64.0.0/16", "10.65.0.0/16"]);
  assert.ok(!script.includes("masquerade"));
  assert.ok(
    buildPlan(hotReplica({ kind: "nat64" }), "rm12ab").scripts.get("primary")!.includes("masquerade"),
  );
  assert.equal(nat64Address("10.2.0.11"), "2001:db8:64::10.2.0.11");
});

Deno.test("failureAction() and recoveryAction() name the interfaces they act on", () => {
  const box = hotReplica().boxes[0]!;
  const text = (failure: (typeof FAILURES)[number]) => failureAction(failure, box).argv.join(" ");
  assert.match(text("link-both"), /link set dev in down\\nlink set dev out down/);
  assert.ok(!text("link-in").includes("out down"));
  assert.match(text("silent"), /chain in [^]*device "in"[^]*chain out [^]*device "out"/);
  assert.ok(!text("silent-out").includes('"in"'));
  assert.match(recoveryAction("link-out", box).argv.join(" "), /link set dev out up/);
  assert.deepEqual(recoveryAction("none", box), failureAction("none", box));
});

Deno.test("bridgeScript() joins each pair in a bridge of its own", () => {
  const script = bridgeScript([["pup", "pin"], ["pdn", "pout"]]);
  assert.match(script, /set dev pup master br0\nlink set dev pin master br0/);
  assert.match(script, /set dev pdn master br1\nlink set dev pout master br1/);
});

Deno.test("splitProcessors() leaves the last processor to the node and splits nothing where there is one", () => {
  assert.deepEqual(splitProcessors(4), { world: [0, 1, 2], node: 3 });
  assert.equal(splitProcessors(1), null);
});

Deno.test("processorMask() writes groups of 32 bits, highest first", () => {
  assert.equal(processorMask([0]), "00000001");
  assert.equal(processorMask([1, 3]), "0000000a");
  assert.equal(processorMask([0, 33]), "00000002,00000001");
});

Deno.test("buildPlan() steers what arrives at the node to its processor and all else to the others", () => {
  const { scripts } = buildPlan(hotReplica(), "rm12ab", splitProcessors(2));
  assert.ok(scripts.get("node")!.includes("echo 00000002 >/sys/class/net/pup/queues/rx-0/rps_cpus"));
  assert.ok(scripts.get("primary")!.includes("echo 00000001 >/sys/class/net/in/queues/rx-0/rps_cpus"));
  assert.ok(![...buildPlan(hotReplica(), "rm12ab").scripts.values()].join().includes("rps_cpus"));
});
