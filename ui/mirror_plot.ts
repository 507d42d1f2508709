/**
 * The curve of a tuning as a picture: what each rule costs against what it keeps.
 *
 * Pure: an SVG text that needs nothing but a browser.
 */
import { type Candidate, front, knee } from "../appliance/mirror_tune.ts";
import { percent } from "./paint.ts";

export const WIDTH = 720;
export const HEIGHT = 440;
export const EDGE = { left: 64, right: 24, top: 40, bottom: 56 } as const;
export const TICKS = 5;

export interface PlotOptions {
  /** Part of bytes; drawn as an upright line. */
  readonly budget: number;
  /** What the upright axis counts: "signatures". */
  readonly counts: string;
}

export interface Scale {
  x(byteShare: number): number;
  y(kept: number): number;
  readonly xMax: number;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

export function scaleOf(candidates: readonly Candidate[], budget: number): Scale {
  const widest = Math.max(budget, ...candidates.map(({ byteShare }) => byteShare));
  const xMax = widest === 0 ? 1 : Math.min(1, widest * 1.05);
  const across = WIDTH - EDGE.left - EDGE.right;
  const up = HEIGHT - EDGE.top - EDGE.bottom;
  return {
    x: (byteShare) => EDGE.left + (byteShare / xMax) * across,
    y: (kept) => HEIGHT - EDGE.bottom - kept * up,
    xMax,
  };
}

function axes(scale: Scale, counts: string): string[] {
  const steps = Array.from({ length: TICKS + 1 }, (_, i) => i / TICKS);
  const bottom = HEIGHT - EDGE.bottom;
  return [
    ...steps.flatMap((part) => {
      const [x, y] = [scale.x(part * scale.xMax).toFixed(1), scale.y(part).toFixed(1)];
      return [
        `<path class="grid" d="M${x} ${EDGE.top}V${bottom}M${EDGE.left} ${y}H${WIDTH - EDGE.right}"/>`,
        `<text x="${x}" y="${bottom + 18}" text-anchor="middle">${percent(part * scale.xMax)}</text>`,
        `<text x="${EDGE.left - 8}" y="${Number(y) + 4}" text-anchor="end">${percent(part)}</text>`,
      ];
    }),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 12}" text-anchor="middle">bytes mirrored</text>`,
    `<text x="${EDGE.left}" y="${EDGE.top - 16}">${escape(counts)} kept</text>`,
  ];
}

/** Those that are not on the curve; drawn first, for equals lie on top of each other. */
export function beatenBy(curve: readonly Candidate[], candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter((one) => !curve.includes(one));
}

/** The picture. */
export function plotTuning(candidates: readonly Candidate[], { budget, counts }: PlotOptions): string {
  const scale = scaleOf(candidates, budget);
  const curve = front(candidates);
  const bend = knee(candidates);
  const dot = (candidate: Candidate) => {
    const kind = candidate === bend ? "knee" : curve.includes(candidate) ? "best" : "beaten";
    const at = `cx="${scale.x(candidate.byteShare).toFixed(1)}" cy="${scale.y(candidate.kept).toFixed(1)}"`;
    const title = `${candidate.rule.name}: ${percent(candidate.byteShare)} of bytes, ${
      percent(candidate.kept)
    } kept`;
    return `<circle class="${kind}" ${at} r="${kind === "knee" ? 6 : 4}"><title>${
      escape(title)
    }</title></circle>`;
  };
  const line = curve.map((c) => `${scale.x(c.byteShare).toFixed(1)},${scale.y(c.kept).toFixed(1)}`).join(" ");
  const label = bend === undefined ? [] : [
    `<text x="${scale.x(bend.byteShare) + 10}" y="${scale.y(bend.kept) + 16}">${
      escape(bend.rule.name)
    }</text>`,
  ];
  const edge = scale.x(budget).toFixed(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    "<style>.grid{stroke:#ddd}.curve{fill:none;stroke:#0a6}.best{fill:#0a6}.beaten{fill:#bbb}" +
    ".knee{fill:#c40}.budget{stroke:#c40;stroke-dasharray:4}</style>",
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...axes(scale, counts),
    `<path class="budget" d="M${edge} ${EDGE.top}V${HEIGHT - EDGE.bottom}"/>`,
    `<polyline class="curve" points="${line}"/>`,
    ...[...beatenBy(curve, candidates), ...curve].map(dot),
    ...label,
    "</svg>",
    "",
  ].join("\n");
}
