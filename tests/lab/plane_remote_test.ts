/**
 * A redundant box at another site, across a router that loses datagrams: its connection table, a failover to it, its links,
 * its far end's death, a wrong key.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { ChannelView, PortView } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { end, run, sleep } from "../../scripts/lab/process.ts";
import {
  forgetFar,
  loseOnTheWay,
  remoteReplica,
  startFar,
  waitForFar,
  WAN_NS,
} from "../../scripts/lab/remote.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { fail } from "../../scripts/lab/scenario.ts";
import { LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { listens } from "../support/packet_sockets.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 60;
const FLOW_MS = 5_000;
const UNTIL_MS_MAX = 30_000;
const LOSS = 500;
/** Both ends may stand still for long on a busy machine; what is tested is that nothing is lost while there is time. */
const PATIENT = { wait_ms: 1_000 };

interface SceneOptions {
  readonly cores?: number;
  readonly settings?: Readonly<Record<string, string | number>>;
}

async function scene({ cores = 1, settings = {} }: SceneOptions = {}) {
  const lab = await Lab.up(remoteReplica({ kind: "nat", clients: 1, servers: 1, serverMbit: null }));
  try {
    const built = await programs(TOP);
    const far = await startFar(lab, { top: TOP, settings });
    const node = await LabNode.start(lab, { top: TOP, preset: "nat", cores, ports: far.ports });
    await waitForFar(lab);
    const api = node.connect();
    await startServers(lab, built);
    const open = async () => {
      const argv = [built.longflows, "fetch", "10.2.0.11", LONG_PORT, FLOWS, 20_480, FLOW_MS].map(String);
      return judgeLong(parseLong(await run(lab.argv("c1", argv), { timeoutMs: 4 * FLOW_MS })));
    };
    const dispose = async () => {
      api.close();
      await node.stop();
      await lab.down();
      await forgetFar(lab);
    };
    return { lab, far, node, api, built, open, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await lab.down();
    await forgetFar(lab);
    throw error;
  }
}

const remotePorts = async (api: RemoteNode): Promise<PortView[]> =>
  (await api.status()).ports.filter(({ channel }) => channel !== undefined);

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + UNTIL_MS_MAX;
  while (!await holds()) {
    if (Date.now() > deadline) throw new Error(`Cannot see that ${what}`);
    await sleep(20);
  }
}

/** Connections in the redundant box's own table. */
async function entries(lab: Lab): Promise<number> {
  const table = await lab.exec("redundant", ["conntrack", "-L", "-p", "tcp"], {});
  return new Set(
    [...table.matchAll(/ ESTABLISHED src=10\.1\S+ \S+ sport=(\d+) dport=7000 /g)].map(([, port]) => port),
  ).size;
}

/** Connections open; the primary loses its links; and what was lost on the way. */
async function failOver(options: SceneOptions) {
  await using s = await scene(options);
  await loseOnTheWay(s.lab, LOSS);
  const opened = s.open();
  opened.catch(() => {}); // Awaited below.
  await sleep(FLOW_MS / 2);
  await until("the redundant box knows all", async () => await entries(s.lab) === FLOWS);
  const known = await entries(s.lab);
  await fail(s.lab, s.built, "primary", "link-both");
  const { ok } = await opened;
  const status = await s.api.status();
  const channels = status.ports.flatMap(({ channel }) => channel === undefined ? [] : [channel]);
  const events = (await s.api.events({ after: 0, limit: 100 })).map(({ text }) => text);
  const counted = Object.fromEntries(
    status.counters.filter(({ name, packets }) => name.startsWith("seed") && packets > 0)
      .map(({ name, packets }) => [name, packets]),
  );
  return { known, alive: ok, path: status.path, channels, counted, events };
}

function assertKept(found: Awaited<ReturnType<typeof failOver>>): void {
  const told = JSON.stringify(found);
  assert.deepEqual([found.known, found.alive, found.path], [FLOWS, FLOWS, "redundant"], told);
  const sum = (name: keyof ChannelView) => found.channels.reduce((all, one) => all + Number(one[name]), 0);
  assert.equal(sum("lost") + sum("farLost"), 0, told);
  assert.ok(sum("sentAgain") > 0 && sum("recovered") > 0, told);
}

