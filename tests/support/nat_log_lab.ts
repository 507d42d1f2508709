/**
 * Duty: a lab of one NAT that logs its connections.
 *
 *   c1 10.1.0.11 --- in [ NAT, ports at random ] out --- 10.2.0.11 s1
 *                          ulogd2 > file > rsyslog > the driver, over TCP
 */
import { NODE_NS, type Topology } from "../../scripts/lab/topology.ts";

export const BOX = "primary";

export function natTopology(): Topology {
  return {
    name: "nat-log",
    ipv6: false,
    namespaces: [
      { name: "c1", routes: [{ to: "default", via: "10.1.0.1" }] },
      { name: NODE_NS },
      { name: BOX },
      { name: "s1", routes: [{ to: "default", via: "10.2.0.1" }] },
    ],
    links: [
      {
        ends: [
          { ns: "c1", name: "eth0", addresses: ["10.1.0.11/24"] },
          { ns: BOX, name: "in", addresses: ["10.1.0.1/24"] },
        ],
      },
      {
        ends: [
          { ns: BOX, name: "out", addresses: ["10.2.0.1/24"] },
          { ns: "s1", name: "eth0", addresses: ["10.2.0.11/24"] },
        ],
      },
    ],
    boxes: [{ name: BOX, kind: "nat", inside: "in", outside: "out", ports: "fully-random", input: "drop" }],
    servers: [{ ns: "s1", kind: "long" }, { ns: "s1", kind: "echo" }],
  };
}
