/**
 * A plane that looks into tunnels (`filter.inner`), fed with generated traffic: GRE, IP in IP, VXLAN, GTP-U, MPLS, PPPoE,
 * QinQ and fragments among plain frames. What goes through is unchanged, the copies are those of the model, and the flows
 * are those inside.
 *
 * The test is everybody around the node. One side of the node is tested at a time: frames come from outside, and out of the
 * primary, in the order of generation.
 */
import assert from "node:assert/strict";
import { address } from "../../appliance/address.ts";
import { PROTOCOL } from "../../appliance/flow_entry.ts";
import { readFlows } from "../../appliance/flow_view.ts";
import { agesMs } from "../../appliance/mirror_run.ts";
import type { Role } from "../../appliance/view.ts";
import { openNative } from "../../filter/dpdk.ts";
import { ip, tcp, udp } from "../../filter/frame.ts";
import { type GeneratedFrame, generateTraffic } from "../../filter/generate.ts";
import { type Decision, FilterModel, type ModelFlow } from "../../filter/model.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import { type Tunnel, TUNNELS, wrap } from "../../filter/wrap.ts";
import type { Bench } from "../support/bench.ts";
import { CLIENT4, CLIENT6, type Ends, SERVER4, SERVER6 } from "../support/cast.ts";
import { filterOf, type NodeSettings, TestNode } from "../support/node.ts";
import { hex, isCopied } from "../support/transparent.ts";
import { Wire } from "../support/wire.ts";

const FRAMES = 1_500;
const CONVERSATIONS = 200;
const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
/** So many would pass the plane in one burst, and the order between two ports is that of bursts. */
const AT_ONCE = 60;
const NATIVE = openNative();
const WEEK_S = 604_800;
const AGES = ["tcp_opening_s", "tcp_s", "tcp_closing_s", "udp_s", "icmp_s", "other_s"];

/** Every reason but those that go by the clock; nothing is forgotten. */
function settings(inner: boolean): NodeSettings {
  return {
    failover: ["silence_ms = 0"],
    plane: ["flows_max = 16384"],
    filter: [`inner = ${inner}`],
    more: [
      "[filter.ages]",
      ...AGES.map((key) => `${key} = ${WEEK_S}`),
      "[[filter.rules]]",
      'name = "web"',
      'match = "tcp port 80 or (vlan and tcp port 80)"',
      ...[
        "handshake = true",
        "teardown = true",
        "acks = true",
        "plaintext = true",
        "first_payload_packets = 1",
      ],
      ...["first_bytes_up = 300", "first_bytes_down = 90", "turn_bytes_up = 200", "turn_bytes_down = 60"],
      ...["turn_bytes_max = 3000", "keepalive_window = true"],
      "[[filter.rules]]",
      'name = "quiet"',
      'match = "port 443"',
      "none = true",
      "[[filter.rules]]",
      'name = "rest"',
      ...["handshake = true", "teardown = true", "first_packets = 2", "sample = 7"],
    ],
  };
}

/** Where one side of the node is outside, at the primary and at the standby. */
interface Side {
  readonly name: "upstream" | "downstream";
  readonly outside: Role;
  readonly primary: Role;
  readonly standby: Role;
}
const UP: Side = {
  name: "upstream",
  outside: "upstream",
  primary: "primary-in",
  standby: "redundant-in",
};
const DOWN: Side = {
  name: "downstream",
  outside: "downstream",
  primary: "primary-out",
  standby: "redundant-out",
};

/** Frames as a run sends them: parts of one way each, none too long. */
function* runs(frames: readonly GeneratedFrame[]): Generator<readonly GeneratedFrame[]> {
  let run: GeneratedFrame[] = [];
  for (const frame of frames) {
    if (run.length === AT_ONCE || (run.length > 0 && run[0]!.observed !== frame.observed)) {
      yield run;
      run = [];
    }
    run.push(frame);
  }
  if (run.length > 0) yield run;
}

/** The client's port of a conversation in each tunnel, and in each version of IP. */
const PORTS: ReadonlyMap<Tunnel, readonly [v4: number, v6: number]> = new Map(
  TUNNELS.map((tunnel, i) => [tunnel, [50_000 + i, 51_000 + i]]),
);

