/**
 * Duty: other people's BFD beside a node under test: FRR's bfdd and BIRD, in the world's namespace, at the far end of a
 * box's port.
 *
 * Each has its files, sockets and pid in the lab's directory, and ends with the lab. They are scheduled ahead of the
 * load, because a real box has processors of its own.
 */
import { inNamespace, run, sleep, tryRun } from "../../scripts/lab/process.ts";
import type { Role } from "../../appliance/view.ts";
import { type Wire, worldEnd } from "./wire.ts";

const WORLD = "world";
const FRR = "/usr/lib/frr";
const AHEAD = ["chrt", "-f", "20"];
const READY_MS_MAX = 30_000;
export const KEY = "swordfish";

/** Whether both are installed. */
export function peersMissing(): string | null {
  for (const path of [`${FRR}/bfdd`, "/usr/sbin/bird"]) {
    try {
      Deno.statSync(path);
    } catch {
      return `${path} (./scripts/setup --only lab)`;
    }
  }
  return null;
}

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX;
  while (!await is()) {
    if (Date.now() > deadline) throw new Error(`Cannot see ${what} within ${READY_MS_MAX} ms`);
    await sleep(50);
  }
}

/** Addresses of the box at one of its ports, as a router has them: it forwards what is not for itself. */
export async function giveAddresses(wire: Wire, role: Role, addresses: readonly string[]): Promise<void> {
  const dev = worldEnd(role);
  await wire.lab.script(
    WORLD,
    [
      "ip link set dev lo up",
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.send_redirects=0",
      `sysctl -qw net.ipv4.conf.${dev}.rp_filter=0 net.ipv4.conf.${dev}.send_redirects=0`,
      `sysctl -qw net.ipv6.conf.${dev}.disable_ipv6=0`,
      ...addresses.map((address) =>
        address.endsWith("/32")
          ? `ip address add ${address} dev lo`
          : `ip address add ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`
      ),
    ].join("\n"),
  );
}

/** A daemon of the box, that can be killed. */
export class Peer {
  constructor(readonly wire: Wire, readonly directory: string, readonly pidFile: string) {}

  get pid(): number {
    return Number(Deno.readTextFileSync(`${this.directory}/${this.pidFile}`).trim());
  }

  /** At once, with nothing said. Returns when, since the epoch. */
  kill(): number {
    Deno.kill(this.pid, "SIGKILL");
    return performance.timeOrigin + performance.now();
  }
}

export class Bird extends Peer {
  /** `protocol`: what stands in its `protocol bfd`. */
  static async start(wire: Wire, protocol: string): Promise<Bird> {
    const directory = await Deno.makeTempDir({ dir: wire.lab.directory, prefix: "bird-" });
    const conf = `router id 10.1.0.1;\nprotocol device {}\nprotocol bfd peer {\n${protocol}\n}\n`;
    await Deno.writeTextFile(`${directory}/bird.conf`, conf);
    const at = (name: string) => `${directory}/${name}`;
    const argv = [...AHEAD, "bird", "-f", "-c", at("bird.conf"), "-s", at("bird.ctl"), "-P", at("bird.pid")];
    wire.lab.start(WORLD, argv);
    const bird = new Bird(wire, directory, "bird.pid");
    await until("BIRD's socket", async () => (await bird.#ask("show status")).includes("up and running"));
    return bird;
  }

  async #ask(question: string): Promise<string> {
    return (await tryRun(["birdc", "-s", `${this.directory}/bird.ctl`, ...question.split(" ")])).stdout;
  }

  /** States by the node's address. */
  async states(): Promise<Map<string, string>> {
    const rows = (await this.#ask("show bfd sessions")).split("\n").map((line) => line.trim().split(/\s+/));
    return new Map(
      rows.filter((row) => /^[0-9a-f]+[.:]/.test(row[0]!)).map(([ip, , state]) => [ip!, state!]),
    );
  }
}

export class Frr extends Peer {
  /** `peers`: lines inside of `bfd`. */
  static async start(wire: Wire, peers: readonly string[]): Promise<Frr> {
    const directory = await Deno.makeTempDir({ dir: wire.lab.directory, prefix: "frr-" });
    // It insists on being its own user.
    await Deno.chmod(wire.lab.directory, 0o711);
    const at = (name: string) => `${directory}/${name}`;
    await Deno.writeTextFile(at("zebra.conf"), "hostname box\n");
    await Deno.writeTextFile(at("bfdd.conf"), ["bfd", ...peers, "!", ""].join("\n"));
    await run(["chown", "-R", "frr:frr", directory]);
    const shared = ["-z", at("zserv.api"), "--vty_socket", directory, "-P", "0"];
    const own = (name: string) => ["-f", at(`${name}.conf`), "-i", at(`${name}.pid`)];
    wire.lab.start(WORLD, [...AHEAD, `${FRR}/zebra`, ...own("zebra"), ...shared]);
    const there = (name: string) => Deno.stat(at(name)).then(() => true, () => false);
    await until("zebra's socket", () => there("zserv.api"));
    wire.lab.start(WORLD, [
      ...AHEAD,
      `${FRR}/bfdd`,
      ...own("bfdd"),
      ...shared,
      "--bfdctl",
      at("bfdd.sock"),
    ]);
    await until("bfdd's socket", () => there("bfdd.vty"));
    return new Frr(wire, directory, "bfdd.pid");
  }

  /** Commands of its shell. */
  async tell(...commands: readonly string[]): Promise<string> {
    const argv = ["vtysh", "--vty_socket", this.directory, "-d", "bfdd"];
    return await run([...argv, ...commands.flatMap((command) => ["-c", command])]);
  }

  /** Its sessions, by the node's address. */
  async states(): Promise<Map<string, string>> {
    const peers = JSON.parse(await this.tell("show bfd peers json")) as { peer: string; status: string }[];
    return new Map(peers.map(({ peer, status }) => [peer, status]));
  }
}

/** From now on nothing leaves the box by this port, though its link is up. */
export async function mute(wire: Wire, role: Role): Promise<number> {
  const hook = `type filter hook egress device "${worldEnd(role)}" priority 0; policy drop;`;
  const table = `table netdev mute {\n chain out {\n ${hook}\n }\n}\n`;
  await run(inNamespace(wire.lab.ns(WORLD), ["nft", "-f", "-"]), { stdin: table });
  return performance.timeOrigin + performance.now();
}
