/**
 * Duty: a reactive controller for labs: a load balancer that makes two entries for each connection when its first packet comes.
 *
 * It remembers which server a connection has for each switch alone, as such controllers do: what comes to another switch
 * is given the next server, whatever it had. Arguments: JSON of `BalancerSetup`. Every letter is answered with its counts.
 */
import { type Action, output } from "../../drivers/openflow/actions.ts";
import { Channel } from "../../drivers/openflow/channel.ts";
import { NETWORK } from "../../drivers/openflow/link.ts";
import type { Field } from "../../drivers/openflow/match.ts";
import type { FlowMod, PacketIn } from "../../drivers/openflow/messages.ts";
import { FLOW_FLAG, GROUP_ANY, NO_BUFFER, PORT } from "../../drivers/openflow/names.ts";

interface Host {
  readonly address: string;
  readonly mac: string;
}

export interface BalancerSetup {
  /** One port for each switch. */
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly service: string;
  /** Of the box, towards clients and servers. */
  readonly macs: readonly [inside: string, outside: string];
  readonly servers: readonly Host[];
  readonly idleS: number;
}

export interface BalancerCounts {
  /** By switch. */
  readonly asked: readonly number[];
  readonly connections: readonly number[];
}

const INSIDE = 1, OUTSIDE = 2;
const CONNECTIONS_MAX = 100_000;

const ip = (text: string) => text.split(".").reduce((value, part) => value << 8n | BigInt(part), 0n);
const mac = (text: string) => BigInt(`0x${text.replaceAll(":", "")}`);
const field = (name: string, value: bigint | number): Field => ({ name, value: BigInt(value), mask: null });
const set = (name: string, value: bigint | number): Action => ({
  kind: "set-field",
  field: field(name, value),
});

interface Segment {
  readonly source: bigint;
  readonly destination: bigint;
  readonly ports: readonly [number, number];
  readonly sourceMac: bigint;
}

/** A TCP segment over IPv4 without a tag; null: something else. */
function segmentOf(data: Uint8Array): Segment | null {
  if (data.length < 54) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (view.getUint16(12) !== 0x0800 || data[23] !== 6) return null;
  const tcp = 14 + (data[14]! & 15) * 4;
  if (data.length < tcp + 4) return null;
  return {
    ...{ source: BigInt(view.getUint32(26)), destination: BigInt(view.getUint32(30)) },
    ports: [view.getUint16(tcp), view.getUint16(tcp + 2)],
    sourceMac: BigInt(`0x${data.subarray(6, 12).toHex()}`),
  };
}

function entry(
  priority: number,
  match: readonly Field[],
  actions: readonly Action[],
  idleS: number,
): FlowMod {
  return {
    ...{ kind: "flow-mod", command: 0, cookie: 0xe5n, cookieMask: 0n, table: 0, priority, idleS, hardS: 0 },
    ...{
      buffer: NO_BUFFER,
      outPort: PORT.any,
      outGroup: GROUP_ANY,
      flags: idleS > 0 ? FLOW_FLAG.sendRemoved : 0,
    },
    ...{ match, instructions: [{ kind: "apply", actions }] },
  };
}

class Switch {
  asked = 0;
  /** By client and port, which server; the oldest goes first. */
  readonly servers = new Map<string, Host>();
  readonly #channel: Channel;
  #next = 0;

  constructor(readonly setup: BalancerSetup, { host, port }: BalancerSetup["listen"][number]) {
    this.#channel = new Channel({
      ...{ where: { address: { scheme: "tcp", host, port }, tls: null }, by: "listen", network: NETWORK },
      ...{ datapath: null, lost: () => {} },
      ready: () =>
        this.#send([entry(0, [], [{ kind: "output", port: PORT.controller, lengthMax: 0xffff }], 0)]),
      heard: (body) => body.kind === "packet-in" && this.#packet(body),
    });
  }

  #send(bodies: Parameters<Channel["order"]>[0]): void {
    this.#channel.order(bodies).catch((error: Error) => console.error(`balancer: ${error.message}`));
  }

  #packet({ match, data }: PacketIn): void {
    const segment = segmentOf(data);
    const from = match.find(({ name }) => name === "in_port")?.value;
    if (segment === null || from !== BigInt(INSIDE) || segment.destination !== ip(this.setup.service)) return;
    this.asked++;
    const server = this.#server(`${segment.source} ${segment.ports[0]}`);
    const [there, back] = this.#entries(segment, server);
    this.#send([back, there, {
      ...{ kind: "packet-out", buffer: NO_BUFFER, inPort: INSIDE, data },
      actions: there.instructions.flatMap((one) => one.kind === "apply" ? one.actions : []),
    }]);
  }

  #server(connection: string): Host {
    const known = this.servers.get(connection);
    if (known !== undefined) return known;
    const server = this.setup.servers[this.#next++ % this.setup.servers.length]!;
    this.servers.set(connection, server);
    if (this.servers.size > CONNECTIONS_MAX) this.servers.delete(this.servers.keys().next().value!);
    return server;
  }

  #entries({ source, destination, ports, sourceMac }: Segment, server: Host): [FlowMod, FlowMod] {
    const { macs, idleS } = this.setup;
    const tcp = [field("eth_type", 0x0800), field("ip_proto", 6)];
    const there = [...tcp, field("ipv4_src", source), field("ipv4_dst", destination)];
    const back = [...tcp, field("ipv4_src", ip(server.address)), field("ipv4_dst", source)];
    const towards = [
      set("eth_src", mac(macs[1])),
      set("eth_dst", mac(server.mac)),
      set("ipv4_dst", ip(server.address)),
    ];
    const home = [set("eth_src", mac(macs[0])), set("eth_dst", sourceMac), set("ipv4_src", destination)];
    return [
      entry(10, [...there, field("tcp_src", ports[0]), field("tcp_dst", ports[1])], [
        ...towards,
        output(OUTSIDE),
      ], idleS),
      entry(
        10,
        [...back, field("tcp_src", ports[1]), field("tcp_dst", ports[0])],
        [...home, output(INSIDE)],
        idleS,
      ),
    ];
  }
}

async function main(): Promise<void> {
  const setup = JSON.parse(Deno.args[0] ?? "{}") as BalancerSetup;
  const switches = setup.listen.map((one) => new Switch(setup, one));
  console.log(JSON.stringify("ready"));
  const buffer = new Uint8Array(1);
  while (await Deno.stdin.read(buffer) !== null) {
    const counts: BalancerCounts = {
      asked: switches.map(({ asked }) => asked),
      connections: switches.map(({ servers }) => servers.size),
    };
    console.log(JSON.stringify(counts));
  }
  Deno.exit(0);
}

if (import.meta.main) await main();
