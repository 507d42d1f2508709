/**
 * From facts about the configured ports to findings about each.
 *
 * Pure. The worst a node can do on its first run is to take the interface by which its owner reached the
 * machine, so that is refused first.
 */
import { type Config, configuredRoles, type Port } from "./config.ts";
import { remoteFaults } from "./doctor_remote.ts";
import type { Facts, FileFacts, InterfaceFacts, PciFacts } from "./doctor_facts.ts";
import { fail, type Finding, ok, warn } from "./doctor_finding.ts";
import type { Role } from "./view.ts";

/** Ethernet header and one VLAN tag: what a frame has on top of the MTU. */
const FRAME_OVERHEAD_BYTES = 18;
/** One page less headroom and tail: what the kernel takes for XDP without multi-buffer. */
const XDP_MTU_MAX = 3498;
const DPDK_DRIVERS = ["vfio-pci", "uio_pci_generic", "igb_uio"];

export function examinePorts(facts: Facts, config: Config): Finding[] {
  const found = configuredRoles(config).flatMap((role) => examinePort(facts, config, role));
  return [...found, ...relay(facts, config), ...mtus(facts, config)];
}

/** The relay joins the two ports of one adapter, so both outside ports have to be on it. */
function relay(facts: Facts, config: Config): Finding[] {
  if (config.failover.bypass === "off") return [];
  const outside = ["upstream", "downstream"] as const;
  const without = outside.filter((role) => {
    const seen = facts.ports.get(role);
    return seen?.kind !== "pci" || seen.relay !== true;
  });
  const slot = (role: Role) => config.ports[role]!.target.split(".")[0];
  if (without.length > 0) {
    const text = `${without.join(" and ")} have no bypass relay that the node knows (Intel 82599 Bypass).`;
    return [warn("bypass", text, 'failover.bypass = "off", or such an adapter')];
  }
  if (slot("upstream") === slot("downstream")) {
    return [ok("bypass", "The NIC joins upstream and downstream when the plane fails.")];
  }
  return [
    warn(
      "bypass",
      "upstream and downstream are on two adapters: a relay joins ports of one.",
      "use both ports of one",
    ),
  ];
}

function examinePort(facts: Facts, config: Config, role: Role): Finding[] {
  const port = config.ports[role]!;
  const topic = `port ${role}`;
  const seen = facts.ports.get(role);
  if (seen === undefined || seen.kind === "nothing") return [ok(topic, `${port.spec} needs nothing.`)];
  const faults = seen.kind === "interface"
    ? port.kind === "tap"
      ? tapFaults(facts, seen, { port, topic })
      : interfaceFaults(facts, seen, { port, topic })
    : seen.kind === "pci"
    ? pciFaults(facts, seen, { port, topic })
    : seen.kind === "remote"
    ? remoteFaults(seen, config, { port, topic })
    : fileFaults(seen, { port, topic });
  return faults.length > 0 ? faults : [ok(topic, `${port.spec} is there.`)];
}

interface About {
  readonly port: Port;
  readonly topic: string;
}

function interfaceFaults(facts: Facts, seen: InterfaceFacts, { port, topic }: About): Finding[] {
  const name = port.target;
  if (!seen.exists) {
    return [
      fail(topic, `There is no interface ${name}.`, "`ip link` lists those there are; correct the port"),
    ];
  }
  const use = facts.management.get(name);
  if (use !== undefined) {
    return [fail(topic, `${name} ${use}: the node would cut it off.`, "choose an interface of its own")];
  }
  const found: Finding[] = [];
  if (seen.master !== null) {
    const fix = `ip link set ${name} nomaster`;
    found.push(fail(topic, `${name} belongs to ${seen.master}, which would forward past the node.`, fix));
  }
  if (seen.addresses.length > 0) {
    const text = `${name} has the address ${
      seen.addresses.join(", ")
    }, for which the kernel will answer too.`;
    found.push(warn(topic, text, `ip address flush dev ${name}`));
  }
  if (seen.up === false) found.push(warn(topic, `${name} is down.`, `ip link set ${name} up`));
  if (seen.offloads === null) {
    found.push(warn(topic, `Cannot tell which offloads of ${name} are on.`, "apt install ethtool"));
  } else if (seen.offloads.length > 0) {
    const list = seen.offloads;
    const text = `Offloads of ${name} are on that join or alter frames: ${list.join(", ")}.`;
    found.push(warn(topic, text, `ethtool -K ${name} ${list.map((offload) => `${offload} off`).join(" ")}`));
  }
  return found;
}

