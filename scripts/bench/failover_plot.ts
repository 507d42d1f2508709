/**
 * Duty: the trials of a bench of failovers as a picture: a dot for each, on a scale of powers of ten. Pure.
 *
 * An SVG text that needs nothing but a browser. What never switched stands at the right edge.
 */
import { type Death, DEATH_TEXT, type System, SYSTEM_TEXT, SYSTEMS } from "./failover_cells.ts";
import { type Row, switchTimes } from "./failover_report.ts";

const WIDTH = 860;
const LEFT = 210;
const RIGHT = 60;
const LINE = 15;
const GAP = 22;
const TOP = 40;
const DECADES = [0.1, 1, 10, 100, 1_000];
const COLOURS: Readonly<Record<System, string>> = {
  remediate: "#0a7d55",
  "remediate-10": "#6bbf9f",
  ovs: "#b5532a",
  "keepalived-10": "#3c5fa8",
  "keepalived-100": "#7f9bd1",
  conntrackd: "#8a5aa8",
};

/** Where a time stands; beyond the scale is the edge. */
export function across(ms: number): number {
  const first = Math.log10(DECADES[0]!), last = Math.log10(DECADES.at(-1)! * 5);
  const at = Math.min(1, Math.max(0, (Math.log10(ms) - first) / (last - first)));
  return LEFT + at * (WIDTH - LEFT - RIGHT);
}

function rowMarks(row: Row, y: number): string[] {
  const label = `<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${SYSTEM_TEXT[row.system]}</text>`;
  const dots = switchTimes(row).map((ms) => {
    const x = ms === Infinity ? WIDTH - RIGHT + 20 : across(ms);
    return `<circle cx="${x.toFixed(1)}" cy="${y}" r="3" fill="${COLOURS[row.system]}"/>`;
  });
  return [label, ...dots];
}

/** The picture. */
export function plotFailover(rows: readonly Row[]): string {
  let y = TOP;
  const marks: string[] = [];
  for (const death of Object.keys(DEATH_TEXT) as Death[]) {
    const of = SYSTEMS.flatMap((system) =>
      rows.filter((row) => row.death === death && row.system === system)
    );
    if (of.length === 0) continue;
    marks.push(`<text class="death" x="12" y="${y + 4}">${DEATH_TEXT[death]}</text>`);
    y += LINE;
    for (const row of of) {
      marks.push(...rowMarks(row, y));
      y += LINE;
    }
    y += GAP - LINE;
  }
  const grid = DECADES.map((ms) => {
    const x = across(ms).toFixed(1);
    return `<path d="M${x} ${TOP - 12}V${y}" stroke="#ddd"/>` +
      `<text x="${x}" y="${y + 14}" text-anchor="middle">${ms} ms</text>`;
  });
  const never = `<text x="${WIDTH - RIGHT + 20}" y="${y + 14}" text-anchor="middle">never</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${
      y + 28
    }" font-family="sans-serif" font-size="11">`,
    "<style>.death{font-weight:bold}</style>",
    `<text x="12" y="18" font-size="13">From a box's death to the first datagram by the other box</text>`,
    ...grid,
    never,
    ...marks,
    "</svg>",
  ].join("\n") + "\n";
}
