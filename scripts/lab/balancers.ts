/**
 * Duty: load balancers as boxes of the lab: nftables, Open vSwitch with a weighted select group, HAProxy. Pure text.
 *
 * All listen on the box's own client-side address, which is how clients know the service, and send twice as much to the
 * first server. The first two translate addresses and keep a connection's choice as state; HAProxy ends the client's
 * connection and opens one of its own, so its state includes sequence numbers that nobody outside has chosen.
 */
export const BALANCERS = ["nft-hash", "nft-turns", "nft-random", "ovs", "haproxy"] as const;
export type Balancer = (typeof BALANCERS)[number];

export const BALANCER_TEXT: Readonly<Record<Balancer, string>> = {
  "nft-hash": "nftables, jhash",
  "nft-turns": "nftables, numgen inc",
  "nft-random": "nftables, numgen random",
  ovs: "Open vSwitch, weighted select group",
  haproxy: "HAProxy, TCP mode",
};

/** The service, and the ports it has: web and long flows. */
export const SERVICE = "10.1.0.1";
const GATEWAY = "10.2.0.1";
const PORTS = [80, 7000] as const;
const SERVERS = [11, 12, 13] as const;
const CLIENTS = [11, 12, 13, 14, 15] as const;
const MAC = { in: "02:00:00:00:01:01", out: "02:00:00:00:02:01" } as const;

/** By the first two a redundant box agrees with the primary; by the last it does not. */
const CHOICE = {
  "nft-hash": "jhash ip saddr . tcp sport mod 4 seed 0x5eed",
  "nft-turns": "numgen inc mod 4",
  "nft-random": "numgen random mod 4",
} as const;

/** For `nft -f -` in a box: a quarter of the choices for each server, two for the first. */
export function nftBalancer(kind: keyof typeof CHOICE): string {
  const map = `{ 0 : 10.2.0.11, 1 : 10.2.0.11, 2 : 10.2.0.12, 3 : 10.2.0.13 }`;
  return [
    "table ip balance {",
    "  chain prerouting {",
    "    type nat hook prerouting priority dstnat;",
    `    ip daddr ${SERVICE} tcp dport { ${PORTS.join(", ")} } dnat to ${CHOICE[kind]} map ${map}`,
    "  }",
    "}",
  ].join("\n") + "\n";
}

/** Configuration of HAProxy in a box. */
export function haproxyConfig(): string {
  const service = (port: number) => {
    const servers = SERVERS.map((host, index) =>
      `  server s${index + 1} 10.2.0.${host}:${port} weight ${index === 0 ? 2 : 1}`
    );
    return [`listen p${port}`, `  bind ${SERVICE}:${port}`, "  balance roundrobin", ...servers].join("\n");
  };
  return [
    "global",
    "  maxconn 4096",
    "  nbthread 1",
    "defaults",
    "  mode tcp",
    "  timeout connect 2s",
    "  timeout client 300s",
    "  timeout server 300s",
    ...PORTS.map(service),
  ].join("\n") + "\n";
}

/** For `nft` in a box whose kernel itself ends the clients' connections. */
export function haproxyRule(): string {
  return `add rule inet box input iifname in tcp dport { ${PORTS.join(", ")} } accept`;
}

/** For `sh -e` in a box that Open vSwitch is: the kernel below keeps out of it. */
export const BARE_SCRIPT = [
  "echo 0 >/proc/sys/net/ipv4/ip_forward",
  "nft flush ruleset",
  "ip addr flush dev in",
  "ip addr flush dev out",
].join("\n") + "\n";

function hexOf(address: string): string {
  return "0x" + address.split(".").map((part) => Number(part).toString(16).padStart(2, "0")).join("");
}

/** Answers ARP requests for an address: the words of OpenFlow for turning a request round. */
function arpFlow(port: number, address: string, mac: string): string {
  const actions = [
    "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
    `mod_dl_src:${mac}`,
    "load:0x2->NXM_OF_ARP_OP[]",
    "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
    "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]",
    `load:0x${mac.replaceAll(":", "")}->NXM_NX_ARP_SHA[]`,
    `load:${hexOf(address)}->NXM_OF_ARP_SPA[]`,
    "in_port",
  ];
  return `table=0,priority=10,arp,in_port=${port},arp_op=1,arp_tpa=${address},actions=${actions.join(",")}`;
}

/** Chooses a server for a SYN; conntrack remembers the choice. */
export function switchGroup(): string {
  const buckets = SERVERS.map((host, index) =>
    `bucket=weight:${index === 0 ? 2 : 1},actions=ct(commit,zone=1,nat(dst=10.2.0.${host}),table=2)`
  );
  return `group_id=1,type=select,${buckets.join(",")}`;
}

/** Port 1 is towards the clients, 2 towards the servers. The middle of a connection it has not seen begin is dropped. */
export function switchBalancer(): string[] {
  const service = (port: number) =>
    `table=0,priority=5,tcp,in_port=1,nw_dst=${SERVICE},tp_dst=${port},actions=ct(table=1,zone=1,nat)`;
  return [
    arpFlow(1, SERVICE, MAC.in),
    arpFlow(2, GATEWAY, MAC.out),
    ...PORTS.map(service),
    "table=0,priority=5,tcp,in_port=2,actions=ct(table=3,zone=1,nat)",
    "table=0,priority=0,actions=drop",
    "table=1,priority=3,tcp,ct_state=+trk+new-inv,tcp_flags=+syn-ack,actions=group:1",
    "table=1,priority=2,tcp,ct_state=+trk+est-inv,actions=resubmit(,2)",
    ...SERVERS.map((host) =>
      `table=2,ip,nw_dst=10.2.0.${host},` +
      `actions=mod_dl_src:${MAC.out},mod_dl_dst:02:00:00:02:00:${host},output:2`
    ),
    ...CLIENTS.map((host) =>
      `table=3,tcp,ct_state=+trk+est-inv,nw_dst=10.1.0.${host},` +
      `actions=mod_dl_src:${MAC.in},mod_dl_dst:02:00:00:01:00:${host},output:1`
    ),
  ];
}
