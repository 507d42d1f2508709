/**
 * Duty: what a run of `deno task bench:match` is about besides its boxes, behind a "+" in its kind, as data: what the connections
 * have been through before the failure, and what the boxes are made to be. Pure.
 *
 * "firewall+10MB+liberal" is a firewall whose connections have moved 10 MB each, and that does not mind windows.
 */
import { type Balancer, SERVICE } from "../lab/balancers.ts";

export const STRAINS = {
  /** The redundant box forgets within seconds what it was told. */
  idle: { forgetsS: 2 },
  "10MB": { bytes: 10_000_000 },
  "1GB": { bytes: 1_000_000_000 },
  /** Nobody has said anything for so long when the primary fails. */
  "1s": { silentMs: 1_000 },
  /** Sixtyfold: ten seconds, and boxes that forget after 20 and not after 20 minutes. */
  "10min": { silentMs: 10_000, timeoutS: 20 },
  liberal: { liberal: true },
  haproxy: { balancer: "haproxy" },
  "numgen-random": { balancer: "nft-random" },
  jhash: { balancer: "nft-hash" },
  /** Of the copies that go to the redundant box so many of a thousand are lost. */
  "0.1%": { lost: 1 },
  "1%": { lost: 10 },
  "5%": { lost: 50 },
  /** Of each connection the first opening that is played into the box that begins to serve is lost. */
  deaf: { losesSeeds: true },
} as const satisfies Readonly<Record<string, Strain>>;

export interface Strain {
  /** After so many seconds the redundant box forgets a connection, and both do. */
  readonly forgetsS?: number;
  readonly timeoutS?: number;
  /** Come to each connection before the failure. */
  readonly bytes?: number;
  readonly silentMs?: number;
  readonly liberal?: boolean;
  readonly balancer?: Balancer;
  /** Copies of a thousand. */
  readonly lost?: number;
  readonly losesSeeds?: boolean;
}

/** "nat+idle": a topology and strains. @throws RangeError for a strain that there is not */
export function partsOf(kind: string): { readonly topology: string; readonly strain: Strain } {
  const [topology, ...names] = kind.split("+");
  const strain: Strain = Object.assign(
    {},
    ...names.map((name) => {
      if (!(name in STRAINS)) throw new RangeError(`Cannot make boxes "${kind}": there is no "${name}"`);
      return STRAINS[name as keyof typeof STRAINS];
    }),
  );
  return { topology: topology!, strain };
}

type Argv = readonly string[];
const CONNTRACK = "net.netfilter.nf_conntrack_tcp_";

/** Commands for the namespace of a box, before any connection. */
export function strainBox(strain: Strain, box: string): Argv[] {
  const { forgetsS, timeoutS, liberal, lost } = strain, redundant = box === "redundant";
  const timeout = redundant ? forgetsS ?? timeoutS : timeoutS;
  return [
    ...(timeout === undefined ? [] : [["sysctl", "-qw", `${CONNTRACK}timeout_established=${timeout}`]]),
    ...(liberal ? [["sysctl", "-qw", `${CONNTRACK}be_liberal=1`]] : []),
    ...(lost !== undefined && redundant ? [["nft", losing(lost)]] : []),
  ];
}

function losing(ofThousand: number): string {
  const chain = (name: string) =>
    `chain ${name} { type filter hook ingress device "${name}" priority 0; numgen random mod 1000 < ${ofThousand} drop; };`;
  return `table netdev lossy { ${chain("in")} ${chain("out")} }`;
}

const OPENS = "tcp flags & (syn | ack) == syn", WHO = "ip saddr . tcp sport";
const DEAF = "table netdev deaf { set told { type ipv4_addr . inet_service; size 8192; flags dynamic; }; " +
  'chain c { type filter hook ingress device "in" priority 0; ' +
  `${OPENS} ${WHO} @told accept; ${OPENS} add @told { ${WHO} } drop; }; }`;

/** Commands for the same, a moment before it serves: it was the way of the copies that lost some, and not the box. */
export function turnBox({ lost, losesSeeds }: Strain, box: string): Argv[] {
  if (box !== "redundant") return [];
  return [
    ...(lost === undefined ? [] : [["nft", "delete", "table", "netdev", "lossy"]]),
    ...(losesSeeds ? [["nft", DEAF]] : []),
  ];
}

/** Where clients find the server. */
export const serviceAddress = ({ balancer }: Strain, server: string): string =>
  balancer === undefined ? server : SERVICE;
