/** From the configuration to the board: probes, and the bars of grey failure. Pure but for the memory it writes. */
import type { Board } from "../filter/board.ts";
import { BOX, LIGHT, PROBE_EXPECT, PROBE_KIND } from "../filter/names.ts";
import type { Publish } from "./board_command.ts";
import type { Config } from "./config.ts";
import type { Probe } from "./config_probes.ts";
import { probeEnds, type ProbeFrame, probeFrame, rawFrame } from "./probe_frames.ts";

const NS_PER_MS = 1_000_000;
const NS_PER_S = 1_000_000_000;
const MILLIONTHS_PER_PERCENT = 10_000;
const SIDES = [0, 1] as const;
/** Bits by side: up goes in on the client side. */
const WAYS = { up: 1, down: 2, both: 3 } as const;
const OWN = { from: 1, to: 2, both: 3, none: 0 } as const;

/**
 * All probes, as one change.
 *
 * @param readFrame the bytes of a raw probe's frame
 * @returns why some could not be written; the others were
 */
export function writeProbes(
  board: Board,
  publish: Publish,
  probes: readonly Probe[],
  readFrame: (probe: Probe) => Uint8Array,
): string[] {
  const faults: string[] = [];
  const made = probes.flatMap((probe) => {
    try {
      return [{ probe, frames: framesOf(probe, readFrame) }];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      faults.push(error.message);
      return [];
    }
  });
  // Odd from here on; a control that died while writing may have left it odd already.
  const odd = board.number("command.probe_generation") | 1;
  publish("command.probe_generation", odd);
  made.forEach(({ probe, frames }, i) => writeProbe(board, i, probe, frames));
  board.setNumber("command.probe_count", made.length);
  publish("command.probe_generation", (odd + 1) >>> 0);
  return faults;
}

function framesOf(probe: Probe, readFrame: (probe: Probe) => Uint8Array): ProbeFrame[] {
  if (probe.kind !== "raw") return SIDES.map((side) => probeFrame(probe, side));
  const frame = rawFrame(probe, readFrame(probe));
  return [frame, frame];
}

function writeProbe(board: Board, i: number, probe: Probe, frames: readonly ProbeFrame[]): void {
  const set = (field: string, value: number) => board.setNumber(`probe.${field}`, value, i);
  const failure = probe.onFailure ?? (probe.expect === "blocked" ? "yellow" : "red");
  const ends = probeEnds(probe);
  board.setText("probe.name", probe.name, i);
  set("kind", PROBE_KIND.indexOf(probe.kind));
  set("expect", PROBE_EXPECT.indexOf(probe.expect));
  set("failure", LIGHT.indexOf(failure));
  set("ways", WAYS[probe.direction]);
  set("boxes", probe.boxes.reduce((bits, box) => bits | 1 << BOX.indexOf(box), 0));
  set("own", ends === null ? 0 : OWN[probe.own]);
  set("fall", probe.fall);
  set("rise", probe.rise);
  set("interval_ns", probe.intervalMs * NS_PER_MS);
  set("timeout_ns", probe.timeoutMs * NS_PER_MS);
  const addresses = ends ?? [new Uint8Array(16), new Uint8Array(16)];
  addresses.forEach((address, side) =>
    board.setBytes(board.offset("probe.addr", i) + side * address.length, address)
  );
  SIDES.forEach((side) => writeFrame(board, i * SIDES.length + side, frames[side]!));
}

function writeFrame(board: Board, i: number, frame: ProbeFrame): void {
  const set = (field: string, value: number) => board.setNumber(`probe_frame.${field}`, value, i);
  set("bytes", frame.bytes.length);
  set("token_at", frame.tokenAt);
  set("sum_at", frame.sumAt);
  set("mac_given", frame.macGiven);
  set("mark_at", frame.markAt);
  set("mark_bytes", frame.markBytes);
  board.setBytes(board.offset("probe_frame.frame", i), frame.bytes);
}

/** The bars; whether it is on comes last. */
export function writeGrey(board: Board, grey: Config["grey"]): void {
  const set = (field: string, value: number) => board.setNumber(`command.grey.${field}`, value);
  set("act", grey.act ? 1 : 0);
  set("loss_low", grey.lossLowPercent * MILLIONTHS_PER_PERCENT);
  set("loss", grey.lossPercent * MILLIONTHS_PER_PERCENT);
  set("loss_high", grey.lossHighPercent * MILLIONTHS_PER_PERCENT);
  set("openings", grey.openingsPercent * MILLIONTHS_PER_PERCENT);
  set("repeats", grey.repeatsPercent * MILLIONTHS_PER_PERCENT);
  set("delay_times", grey.delayTimes);
  set("delay_ns", grey.delayMs * NS_PER_MS);
  set("wait_ns", grey.waitMs * NS_PER_MS);
  set("hold_ns", grey.holdS * NS_PER_S);
  set("on", grey.enabled ? 1 : 0);
}
