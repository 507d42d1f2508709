/**
 * BFD against other people's: FRR's bfdd and BIRD, on the wires of a box.
 *
 * REMEDIATE_BFD_S says how long sessions have to hold with every processor busy.
 */
import assert from "node:assert/strict";
import type { BfdSessionView, EventView, NodeStatus } from "../../appliance/view.ts";
import { inNamespace, sleep } from "../../scripts/lab/process.ts";
import { Bird, Frr, giveAddresses, KEY, mute, peersMissing } from "../support/bfd_peers.ts";
import { TestNode } from "../support/node.ts";
import { Wire, worldEnd } from "../support/wire.ts";

const HOLD_S = Number(Deno.env.get("REMEDIATE_BFD_S") ?? "10");
const MISSING = peersMissing();

function lab(name: string, fn: (wire: Wire) => Promise<void>): void {
  Deno.test({
    name: `${name}${MISSING === null ? "" : ` (needs ${MISSING})`}`,
    ignore: MISSING !== null,
    fn: async () => {
      await using wire = await Wire.up();
      await fn(wire);
    },
  });
}

/** A [[bfd]] table; `more` comes last. */
function session(name: string, keys: Readonly<Record<string, string | number | boolean>>): string[] {
  const all = { name, box: "primary", side: "up", min_tx_ms: 10, min_rx_ms: 10, ...keys };
  return ["[[bfd]]", ...Object.entries(all).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)];
}

async function keyFile(wire: Wire, text = `${KEY}\n`): Promise<string> {
  const path = await Deno.makeTempFile({ dir: wire.lab.directory });
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, 0o600);
  return path;
}

/** A plane that has just begun has none yet. */
const found = (status: NodeStatus, name: string): BfdSessionView | undefined =>
  status.bfd.sessions.find((one) => one.name === name);
const of = (status: NodeStatus, name: string): BfdSessionView => found(status, name)!;
const allUp = ({ bfd }: NodeStatus) =>
  bfd.sessions.length > 0 &&
  bfd.sessions.every(({ state, remoteState, polling }) => state === "up" && remoteState === "up" && !polling);
const moves = (events: readonly EventView[]) =>
  events.filter(({ kind }) => kind === "switch").map(({ before, after, cause }) =>
    `${before} > ${after} (${cause})`
  );

lab(
  "BIRD and the node come up: IPv4, IPv6, keyed and meticulous SHA1, several hops, both sides of a box",
  async (wire) => {
    await giveAddresses(wire, "primary-in", ["10.1.0.1/24", "2001:db8::1/64", "10.9.9.9/32"]);
    await giveAddresses(wire, "primary-out", ["10.3.0.1/24"]);
    const password = (id: number) => `password "${KEY}" { id ${id}; };`;
    const bird = await Bird.start(
      wire,
      `interface "${worldEnd("primary-in")}" { interval 10 ms; multiplier 3;
       authentication meticulous keyed sha1; ${password(7)} };
     interface "${worldEnd("primary-out")}" { interval 10 ms; multiplier 4;
       authentication keyed sha1; ${password(8)} };
     multihop { interval 20 ms; multiplier 3; authentication meticulous keyed sha1; ${password(9)} };
     neighbor 10.1.0.250 dev "${worldEnd("primary-in")}" local 10.1.0.1;
     neighbor 2001:db8::250 dev "${worldEnd("primary-in")}" local 2001:db8::1;
     neighbor 10.3.0.250 dev "${worldEnd("primary-out")}" local 10.3.0.1;
     neighbor 10.1.0.251 local 10.9.9.9 multihop yes;`,
    );
    const key_file = await keyFile(wire);
    const meticulous = { auth: "meticulous-sha1", key_file };
    const node = await TestNode.start(wire, {
      // Each side has a worker of its own; sessions are worker 0's.
      cores: 2,
      more: [
        ...session("in", { peer: "10.1.0.1", local: "10.1.0.250", key_id: 7, ...meticulous }),
        ...session("six", { peer: "2001:db8::1", local: "2001:db8::250", key_id: 7, ...meticulous }),
        ...session("out", {
          peer: "10.3.0.1",
          local: "10.3.0.250",
          side: "down",
          auth: "sha1",
          key_file,
          key_id: 8,
        }),
        ...session("far", {
          peer: "10.9.9.9",
          local: "10.1.0.251",
          multihop: true,
          min_tx_ms: 30,
          key_id: 9,
          ...meticulous,
        }),
      ],
    });
    const status = await node.until("four sessions up", allUp);
    assert.deepEqual(
      status.bfd.sessions.map(({ name, txMs, detectMs }) => [name, txMs, detectMs]),
      [["in", 10, 30], ["six", 10, 30], ["out", 10, 40], ["far", 30, 60]],
    );
    assert.deepEqual([...new Set((await bird.states()).values())], ["Up"]);
    const bfd = status.boxes[0]!.detectors.find(({ detector }) => detector === "bfd");
    assert.equal(bfd?.light, "green");
    const bytes = await Deno.readFile(node.boardPath);
    assert.equal(new TextDecoder("latin1").decode(bytes).includes(KEY), false, "the key is not on the board");
    assert.equal(node.log.includes(KEY), false, "and not in the log");
  },
);