/** A connection and a packet in two fragments through one tunnel; what the client sends comes from its side. */
function* talk(
  tunnel: Tunnel,
  ends: Ends,
  port: number,
): Generator<readonly [fromClient: boolean, Uint8Array]> {
  const way: Ends = [{ ...ends[0], port }, ends[1]];
  const back: Ends = [way[1], way[0]];
  const segment = (fromClient: boolean, flags: number, [seq, ack]: readonly number[], bytes = 0) => {
    const between = fromClient ? way : back;
    const fields = { flags, seq: seq!, ack: ack! };
    const inside = ip(between, PROTO.tcp, tcp(between, fields, new Uint8Array(bytes).fill(0x61)));
    return [fromClient, wrap(tunnel, between, inside)] as const;
  };
  yield segment(true, TCP.syn, [100, 0]);
  yield segment(false, TCP.syn | TCP.ack, [500, 101]);
  yield segment(true, TCP.ack, [101, 501]);
  for (let n = 0; n < 4; n++) {
    yield segment(true, TCP.ack, [101 + 50 * n, 501 + 700 * n], 50);
    yield segment(false, TCP.ack, [501 + 700 * n, 151 + 50 * n], 700);
  }
  yield segment(true, TCP.fin | TCP.ack, [301, 3301]);
  if (ends[0].ip.length !== 4) return;
  for (const fragment of [0x2000, 8]) {
    yield [true, wrap(tunnel, way, ip(way, PROTO.udp, udp(way, new Uint8Array(56)), { id: port, fragment }))];
  }
}

/** Generated traffic, and among it a conversation in every tunnel there is. */
function traffic(side: Side): GeneratedFrame[] {
  const made = generateTraffic(SEED, { conversations: CONVERSATIONS, malformed: 0 });
  const frames = Array.from({ length: FRAMES }, () => made.next().value);
  for (const [tunnel, [v4, v6]] of PORTS) {
    for (const [ends, port] of [[[CLIENT4, SERVER4], v4], [[CLIENT6, SERVER6], v6]] as const) {
      for (const [fromClient, bytes] of talk(tunnel, ends, port)) {
        const observed = fromClient !== (side === UP);
        frames.push({ timeNs: 0n, bytes: bytes as Uint8Array<ArrayBuffer>, observed });
      }
    }
  }
  return frames;
}

/** Sends the frames and holds what arrives against what went in and what the model says. Returns its decisions. */
async function pass(bench: Bench, side: Side, frames: readonly GeneratedFrame[], model: FilterModel) {
  const { outside, primary, standby } = side;
  const marked: [Role, Role, ...Role[]][] = [[outside, primary, standby], [primary, outside]];
  const decisions: Decision[] = [];
  await bench.settle(marked);
  for (const run of runs(frames)) {
    const { observed } = run[0]!;
    const expected = { forwarded: [] as string[], copied: [] as string[] };
    for (const { bytes } of run) {
      const decision = model.decide(bytes, BigInt(decisions.length + 1) * 1_000_000n, observed);
      decisions.push(decision);
      expected.forwarded.push(hex(bytes));
      if (decision.why !== "none" || (!observed && isCopied(bytes))) expected.copied.push(hex(bytes));
      await bench.send(observed ? primary : outside, bytes);
    }
    await bench.settle(marked);
    assert.deepEqual(bench.refused(), [], "the kernel took all frames");
    const arrivals = bench.taken();
    const at = (role: Role) => arrivals.filter((one) => one.role === role).map(({ bytes }) => hex(bytes));
    const where = `${side.name}, up to frame ${decisions.length} of seed ${SEED}`;
    assert.deepEqual(at(observed ? outside : primary), expected.forwarded, where);
    assert.deepEqual(at(standby), expected.copied, `copies, ${where}`);
    assert.equal(arrivals.length, expected.forwarded.length + expected.copied.length, `strays, ${where}`);
  }
  return decisions;
}

