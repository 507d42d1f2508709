/**
 * What the detectors say of a box, as people read it. Pure.
 *
 * Each detector keeps a number beside its light, in its own terms; here it becomes a sentence.
 */
import type { Board } from "../filter/board.ts";
import { DETECTOR, type Detector, LIGHT } from "../filter/names.ts";
import { bfdReason } from "./bfd_view.ts";
import { FAULT, type Fault, FAULT_TEXT } from "./failover/check.ts";
import { greyDetail, probeDetail } from "./probe_view.ts";
import type { DetectorView, Light } from "./view.ts";

const NS_PER_MS = 1e6;

/** The time, and what control knows better than the board. */
export interface Told {
  readonly monoNs: number;
  /** Why the checks of this box say what they say. */
  readonly check?: string;
}

/** `box`: index of the board. Those that are off are left out. */
export function readDetectors(board: Board, box: number, now: Told): DetectorView[] {
  return DETECTOR.flatMap((detector, d) => {
    const i = box * DETECTOR.length + d;
    const light = LIGHT[board.number("detection.light", i)] ?? "off";
    if (light === "off") return [];
    const ago = (field: string) => {
      const at = board.number(field, i);
      return at === 0 ? null : Math.max(0, (now.monoNs - at) / NS_PER_MS);
    };
    return [{
      detector,
      light,
      reason: detector === "check" && now.check !== undefined
        ? now.check
        : detectorReason(board, { detector, light, detail: board.number("detection.detail", i) }) +
          (detector === "silence" && light === "green" ? readBars(board, box) : ""),
      sinceMs: ago("detection.since_ns"),
      ageMs: ago("detection.seen_ns"),
    }];
  });
}

/** After how long a silence the box that serves is judged, each way, as learnt; empty for one that does not serve. */
function readBars(board: Board, box: number): string {
  const ms = [0, 1].map((side) => board.number("usual.bar_ns", 2 * box + side) / NS_PER_MS);
  if (board.number("live.path") !== box || ms.includes(0)) return "";
  const [up, down] = ms.map((bar) => bar.toFixed(1));
  return `; silence is judged after ${up} ms from the clients, ${down} ms from the servers`;
}

/** Why a box is dead that has links and passes frames; null: no detector is against it. */
export function outvotedReason(detectors: readonly DetectorView[]): string | null {
  const red = detectors.filter((one) =>
    one.light === "red" && one.detector !== "link" && one.detector !== "silence"
  );
  return red.length === 0 ? null : red.map((one) => one.reason).join("; ");
}

const GOOD: Readonly<Record<Exclude<Detector, "bfd">, string>> = {
  link: "both links are up",
  silence: "what goes in comes out",
  probe: "probes come through",
  grey: "neither loss nor delay",
  check: "the box answers",
};
const BAD: Readonly<Record<Exclude<Detector, "bfd">, string>> = {
  link: "a link is down",
  silence: "frames went in and none came out",
  probe: "probes do not come through",
  grey: "part of the traffic suffers",
  check: "the box does not answer",
};

interface Said {
  readonly detector: Detector;
  readonly light: Light;
  readonly detail: number;
}

function detectorReason(board: Board, { detector, light, detail }: Said): string {
  if (light !== "green" && detector === "probe") return probeDetail(board, detail);
  if (light !== "green" && detector === "grey") return greyDetail(detail);
  if (detector === "bfd") return bfdReason(detail, light, board);
  if (detector === "check" && light !== "green") {
    const { index, fault } = readCheckDetail(detail);
    return `check ${index + 1}: ${FAULT_TEXT[fault]}`;
  }
  return light === "green" ? GOOD[detector] : BAD[detector];
}

/** The detail of checks: which of them, by its place in the configuration, and its fault. */
export function checkDetail(index: number, fault: Fault): number {
  return FAULT.indexOf(fault) << 8 | (index & 0xff);
}

function readCheckDetail(detail: number): { index: number; fault: Fault } {
  return { index: detail & 0xff, fault: FAULT[detail >> 8] ?? "other" };
}
