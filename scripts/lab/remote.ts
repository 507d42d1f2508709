/**
 * Duty: a lab whose redundant box stands at another site: beside it a far end, and a router between both, which loses what
 * it is told to lose.
 *
 * The kernel here may lack netem, so loss is a rule of nftables in the router: each datagram by its own dice.
 */
import { connectNode } from "../../ui/client.ts";
import type { Lab } from "./engine.ts";
import { sleep } from "./process.ts";
import {
  hotReplica,
  type HotReplicaOptions,
  type Link,
  NODE_INTERFACES,
  NODE_NS,
  type Topology,
} from "./topology.ts";

export const FAR_NS = "far";
export const WAN_NS = "wan";
const FAR_ADDRESS = "198.51.100.7";
const CHANNEL_PORT = 4790;
const READY_MS_MAX = 20_000;

/** The same as hotReplica(), with the redundant box behind a far end. */
export function remoteReplica(options: HotReplicaOptions = {}): Topology {
  const here = hotReplica(options);
  const away: readonly string[] = [NODE_INTERFACES.redundant_in, NODE_INTERFACES.redundant_out];
  const moved = (link: Link): Link => {
    const [one, other] = link.ends;
    return one.ns === NODE_NS && away.includes(one.name) ? { ends: [{ ...one, ns: FAR_NS }, other] } : link;
  };
  return {
    ...here,
    name: `remote-${here.name}`,
    namespaces: [
      ...here.namespaces.map((ns) =>
        ns.name === NODE_NS ? { ...ns, routes: [{ to: "198.51.100.0/24", via: "192.0.2.254" }] } : ns
      ),
      { name: WAN_NS, sysctls: { "ipv4.ip_forward": "1" } },
      { name: FAR_NS, routes: [{ to: "192.0.2.0/24", via: "198.51.100.254" }] },
    ],
    links: [
      ...here.links.map(moved),
      {
        ends: [
          { ns: NODE_NS, name: "wan", addresses: ["192.0.2.1/24"] },
          { ns: WAN_NS, name: "near", addresses: ["192.0.2.254/24"] },
        ],
      },
      {
        ends: [
          { ns: FAR_NS, name: "wan", addresses: [`${FAR_ADDRESS}/24`] },
          { ns: WAN_NS, name: "far", addresses: ["198.51.100.254/24"] },
        ],
      },
    ],
  };
}

export interface FarLab {
  /** For `ports` of the node. */
  readonly ports: Readonly<Record<string, string>>;
  readonly child: Deno.ChildProcess;
}

export interface FarLabOptions {
  readonly top: string;
  /** A file with the key; "keep": the one of the far end before. @default a new one */
  readonly key?: string;
  /** More settings of both ends, as `wait_ms`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** Settings of a port as options of the command. */
function asOptions(settings: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) =>
    name === "encrypt"
      ? (value === "yes" ? ["--encrypt"] : [])
      : [`--${name.replace("_", "-")}`, String(value)]
  );
}

const boardOf = (lab: Lab) => `/dev/shm/${lab.prefix}-far`;

/** When the lab is down: what a far end that was killed has left. */
export async function forgetFar(lab: Lab): Promise<void> {
  for (const path of [boardOf(lab), `${boardOf(lab)}.lock`]) await Deno.remove(path).catch(() => {});
}

/** Starts the far end; its words are in far.log of the lab's directory. */
export async function startFar(lab: Lab, { top, settings = {}, key: given }: FarLabOptions): Promise<FarLab> {
  const own = `${lab.directory}/channel.key`, key = given === undefined || given === "keep" ? own : given;
  if (given === undefined) await Deno.writeTextFile(own, `${crypto.randomUUID()}\n`, { mode: 0o600 });
  const { redundant_in, redundant_out } = NODE_INTERFACES;
  const argv = [
    ...[`${top}/scripts/remediate`, "far", "--listen", `${FAR_ADDRESS}:${CHANNEL_PORT}`],
    ...["--in", redundant_in, "--out", redundant_out, "--key", key],
    ...["--board", boardOf(lab), ...asOptions(settings)],
  ];
  const child = lab.startNode(FAR_NS, argv, "far.log");
  const more = Object.entries({ key, ...settings }).map(([name, value]) => `,${name}=${value}`).join("");
  const port = (side: number) => `remote:${FAR_ADDRESS}:${CHANNEL_PORT + side}${more}`;
  return { ports: { redundant_in: port(0), redundant_out: port(1) }, child };
}

/** Waits until both channels are open and carry links. Throws Error with what they are. */
export async function waitForFar(lab: Lab): Promise<void> {
  const api = connectNode(`${lab.directory}/run/control.sock`);
  const deadline = Date.now() + READY_MS_MAX;
  try {
    for (;;) {
      const ports = (await api.status()).ports.filter(({ channel }) => channel !== undefined);
      if (ports.length === 2 && ports.every(({ link, channel }) => link === "up" && channel!.open)) return;
      if (Date.now() > deadline) {
        const log = await Deno.readTextFile(`${lab.directory}/far.log`).catch(String);
        throw new Error(`Cannot reach the far end: ${JSON.stringify(ports)}; it says: ${log.trim()}`);
      }
      await sleep(50);
    }
  } finally {
    api.close();
  }
}

/** From now on the router loses so many of 10,000 datagrams, both ways. */
export async function loseOnTheWay(lab: Lab, per10000: number): Promise<void> {
  const rule = per10000 === 0
    ? ""
    : `add rule inet wan forward meta l4proto udp numgen random mod 10000 < ${per10000} counter drop;`;
  const script = "add table inet wan; flush table inet wan; " +
    `add chain inet wan forward { type filter hook forward priority filter; policy accept; }; ${rule}`;
  await lab.exec(WAN_NS, ["nft", script]);
}