Deno.test("with 5 % lost on the way a remote box knows every connection and takes them over", async () => {
  assertKept(await failOver({ settings: PATIENT }));
});

Deno.test("the same by two cores, encrypted, and with frames that need two datagrams", async () => {
  assertKept(await failOver({ cores: 2, settings: { ...PATIENT, encrypt: "yes", mtu: 900 } }));
});

Deno.test("without resends copies are lost and counted", async () => {
  await using s = await scene({ settings: { wait_ms: 0 } });
  await loseOnTheWay(s.lab, 4 * LOSS);
  await s.open();
  const channels = (await remotePorts(s.api)).map(({ channel }) => channel!);
  assert.ok(channels.some(({ farLost }) => farLost > 0), JSON.stringify(channels));
  assert.deepEqual(channels.map(({ sentAgain }) => sentAgain), [0, 0]);
});

Deno.test("a link that a remote box loses is down here at once, and up again with it", async () => {
  await using s = await scene();
  const link = async (role: string) => (await remotePorts(s.api)).find((port) => port.role === role)!.link;
  await s.lab.exec("redundant", ["ip", "link", "set", "out", "down"]);
  await until("redundant-out is down", async () => await link("redundant-out") === "down");
  assert.equal(await link("redundant-in"), "up");
  const { boxes } = await s.api.status();
  assert.equal(boxes.find(({ box }) => box === "redundant")!.light, "red");
  await s.lab.exec("redundant", ["ip", "link", "set", "out", "up"]);
  await until("redundant-out is up", async () => await link("redundant-out") === "up");
});

Deno.test("a far end that dies is a lost link, and one that is started anew is found again", async () => {
  await using s = await scene();
  const links = async () => (await remotePorts(s.api)).map(({ link }) => link).join();
  const sessions = async () => (await remotePorts(s.api)).map(({ channel }) => channel!.sessions);
  // A far end that the machine did not let run for long may have been met anew before.
  const before = await sessions();
  end(s.far.child, "SIGKILL");
  await until("both links are down", async () => await links() === "down,down");
  await startFar(s.lab, { top: TOP, key: "keep" });
  await until("both links are up", async () => await links() === "up,up");
  const after = await sessions();
  assert.ok(after.every((count, i) => count > before[i]!), `${before} sessions before, ${after} after`);
});

Deno.test("a far end with another key is refused", async () => {
  await using s = await scene();
  const key = `${s.lab.directory}/other.key`;
  await Deno.writeTextFile(key, "quite another key than theirs\n");
  end(s.far.child, "SIGKILL");
  await until(
    "both links are down",
    async () => (await remotePorts(s.api)).every(({ link }) => link === "down"),
  );
  await startFar(s.lab, { top: TOP, key });
  const log = () => Deno.readTextFile(`${s.lab.directory}/far.log`);
  await until("greetings are refused", async () => /datagrams without a good seal/.test(await log()));
  assert.ok((await remotePorts(s.api)).every(({ link, channel }) => link === "down" && !channel!.open));
});

Deno.test("Wireshark shows the frames on the way as VXLAN-GPE", async () => {
  await using s = await scene();
  const file = `${s.lab.directory}/way.pcap`;
  const capture = s.lab.start(WAN_NS, ["tcpdump", "-i", "near", "-U", "-w", file, "udp"]);
  await listens(s.lab, WAN_NS);
  await s.open();
  end(capture, "SIGTERM");
  await capture.status;
  const fields = ["-T", "fields", "-e", "vxlan.vni", "-e", "ip.dst", "-e", "tcp.dstport"];
  const text = await run(["tshark", "-r", file, "-Y", "vxlan and tcp.flags.syn == 1", ...fields], {
    timeoutMs: 30_000,
  });
  const lines = text.trim().split("\n");
  assert.ok(
    lines.length >= FLOWS && lines.some((line) => /^1\t198\.51\.100\.7,10\.2\.0\.11\t7000$/.test(line)),
    text,
  );
});
