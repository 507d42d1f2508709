/**
 * Runs a drill on the plane: its frames go by the board into the box that does not serve, and what comes out of the
 * box is read from the capture ring. An edge: it waits for time to pass.
 *
 * No traffic is at risk: the plane lets nothing of this out of a box that stands by. Into the one that serves go silent
 * canaries, where they are wanted (`twin`), and what comes out for them the plane takes.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CaptureReader, MappedBoard } from "../filter/dpdk.ts";
import { SIDE, tapBit } from "../filter/names.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { addressBytes, hostText } from "./address.ts";
import { RecordDecoder } from "./capture_encode.ts";
import type { Sent, Side } from "./failover/canary.ts";
import { type CanaryResult, Drill, type DrillConfig } from "./failover/drill.ts";
import { besideTwins } from "./failover/drill_twin.ts";

const LOOK_MS = 1;
/** Both ends of a canary wait two seconds at most, one after the other; a silence comes on top. */
const DRILL_MS_MAX = 5000;
const TAKE_BYTES = 64 * 1024;
/** A canary's largest frame, and what identifies it, are within so many bytes. */
export const SNAP_BYTES_MIN = 128;
/** A box asks again for who it has spoken to for some seconds; what it asks is the node's for so long behind a drill. */
const LINGER_MS = 15_000;

export interface DrillMeans {
  readonly map: MappedBoard;
  /** Index of the box's port on the client side, as on the board; the next one is the server side's. */
  readonly firstRole: number;
  /** The same of the box that serves, for silent canaries; null: they go through the standby alone. */
  readonly twinRole: number | null;
  readonly monoNs: () => bigint;
  /** Another reader of the plane's ring, and what ends its wishes. */
  readonly tap: (wanted: number) => { reader: CaptureReader; end: () => void };
}

export interface DrillOutcome {
  readonly canaries: readonly CanaryResult[];
  /** Why canaries could not even begin; null: they did. */
  readonly fault: string | null;
}

/** One box's part of a drill. */
interface Part {
  readonly drill: Drill;
  readonly firstRole: number;
}

/** @throws TypeError if the configuration has no addresses, Error if the plane has no capture ring */
export async function runDrill(config: DrillConfig, means: DrillMeans): Promise<DrillOutcome> {
  const { firstRole, twinRole } = means;
  const make = (silentOnly: boolean) =>
    new Drill(config, (bytes) => crypto.getRandomValues(new Uint8Array(bytes)), { silentOnly });
  const own: Part = { drill: make(false), firstRole };
  const twin: Part | null = twinRole === null ? null : { drill: make(true), firstRole: twinRole };
  if (twin !== null) allow(means, twin.drill, msMax(config) + LINGER_MS);
  await converse(config, means, twin === null ? [own] : [own, twin]);
  const { results, fault } = own.drill;
  return { canaries: twin === null ? results : besideTwins(results, twin.drill.results), fault };
}

/** Until all canaries have their verdicts. */
async function converse(config: DrillConfig, means: DrillMeans, parts: readonly Part[]): Promise<void> {
  const { monoNs } = means;
  const wantedOf = ({ firstRole }: Part) => tapBit("in", firstRole) | tapBit("in", firstRole + 1);
  // Of all that comes out of a box that serves the plane keeps what is a canary's, unasked.
  const { reader, end } = means.tap(wantedOf(parts[0]!));
  try {
    reader.choose(parts.reduce((bits, part) => bits | wantedOf(part), 0), compileFilter(filterOf(config)));
    const decoder = new RecordDecoder(reader.layout);
    const buffer = new Uint8Array(TAKE_BYTES);
    const sender = new Sender(means.map);
    const nowMs = () => Number(monoNs()) / 1e6;
    const lastMs = nowMs() + msMax(config);
    for (const { drill, firstRole } of parts) sender.queue(firstRole, drill.begin(nowMs()));
    while (parts.some(({ drill }) => !drill.done) && nowMs() < lastMs) {
      sender.send();
      await delay(LOOK_MS);
      for (const { role, bytes } of decoder.decode(buffer.subarray(0, reader.take(monoNs(), buffer)))) {
        const part = parts.find(({ firstRole }) => role === firstRole || role === firstRole + 1);
        if (part === undefined) continue;
        const side: Side = role === part.firstRole ? "in" : "out";
        sender.queue(part.firstRole, part.drill.hear(side, bytes.slice(), nowMs()));
      }
      for (const { drill, firstRole } of parts) sender.queue(firstRole, drill.tick(nowMs()));
    }
    sender.send();
  } finally {
    end();
    reader.close();
  }
}

const msMax = ({ idleS }: DrillConfig) => DRILL_MS_MAX + 1000 * idleS;

/** The ends of canaries through a box that serves: for so long the plane lets in what they say, and keeps what is for them. */
function allow({ map: { board }, monoNs }: DrillMeans, { ends }: Drill, forMs: number): void {
  SIDE.forEach((_, i) => {
    const { ip, mac } = i === 0 ? ends.in : ends.out;
    board.setBytes(board.offset("canary.ip", i), addressBytes(hostText(ip))!);
    board.setNumber("canary.mac", mac.reduceRight((sum, byte) => 256 * sum + byte, 0), i);
    board.setNumber("canary.until_ns", Number(monoNs()) + 1e6 * forMs, i);
  });
}

/** What may be a canary's, whatever the box made of it; the rest of the shadow is left to the plane. */
function filterOf({ client, server, vlan }: DrillConfig): string {
  const hosts = `host ${client} or host ${server} or arp or icmp6`;
  return vlan === 0 ? hosts : `vlan ${vlan} and (${hosts})`;
}

/** Frames on their way to the board's ring, which has few places. */
class Sender {
  readonly #map: MappedBoard;
  #waiting: { readonly role: number; readonly frame: Uint8Array }[] = [];

  constructor(map: MappedBoard) {
    this.#map = map;
  }

  queue(firstRole: number, frames: readonly Sent[]): void {
    this.#waiting.push(
      ...frames.map(({ side, frame }) => ({ role: firstRole + (side === "in" ? 0 : 1), frame })),
    );
  }

  /** As many as there is room for. */
  send(): void {
    const { board, publish } = this.#map;
    const places = board.count("inject.role"), room = board.stride("inject.frame") - 8;
    let sequence = board.number("command.inject_sequence");
    while (this.#waiting.length > 0 && (sequence - board.number("live.inject_done") >>> 0) < places) {
      const { role, frame } = this.#waiting.shift()!;
      if (frame.length > room) {
        throw new RangeError(`Cannot send a frame of ${frame.length} bytes: ${room} fit`);
      }
      sequence = (sequence + 1) >>> 0;
      const i = sequence % places;
      board.setNumber("inject.role", role, i);
      board.setNumber("inject.bytes", frame.length, i);
      board.setBytes(board.offset("inject.frame", i), frame);
      publish("command.inject_sequence", sequence);
    }
  }
}