/** A flow in words that do not depend on who began it. */
function flowText(
  ends: readonly (readonly [end: string, packets: number])[],
  more: readonly unknown[],
): string {
  return [...ends.map((end) => end.join(" ")).sort(), ...more].join(", ");
}

function modelFlows(decisions: readonly Decision[]): string[] {
  const last = new Map<ModelFlow, Decision>();
  for (const decision of decisions) if (decision.flow) last.set(decision.flow, decision);
  const living = new Map<string, string>();
  for (const [{ half }, { packet }] of last) {
    const { addr, port, proto, ipv6 } = packet.flow ?? packet.fragment!.flow!;
    const ends = [0, 1].map((i) => address(addr[i]!, port[i]!));
    const protocol = PROTOCOL[proto] ?? `ip-${proto}`;
    const counted = ends.map((end, i) => [end, half[i]!.packets] as const);
    const text = flowText(counted, [protocol, packet.vlan, half[0].mirrored + half[1].mirrored]);
    // A connection that began anew has the place of the one before.
    living.set(`${ends} ${protocol} ${packet.vlan} ${ipv6}`, text);
  }
  return [...living.values()].sort();
}

async function compare(side: Side, inner: boolean): Promise<{ decisions: Decision[]; flows: string[] }> {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, settings(inner));
  const { compiled, ages } = filterOf(settings(inner));
  const model = new FilterModel(compiled, agesMs(ages), { inner });
  const decisions = await pass(bench, side, traffic(side), model);
  const { board } = node.board(NATIVE);
  const now = { monoNs: Number(NATIVE.monoNs()), wallMs: Date.now() };
  const flows = readFlows(board, { limit: Infinity, side: side.name }, now).map((view) =>
    flowText([[view.outer, view.packets[0]], [view.inner, view.packets[1]]], [
      view.protocol,
      view.vlan,
      view.mirrored,
    ])
  ).sort();
  assert.deepEqual(flows, modelFlows(decisions));
  const { mirror, counters } = await node.status();
  const told = decisions.filter(({ why }) => why !== "none").length;
  const copied = mirror.why.filter(({ name }) => name !== "neighbour").reduce(
    (sum, one) => sum + one.packets,
    0,
  );
  assert.equal(copied, told);
  const gone = counters.filter(({ name, packets }) =>
    /evicted|expired|full|too_big/.test(name) && packets > 0
  );
  assert.deepEqual(gone, []);
  return { decisions, flows };
}

const isTcpOf = (port: number) => (flow: string) => flow.includes(`:${port} `) && flow.includes(", tcp,");

for (const side of [UP, DOWN]) {
  Deno.test(`filter.inner: frames in tunnels pass the ${side.name} side unchanged, copied as the model says`, async () => {
    const { decisions, flows } = await compare(side, true);
    const inTunnels = decisions.filter(({ packet }) => packet.inner > 0);
    const fragments = decisions.filter(({ parse }) => parse === "fragment");
    assert.ok(inTunnels.length > FRAMES / 40, `${inTunnels.length} frames in tunnels`);
    assert.ok(inTunnels.some(({ why }) => why !== "none"), "some of them are copied");
    assert.ok(inTunnels.some(({ why }) => why === "none"), "and some are not");
    assert.ok(fragments.some(({ why }) => why === "fragment"), "fragments follow their first one");
    assert.ok(fragments.some(({ packet }) => packet.inner > 0), "in tunnels as well");
    for (const [tunnel, ports] of PORTS) {
      for (const port of ports) assert.ok(flows.some(isTcpOf(port)), `the connection in ${tunnel} is a flow`);
    }
    console.log(
      `${decisions.length} frames, ${inTunnels.length} of them in tunnels, ${fragments.length} fragments, ` +
        `${decisions.filter(({ why }) => why !== "none").length} copied, ${flows.length} flows`,
    );
  });
}

Deno.test("without filter.inner a tunnel is one flow, copied as such", async () => {
  const { decisions, flows } = await compare(UP, false);
  assert.ok(decisions.every(({ packet }) => packet.inner === 0));
  for (const port of [...PORTS.values()].flat()) {
    assert.ok(!flows.some(isTcpOf(port)), `port ${port} is inside`);
  }
});