lab("with another key BIRD's packets are refused by name, and nothing is said of the box", async (wire) => {
  await giveAddresses(wire, "primary-in", ["10.1.0.1/24"]);
  const dev = worldEnd("primary-in");
  await Bird.start(
    wire,
    `interface "${dev}" { interval 10 ms; authentication meticulous keyed sha1; password "${KEY}" { id 7; }; };
     neighbor 10.1.0.250 dev "${dev}" local 10.1.0.1;`,
  );
  const key_file = await keyFile(wire, "hex:00112233\n");
  const node = await TestNode.start(wire, {
    more: session("in", {
      peer: "10.1.0.1",
      local: "10.1.0.250",
      auth: "meticulous-sha1",
      key_file,
      key_id: 7,
    }),
  });
  const refused = (status: NodeStatus) =>
    found(status, "in")?.discards.find(({ name }) => name === "auth_digest")?.packets ?? 0;
  const status = await node.until("packets refused", (status) => refused(status) > 1);
  assert.deepEqual([of(status, "in").state, of(status, "in").light], ["down", "off"]);
  assert.equal(status.boxes[0]!.detectors.some(({ detector }) => detector === "bfd"), false);
  assert.equal(status.path, "primary");
});

const PLAIN = session("in", { peer: "10.1.0.1", local: "10.1.0.250" });
const FRR_PEER = (more: readonly string[] = []) => [
  ` peer 10.1.0.250 local-address 10.1.0.1 interface ${worldEnd("primary-in")}`,
  "  transmit-interval 10",
  "  receive-interval 10",
  "  detect-multiplier 3",
  ...more,
  " !",
];

lab("FRR and the node come up, over one hop and several, and echo each other's echoes", async (wire) => {
  await giveAddresses(wire, "primary-in", ["10.1.0.1/24", "10.9.9.9/32"]);
  const frr = await Frr.start(wire, [
    ...FRR_PEER(["  echo-mode", "  echo transmit-interval 20", "  echo receive-interval 20"]),
    " peer 10.1.0.251 multihop local-address 10.9.9.9",
    "  transmit-interval 20",
    "  receive-interval 20",
    " !",
  ]);
  const node = await TestNode.start(wire, {
    more: [
      ...session("in", { peer: "10.1.0.1", local: "10.1.0.250", echo_ms: 20 }),
      ...session("far", { peer: "10.9.9.9", local: "10.1.0.251", multihop: true }),
    ],
  });
  const status = await node.until(
    "both up, and echoes both ways",
    (status) => allUp(status) && of(status, "in").echoesBack > 20 && of(status, "in").echoesReturned > 20,
  );
  assert.equal(of(status, "in").echoMs, 20);
  assert.equal(of(status, "far").txMs, 20);
  assert.deepEqual([...(await frr.states()).values()], ["up", "up"]);
});

lab("a change of intervals reaches FRR by a poll, without a moment down", async (wire) => {
  await giveAddresses(wire, "primary-in", ["10.1.0.1/24"]);
  const frr = await Frr.start(wire, FRR_PEER());
  const node = await TestNode.start(wire, { more: PLAIN });
  const before = of(await node.until("the session up", allUp), "in");
  await node.reconfigure({
    more: session("in", { peer: "10.1.0.1", local: "10.1.0.250", min_tx_ms: 40, min_rx_ms: 30 }),
  });
  const status = await node.until(
    "the new intervals",
    (status) => allUp(status) && of(status, "in").txMs === 40,
  );
  const after = of(status, "in");
  assert.deepEqual([after.detectMs, after.localDiscriminator], [90, before.localDiscriminator]);
  const [peer] = JSON.parse(await frr.tell("show bfd peers json"));
  assert.deepEqual([peer["remote-transmit-interval"], peer["remote-receive-interval"]], [40, 30]);
  await frr.tell("configure terminal", "bfd", FRR_PEER()[0]!.trim(), "transmit-interval 60");
  await node.until("the peer's change", (status) => of(status, "in").detectMs === 180 && allUp(status));
});

