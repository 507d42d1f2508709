/**
 * Duty: two boxes as a pair of their own, as operators build it without a node: the topology, and what runs in them.
 *
 *   c1 --- cbr ---+--- in [ primary ] out ---+--- sbr --- s1
 *                 +--- in [redundant] out ---+
 *
 * Each box has addresses of its own; the ones everybody uses belong to whoever is master by VRRP. A third link between
 * the boxes carries connection state. Pure: text and data.
 */
import { NODE_NS, type Topology } from "./topology.ts";

/** What clients and servers use as their next hop. */
export const SHARED = { in: "10.1.0.1", out: "10.2.0.1" } as const;
export const PAIR = ["primary", "redundant"] as const;
export type Member = (typeof PAIR)[number];

const OWN = { primary: 2, redundant: 3 } as const;
const SYNC = { primary: "10.3.0.1", redundant: "10.3.0.2" } as const;

function boxEnds(name: Member): Topology["links"] {
  const own = OWN[name];
  return [
    {
      ends: [
        { ns: name, name: "in", mac: `02:00:00:00:01:0${own}`, addresses: [`10.1.0.${own}/24`] },
        { ns: "cbr", name: `in-${name}`, bridge: "br" },
      ],
    },
    {
      ends: [
        { ns: name, name: "out", mac: `02:00:00:00:02:0${own}`, addresses: [`10.2.0.${own}/24`] },
        { ns: "sbr", name: `out-${name}`, bridge: "br" },
      ],
    },
  ];
}

/** A client, a server, and the pair between two bridges. The node's namespace is there and empty. */
export function pairTopology(): Topology {
  const box = (name: Member) => ({
    name,
    kind: "firewall" as const,
    inside: "in",
    outside: "out",
    ports: "preserve" as const,
    input: "drop" as const,
  });
  const host = (ns: string, net: 1 | 2, bridge: string) => ({
    ends: [
      { ns, name: "eth0", mac: `02:00:00:0${net}:00:11`, addresses: [`10.${net}.0.11/24`] },
      { ns: bridge, name: ns, bridge: "br" },
    ] as const,
  });
  return {
    name: "pair",
    ipv6: false,
    namespaces: [
      { name: "c1", routes: [{ to: "default", via: SHARED.in }] },
      { name: "cbr", bridges: ["br"] },
      { name: NODE_NS },
      { name: "primary" },
      { name: "redundant" },
      { name: "sbr", bridges: ["br"] },
      { name: "s1", routes: [{ to: "default", via: SHARED.out }] },
    ],
    links: [
      host("c1", 1, "cbr"),
      ...PAIR.flatMap(boxEnds),
      {
        ends: [
          { ns: "primary", name: "sync", addresses: [`${SYNC.primary}/30`] },
          { ns: "redundant", name: "sync", addresses: [`${SYNC.redundant}/30`] },
        ],
      },
      host("s1", 2, "sbr"),
    ],
    boxes: PAIR.map(box),
    servers: [],
  };
}

/** For `nft` in a box: what the pair says to each other is let in, from the other one alone. */
export function pairRules(name: Member): string[] {
  const other = PAIR.find((one) => one !== name)!;
  const from = (protocol: string, net: number) =>
    `add rule inet box input ip saddr 10.${net}.0.${OWN[other]} ip protocol ${protocol} accept`;
  return [from("vrrp", 1), from("vrrp", 2), "add rule inet box input iifname sync accept"];
}

export interface KeepalivedOptions {
  readonly advertMs: number;
  /** A program told "primary", "backup" or "fault" when that changes; null: nobody is. */
  readonly notify: string | null;
}

/** Configuration of keepalived in a box: VRRPv3 on both sides, which go together. */
export function keepalivedConfig(name: Member, { advertMs, notify }: KeepalivedOptions): string {
  const first = name === "primary";
  const instance = (side: "in" | "out", id: number) =>
    [
      `vrrp_instance ${side} {`,
      "  version 3",
      `  state ${first ? "MASTER" : "BACKUP"}`,
      `  interface ${side}`,
      `  virtual_router_id ${id}`,
      `  priority ${first ? 150 : 100}`,
      `  advert_int ${advertMs / 1000}`,
      `  virtual_ipaddress {\n    ${SHARED[side]}/24\n  }`,
      "}",
    ].join("\n");
  const told = { master: "primary", backup: "backup", fault: "fault" };
  const lines = Object.entries(told).map(([state, word]) => `  notify_${state} "${notify} ${word}"`);
  return [
    "global_defs {\n  script_user root\n  vrrp_garp_master_delay 1\n  vrrp_rt_priority 50\n}",
    `vrrp_sync_group both {\n  group {\n    in\n    out\n  }`,
    ...(notify === null ? [] : lines),
    "}",
    instance("in", 51),
    instance("out", 52),
  ].join("\n") + "\n";
}

/** Configuration of conntrackd in a box, reliable mode over the link of the pair. `home`: its files. */
export function conntrackdConfig(name: Member, home: string): string {
  const other = PAIR.find((one) => one !== name)!;
  return `Sync {
  Mode FTFW {
  }
  UDP {
    IPv4_address ${SYNC[name]}
    IPv4_Destination_Address ${SYNC[other]}
    Port 3780
    Interface sync
    SndSocketBuffer 1249280
    RcvSocketBuffer 1249280
    Checksum on
  }
}
General {
  HashSize 32768
  HashLimit 131072
  LogFile ${home}/conntrackd.log
  LockFile ${home}/conntrackd.lock
  UNIX {
    Path ${home}/conntrackd.ctl
  }
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Userspace {
    Protocol Accept {
      TCP
      UDP
    }
    Address Ignore {
      IPv4_address 127.0.0.1
      IPv4_address ${SYNC.primary}
      IPv4_address ${SYNC.redundant}
    }
  }
}
`;
}

/** What keepalived calls so that the new master takes the connections over, as conntrackd's own example does. */
export function notifyScript(config: string): string {
  const tell = (...letters: string[]) =>
    letters.map((letter) => `conntrackd -C ${config} -${letter}`).join("; ");
  return `#!/bin/sh
case $1 in
  primary) ${tell("c", "f", "R", "B")} ;;
  backup) ${tell("t", "n")} ;;
  fault) ${tell("t")} ;;
esac
`;
}
