/**
 * A drill: canaries through a box that does not serve, as one run. Pure: frames and the time in, frames out.
 *
 * Where the box has an address, it is asked for its MAC first. Then all canaries run at once; the drill is over when
 * each has its verdict, which is a matter of milliseconds for a box that works, and of the silence that one of them keeps.
 */
import { hostBytes, hostText } from "../address.ts";
import type { Config } from "../config.ts";
import type { End } from "../../filter/frame.ts";
import {
  Canary,
  CANARY_MS_MAX,
  type CanaryPlan,
  type CanaryVerdict,
  endText,
  type Sent,
  type Side,
} from "./canary.ts";
import { CanaryNeighbours } from "./canary_neighbours.ts";

export type DrillConfig = Config["drill"];

export interface CanaryResult extends CanaryVerdict {
  /** "tcp 10.1.0.250:41000 > 10.2.0.250:443" */
  readonly name: string;
  /** It kept a silence, and is of this kind. Absent: it did not. */
  readonly silent?: CanaryPlan["kind"];
}

export interface DrillOptions {
  /** Only the canaries that keep a silence. @default all */
  readonly silentOnly?: boolean;
}

const ASK_AGAIN_MS = 200;
/** Of dynamic ports (RFC 6335); the drill takes a run of them from a random place. */
const PORT_FIRST = 49152, PORTS = 16000;
const TOKEN_BYTES = 16;
/** Locally administered; the last four bytes are made of the address. */
const OWN_MAC = [2, 0x72];
/** FNV-1a of 32 bits. */
const FNV_OFFSET = 0x811c9dc5, FNV_PRIME = 0x01000193;

export class Drill {
  readonly #config: DrillConfig;
  readonly #neighbours: CanaryNeighbours;
  readonly #client: End;
  readonly #server: End;
  readonly #random: (bytes: number) => Uint8Array<ArrayBuffer>;
  readonly #silentOnly: boolean;
  #canaries: readonly Canary[] = [];
  #askedMs = 0;
  #startMs = 0;
  #fault: string | null = null;

