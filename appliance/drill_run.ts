/**
 * Runs a drill on the plane: its frames go by the board into the box that does not serve, and what comes out of the
 * box is read from the capture ring. An edge: it waits for time to pass.
 *
 * No traffic is at risk: the plane puts nothing of this into a box that serves, and lets nothing out of the other.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CaptureReader, MappedBoard } from "../filter/dpdk.ts";
import { tapBit } from "../filter/names.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { RecordDecoder } from "./capture_encode.ts";
import type { Sent, Side } from "./failover/canary.ts";
import { type CanaryResult, Drill, type DrillConfig } from "./failover/drill.ts";

const LOOK_MS = 1;
/** Both ends of a canary wait two seconds at most, one after the other; a silence comes on top. */
const DRILL_MS_MAX = 5000;
const TAKE_BYTES = 64 * 1024;
/** A canary's largest frame, and what identifies it, are within so many bytes. */
export const SNAP_BYTES_MIN = 128;

export interface DrillMeans {
  readonly map: MappedBoard;
  /** Index of the box's port on the client side, as on the board; the next one is the server side's. */
  readonly firstRole: number;
  readonly monoNs: () => bigint;
  /** Another reader of the plane's ring, and what ends its wishes. */
  readonly tap: (wanted: number) => { reader: CaptureReader; end: () => void };
}

export interface DrillOutcome {
  readonly canaries: readonly CanaryResult[];
  /** Why canaries could not even begin; null: they did. */
  readonly fault: string | null;
}

/** @throws TypeError if the configuration has no addresses, Error if the plane has no capture ring */
export async function runDrill(config: DrillConfig, means: DrillMeans): Promise<DrillOutcome> {
  const drill = new Drill(config, (bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
  const { firstRole, monoNs } = means;
  const wanted = tapBit("in", firstRole) | tapBit("in", firstRole + 1);
  const { reader, end } = means.tap(wanted);
  try {
    reader.choose(wanted, compileFilter(filterOf(config)));
    const decoder = new RecordDecoder(reader.layout);
    const buffer = new Uint8Array(TAKE_BYTES);
    const sender = new Sender(means);
    const nowMs = () => Number(monoNs()) / 1e6;
    const lastMs = nowMs() + DRILL_MS_MAX + 1000 * config.idleS;
    sender.queue(drill.begin(nowMs()));
    while (!drill.done && nowMs() < lastMs) {
      sender.send();
      await delay(LOOK_MS);
      for (const { role, bytes } of decoder.decode(buffer.subarray(0, reader.take(monoNs(), buffer)))) {
        const side: Side = role === firstRole ? "in" : "out";
        sender.queue(drill.hear(side, bytes.slice(), nowMs()));
      }
      sender.queue(drill.tick(nowMs()));
    }
    sender.send();
    return { canaries: drill.results, fault: drill.fault };
  } finally {
    end();
    reader.close();
  }
}

/** What may be a canary's, whatever the box made of it; the rest of the shadow is left to the plane. */
function filterOf({ client, server, vlan }: DrillConfig): string {
  const hosts = `host ${client} or host ${server} or arp or icmp6`;
  return vlan === 0 ? hosts : `vlan ${vlan} and (${hosts})`;
}

/** Frames on their way to the board's ring, which has few places. */
class Sender {
  readonly #means: DrillMeans;
  #waiting: Sent[] = [];

  constructor(means: DrillMeans) {
    this.#means = means;
  }

  queue(frames: readonly Sent[]): void {
    this.#waiting.push(...frames);
  }

  /** As many as there is room for. */
  send(): void {
    const { map: { board, publish }, firstRole } = this.#means;
    const places = board.count("inject.role"), room = board.stride("inject.frame") - 8;
    let sequence = board.number("command.inject_sequence");
    while (this.#waiting.length > 0 && (sequence - board.number("live.inject_done") >>> 0) < places) {
      const { side, frame } = this.#waiting.shift()!;
      if (frame.length > room) {
        throw new RangeError(`Cannot send a frame of ${frame.length} bytes: ${room} fit`);
      }
      sequence = (sequence + 1) >>> 0;
      const i = sequence % places;
      board.setNumber("inject.role", firstRole + (side === "in" ? 0 : 1), i);
      board.setNumber("inject.bytes", frame.length, i);
      board.setBytes(board.offset("inject.frame", i), frame);
      publish("command.inject_sequence", sequence);
    }
  }
}
