/**
 * What the detectors say of a box, as people read it. Pure.
 *
 * Each detector keeps a number beside its light, in its own terms; here it becomes a sentence.
 */
import type { Board } from "../filter/board.ts";
import { DETECTOR, type Detector, LIGHT } from "../filter/names.ts";
import { greyDetail, probeDetail } from "./probe_view.ts";
import type { DetectorView, Light } from "./view.ts";

const NS_PER_MS = 1e6;

/** `box`: index of the board. Those that are off are left out. */
export function readDetectors(board: Board, box: number, now: { readonly monoNs: number }): DetectorView[] {
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
      reason: detectorReason(board, detector, light, board.number("detection.detail", i)),
      sinceMs: ago("detection.since_ns"),
      ageMs: ago("detection.seen_ns"),
    }];
  });
}

/** Why a box is dead that has links and passes frames; null: no detector is against it. */
export function outvotedReason(detectors: readonly DetectorView[]): string | null {
  const red = detectors.filter((one) =>
    one.light === "red" && one.detector !== "link" && one.detector !== "silence"
  );
  return red.length === 0 ? null : red.map((one) => one.reason).join("; ");
}

const GOOD: Readonly<Record<Detector, string>> = {
  link: "both links are up",
  silence: "what goes in comes out",
  probe: "probes come through",
  bfd: "the session is up",
  grey: "neither loss nor delay",
  check: "the box answers",
};
const BAD: Readonly<Record<Detector, string>> = {
  link: "a link is down",
  silence: "frames went in and none came out",
  probe: "probes do not come through",
  bfd: "the session is down",
  grey: "part of the traffic suffers",
  check: "the box does not answer",
};

function detectorReason(board: Board, detector: Detector, light: Light, detail: number): string {
  if (light !== "green" && detector === "probe") return probeDetail(board, detail);
  if (light !== "green" && detector === "grey") return greyDetail(detail);
  return light === "green" ? GOOD[detector] : BAD[detector];
}