  /** @throws TypeError if the configuration has no addresses for drills */
  constructor(
    config: DrillConfig,
    random: (bytes: number) => Uint8Array<ArrayBuffer>,
    { silentOnly = false }: DrillOptions = {},
  ) {
    const client = hostBytes(config.client ?? ""), server = hostBytes(config.server ?? "");
    if (client === null || server === null) {
      throw new TypeError("Cannot drill: drill.client and drill.server are not set");
    }
    this.#config = config;
    this.#random = random;
    this.#silentOnly = silentOnly;
    this.#client = { mac: macOf(client), ip: client, port: 0 };
    this.#server = { mac: macOf(server), ip: server, port: 0 };
    this.#neighbours = new CanaryNeighbours(
      [{ side: "in", end: this.#client }, { side: "out", end: this.#server }],
      config.vlan,
    );
  }

  /** Whom it plays on each side: the MACs are nobody else's. */
  get ends(): Readonly<Record<Side, End>> {
    return { in: this.#client, out: this.#server };
  }

  /** What no canary could begin for; null: they did, or may. */
  get fault(): string | null {
    return this.#fault;
  }

  get done(): boolean {
    return this.#fault !== null ||
      this.#canaries.length > 0 && this.#canaries.every((canary) => canary.verdict !== null);
  }

  get results(): readonly CanaryResult[] {
    return this.#canaries.flatMap((canary) =>
      canary.verdict === null
        ? []
        : [{ name: nameOf(canary.plan), ...silence(canary.plan), ...canary.verdict }]
    );
  }

  begin(nowMs: number): readonly Sent[] {
    this.#startMs = nowMs;
    return this.#gateway === null ? this.#release(this.#server.mac, nowMs) : this.#ask(nowMs);
  }

  hear(side: Side, frame: Uint8Array, nowMs: number): readonly Sent[] {
    const answers = this.#neighbours.hear(side, frame);
    if (this.#canaries.length > 0) {
      return [...answers, ...this.#canaries.flatMap((canary) => canary.hear(side, frame, nowMs))];
    }
    const mac = this.#gateway === null ? null : this.#neighbours.macOf("in", this.#gateway);
    return mac === null ? answers : [...answers, ...this.#release(mac, nowMs)];
  }

  tick(nowMs: number): readonly Sent[] {
    if (this.#canaries.length > 0) return this.#canaries.flatMap((canary) => canary.tick(nowMs));
    if (nowMs - this.#startMs >= CANARY_MS_MAX) {
      this.#fault = `the box does not answer for its address ${this.#config.gateway} on the client side`;
    }
    return this.#fault === null && nowMs - this.#askedMs >= ASK_AGAIN_MS ? this.#ask(nowMs) : [];
  }

  get #gateway(): readonly number[] | null {
    return this.#config.gateway === null ? null : hostBytes(this.#config.gateway);
  }

  #ask(nowMs: number): readonly Sent[] {
    this.#askedMs = nowMs;
    return [this.#neighbours.ask("in", this.#client, this.#gateway!)];
  }

  #release(mac: readonly number[], nowMs: number): readonly Sent[] {
    this.#canaries = this.#plans(mac).map((plan) => new Canary(plan));
    return this.#canaries.flatMap((canary) => canary.begin(nowMs));
  }

  #plans(mac: readonly number[]): CanaryPlan[] {
    const { flows, tcpPort, udpPort, icmp, refusedPort, vlan, idleS, twin } = this.#config;
    const [high, low] = this.#random(2);
    let next = PORT_FIRST + (high! << 8 | low!) % (PORTS - 128);
    const plan = (kind: CanaryPlan["kind"], port: number, refused = false): CanaryPlan => ({
      kind,
      refused,
      client: { ...this.#client, port: next++ },
      server: { ...this.#server, mac, port: kind === "icmp" ? 0 : port },
      vlan,
      token: this.#random(TOKEN_BYTES),
      clientSequence: new DataView(this.#random(4).buffer).getUint32(0),
      serverSequence: new DataView(this.#random(4).buffer).getUint32(0),
    });
    // Each box forgets datagrams soon: only beside another that is a fault.
    const ports = [["tcp", tcpPort], ["udp", twin ? udpPort : 0]] as const;
    const silent = (): CanaryPlan[] =>
      ports.flatMap(([kind, port]) =>
        port === 0 || idleS === 0 ? [] : [{ ...plan(kind, port), idleMs: 1000 * idleS }]
      );
    if (this.#silentOnly) return silent();
    return [
      ...Array.from({ length: tcpPort === 0 ? 0 : flows }, () => plan("tcp", tcpPort)),
      ...silent(),
      ...(udpPort === 0 ? [] : [plan("udp", udpPort)]),
      ...(icmp ? [plan("icmp", 0)] : []),
      ...(refusedPort === 0 ? [] : [plan("tcp", refusedPort, true)]),
    ];
  }
}

/** Always the same: a box remembers from one drill to the next who has an address. */
function macOf(ip: readonly number[]): number[] {
  const hash = ip.reduce((sum, byte) => Math.imul(sum ^ byte, FNV_PRIME) >>> 0, FNV_OFFSET);
  return [...OWN_MAC, ...[24, 16, 8, 0].map((shift) => hash >>> shift & 0xff)];
}

function silence({ kind, idleMs = 0 }: CanaryPlan): Pick<CanaryResult, "silent"> {
  return idleMs > 0 ? { silent: kind } : {};
}

function nameOf({ kind, client, server, refused, idleMs = 0 }: CanaryPlan): string {
  const end = (one: End) => kind === "icmp" ? hostText(one.ip) : endText(one);
  return `${kind} ${end(client)} > ${end(server)}${refused ? ", to be refused" : ""}${
    idleMs > 0 ? `, silent for ${idleMs / 1000} s` : ""
  }`;
}
