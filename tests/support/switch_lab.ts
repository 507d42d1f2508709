/**
 * Duty: a site with a programmable switch in the lab: Open vSwitch stands where the node would, and a node drives it.
 *
 * The wire's six veth pairs are the switch's ports; the node's own ports are null. Both live in one namespace and talk
 * over its loopback.
 */
import { ALL_ROLES, type Role, ROLES } from "../../appliance/view.ts";
import { BRIDGE, OpenVSwitch, SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { run } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { TestNode } from "./node.ts";
import { nodeEnd, Wire } from "./wire.ts";

/** Empty, or what is missing. */
export function missingSwitch(): string {
  try {
    Deno.statSync(SWITCH_PROGRAM.sockets);
    return "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "Open vSwitch";
    throw error;
  }
}

export const DATAPATH = "00000000000000aa";

export class SwitchLab {
  private constructor(readonly wire: Wire, readonly ovs: OpenVSwitch) {}

  /** Around so many boxes. */
  static async up(boxes = 2): Promise<SwitchLab> {
    const wire = await Wire.up(boxes);
    try {
      await wire.lab.script(NODE_NS, "ip link set dev lo up");
      const ports = wire.roles.map((role, at) => ({ name: nodeEnd(role), number: at + 1 }));
      const ovs = await OpenVSwitch.start(wire.lab, { kind: "sockets", core: 0, ports });
      await ovs.configure(["set", "Bridge", BRIDGE, `other-config:datapath-id=${DATAPATH}`]);
      return new SwitchLab(wire, ovs);
    } catch (error) {
      await wire.down();
      throw error;
    }
  }

  /** What the switch dials or listens on: "ptcp:6653:127.0.0.1", "ssl:127.0.0.1:6653". */
  async controller(target: string): Promise<void> {
    await this.ovs.configure(["set-controller", BRIDGE, target]);
    // It doubles its patience with each failure, up to this.
    await this.ovs.configure(["set", "Controller", BRIDGE, "max_backoff=1000"]);
  }

  /** Ports of the switch by role, as lines of a table [[switch]]. */
  static ports(change: Partial<Record<Role, string>> = {}): string[] {
    return ROLES.map((role) => `${role.replace("-", "_")} = "${change[role] ?? nodeEnd(role)}"`);
  }

  /** A node without ports of its own. */
  node(...table: string[]): Promise<TestNode> {
    const ports = Object.fromEntries(ALL_ROLES.map((role) => [role, "null"]));
    const failover = ["silence_ms = 0", "hold_up_ms = 500"];
    const further = Array.from({ length: this.wire.roles.length / 2 - 3 }, () => []);
    const more = ["[[switch]]", 'name = "edge"', ...table];
    return TestNode.start(this.wire, { ports, further, failover, more });
  }

  /** What ovs-ofctl prints of the groups or flows; in the protocol the node speaks. */
  dump(what: "groups" | "flows"): Promise<string> {
    return this.ovs.groups(`dump-${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire.down();
  }
}

/** Files of a site's certificate authority, the node and a switch, and of another authority that nobody trusts. */
export interface Certificates {
  readonly ca: string;
  readonly node: { readonly certificate: string; readonly key: string };
  readonly switch: { readonly certificate: string; readonly key: string };
  readonly foreign: { readonly certificate: string; readonly key: string };
}

export async function makeCertificates(directory: string): Promise<Certificates> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const path = (name: string) => `${directory}/${name}.pem`;
  const self = async (name: string) => {
    const out = ["-keyout", `${directory}/${name}.key`, "-out", path(name), "-subj", `/CN=${name}`];
    await run(["openssl", "req", "-x509", ...key, ...out]);
    return { certificate: path(name), key: `${directory}/${name}.key` };
  };
  const authority = await self("authority");
  const signed = async (name: string) => {
    const request = `${directory}/${name}.csr`;
    const out = ["-keyout", `${directory}/${name}.key`, "-out", request, "-subj", `/CN=${name}`];
    await run(["openssl", "req", ...key.slice(0, -2), ...out]);
    // With an extension of any kind it becomes a certificate of version 3.
    await Deno.writeTextFile(`${directory}/${name}.ext`, "basicConstraints=CA:FALSE\n");
    const by = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial", "-days", "2"];
    const more = ["-extfile", `${directory}/${name}.ext`, "-out", path(name)];
    await run(["openssl", "x509", "-req", "-in", request, ...by, ...more]);
    return { certificate: path(name), key: `${directory}/${name}.key` };
  };
  const [node, box] = [await signed("node"), await signed("switch")];
  return { ca: authority.certificate, node, switch: box, foreign: await self("foreign") };
}