function tapFaults(facts: Facts, seen: InterfaceFacts, { port, topic }: About): Finding[] {
  // A plane that is running has made it itself.
  if (!seen.exists || facts.ownPlane) return [];
  const use = facts.management.get(port.target);
  if (use !== undefined) return [fail(topic, `${port.target} ${use}.`, "choose another name")];
  return [warn(topic, `An interface ${port.target} is there already.`, `ip link delete ${port.target}`)];
}

function pciFaults(facts: Facts, seen: PciFacts, { port, topic }: About): Finding[] {
  if (!seen.exists) {
    return [
      fail(
        topic,
        `There is no PCI device ${port.target}.`,
        "`lspci -D` lists those there are; correct the port",
      ),
    ];
  }
  for (const name of seen.interfaces) {
    const use = facts.management.get(name);
    if (use === undefined) continue;
    return [
      fail(
        topic,
        `${port.target} is ${name}, which ${use}: the node would cut it off.`,
        "choose another port",
      ),
    ];
  }
  if (seen.driver !== null && DPDK_DRIVERS.includes(seen.driver)) return [];
  const bound = seen.driver === null ? "is bound to no driver" : `is bound to the kernel's ${seen.driver}`;
  const fix = `dpdk-devbind.py --bind=vfio-pci ${port.target}`;
  return [fail(topic, `${port.target} ${bound}, and the plane needs it at vfio-pci.`, fix)];
}

function fileFaults(seen: FileFacts, { port, topic }: About): Finding[] {
  return seen.missing.map((path) =>
    fail(topic, `${port.spec} needs ${path}, which is not there.`, "make it, or correct the port")
  );
}

/** A frame that one port takes in has to fit out of every other. */
function mtus(facts: Facts, config: Config): Finding[] {
  const found: Finding[] = [];
  const known = new Map<Role, number>();
  for (const role of configuredRoles(config)) {
    const seen = facts.ports.get(role);
    const port = config.ports[role]!;
    if (seen?.kind !== "interface" || seen.mtu === null || port.kind === "tap") continue;
    known.set(role, seen.mtu);
    if (port.kind === "af_xdp" && seen.mtu > XDP_MTU_MAX) {
      const fix = `ip link set ${port.target} mtu ${XDP_MTU_MAX}, or use af_packet:${port.target}`;
      found.push(fail(`port ${role}`, `${port.target} has MTU ${seen.mtu}, too much for af_xdp.`, fix));
    }
  }
  const values = [...known.values()];
  if (values.length === 0) return found;
  const least = Math.min(...values);
  const most = Math.max(...values);
  const largest = most + FRAME_OVERHEAD_BYTES;
  if (largest > config.plane.frameBytesMax) {
    const text = `Ports take frames of ${largest} bytes (MTU ${most}), and those above ` +
      `plane.frame_bytes_max, ${config.plane.frameBytesMax}, are dropped.`;
    found.push(warn("mtu", text, `set plane.frame_bytes_max to ${largest}`));
  } else if (least !== most) {
    const small = [...known].filter(([, mtu]) => mtu < most).map(([role]) => config.ports[role]!.target);
    const text =
      `MTUs differ (${least} to ${most}): a frame that fits into one port will not fit out of another.`;
    found.push(warn("mtu", text, small.map((name) => `ip link set ${name} mtu ${most}`).join("; ")));
  } else {found.push(
      ok("mtu", `${most} on every interface; frames up to ${config.plane.frameBytesMax} bytes pass.`),
    );}
  return found;
}