for (
  const [how, hit] of [
    ["is killed", (_: Wire, frr: Frr) => Promise.resolve(frr.kill())],
    ["can send no more", (wire: Wire, _: Frr) => mute(wire, "primary-in")],
  ] as const
) {
  lab(`a primary whose bfdd ${how} is left for the redundant box`, async (wire) => {
    await giveAddresses(wire, "primary-in", ["10.1.0.1/24"]);
    await wire.box("primary");
    await wire.box("redundant");
    const frr = await Frr.start(wire, FRR_PEER());
    const node = await TestNode.start(wire, { failover: ["silence_ms = 0"], more: PLAIN });
    await node.until("the session up", allUp);
    const load = await wire.load(2000);
    await load.more(1000);
    const at = await hit(wire, frr);
    const status = await node.until("the redundant box serving", ({ path }) => path === "redundant");
    await load.more(500);
    const report = await load.stop();
    const events = await node.events();
    assert.deepEqual(moves(events), ["primary > redundant (bfd)"]);
    assert.match(status.boxes[0]!.reason, /"in" is down: control detection time expired/);
    const move = events.find(({ kind }) => kind === "switch")!;
    const tookMs = (move.wallMs - at).toFixed(1);
    const lost = `${report.lost} of ${report.sent} lost`;
    console.log(`bfdd ${how}: traffic moved after ${tookMs} ms at 10 ms x 3; ${lost}`);
  });
}

Deno.test({
  name: `a further box has sessions as well, and one whose bfdd dies does not take over${
    MISSING === null ? "" : ` (needs ${MISSING})`
  }`,
  ignore: MISSING !== null,
  fn: async () => {
    await using wire = await Wire.up(3);
    await giveAddresses(wire, "redundant-2-in", ["10.5.0.1/24"]);
    const frr = await Frr.start(wire, [
      ` peer 10.5.0.250 local-address 10.5.0.1 interface ${worldEnd("redundant-2-in")}`,
      ...FRR_PEER().slice(1),
    ]);
    const node = await TestNode.start(wire, {
      failover: ["silence_ms = 0", "hold_up_ms = 300"],
      further: [["order = 50"]],
      more: session("third", { box: "redundant-2", peer: "10.5.0.1", local: "10.5.0.250" }),
    });
    await node.until("the session up", allUp);
    const light = ({ boxes }: NodeStatus) =>
      boxes[2]!.detectors.find(({ detector }) => detector === "bfd")?.light;
    assert.equal(light(await node.status()), "green");
    frr.kill();
    await node.until("a red third box", (status) => light(status) === "red");
    await wire.link("primary-in", "down");
    await node.until("the redundant box serving", ({ path }) => path === "redundant");
    await node.untilEvents(1, ({ kind }) => kind === "switch");
    assert.deepEqual(moves(await node.events()), ["primary > redundant (link)"]);
  },
});

lab("a peer that is shut down moves nothing, and says so", async (wire) => {
  await giveAddresses(wire, "primary-in", ["10.1.0.1/24"]);
  const frr = await Frr.start(wire, FRR_PEER());
  const node = await TestNode.start(wire, { more: PLAIN });
  await node.until("the session up", allUp);
  await frr.tell("configure terminal", "bfd", FRR_PEER()[0]!.trim(), "shutdown");
  const status = await node.until("a yellow light", (status) => found(status, "in")?.light === "yellow");
  assert.equal(status.path, "primary");
  assert.deepEqual(moves(await node.events()), []);
  const bfd = status.boxes[0]!.detectors.find(({ detector }) => detector === "bfd");
  assert.match(bfd!.reason, /the peer has shut it down/);
});

lab(`sessions of 10 ms hold for ${HOLD_S} s with every processor busy`, async (wire) => {
  await giveAddresses(wire, "primary-in", ["10.1.0.1/24"]);
  await giveAddresses(wire, "redundant-in", ["10.4.0.1/24"]);
  await Frr.start(wire, [
    ...FRR_PEER(),
    ` peer 10.4.0.250 local-address 10.4.0.1 interface ${worldEnd("redundant-in")}`,
    ...FRR_PEER().slice(1),
  ]);
  const node = await TestNode.start(wire, {
    more: [...PLAIN, ...session("spare", { box: "redundant", peer: "10.4.0.1", local: "10.4.0.250" })],
  });
  await node.until("both up", allUp);
  const busy = Array.from({ length: 2 * navigator.hardwareConcurrency }, () => {
    const [program, ...args] = inNamespace(wire.lab.ns("world"), [
      "timeout",
      String(HOLD_S),
      "sh",
      "-c",
      "while :; do :; done",
    ]);
    return new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  });
  await Promise.all(busy.map(({ status }) => status));
  await sleep(50);
  const status = await node.status();
  for (const { name, state, ups, downs, sent, late, excusedMs } of status.bfd.sessions) {
    assert.deepEqual([name, state, ups, downs], [name, "up", 1, 0]);
    console.log(`${name}: ${sent} sent, ${late} late, ${excusedMs.toFixed(1)} ms of own stalls`);
  }
  assert.deepEqual(moves(await node.events()), []);
});
