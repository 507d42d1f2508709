/** The same picture as mirror_plot.ts draws, as dots: for mails and documents that take no SVG. Pure. */
import { type Candidate, front, knee } from "../appliance/mirror_tune.ts";
import {
  beatenBy,
  EDGE,
  HEIGHT,
  type PlotOptions,
  type Scale,
  scaleOf,
  TICKS,
  WIDTH,
} from "./mirror_plot.ts";
import { percent } from "./paint.ts";
import { type Colour, type Point, Raster } from "./raster.ts";

/** Dots for each unit of the drawing, so that words can be read. */
const ZOOM = 2;
const GRID: Colour = [221, 221, 221];
const BEST: Colour = [0, 170, 102];
const BEATEN: Colour = [187, 187, 187];
const KNEE: Colour = [204, 68, 0];
const TOP = EDGE.top;
const BOTTOM = HEIGHT - EDGE.bottom;

const at = (x: number, y: number): Point => [x * ZOOM, y * ZOOM];

function drawAxes(raster: Raster, scale: Scale, counts: string): void {
  for (let i = 0; i <= TICKS; i++) {
    const part = i / TICKS;
    const [x, y] = [scale.x(part * scale.xMax), scale.y(part)];
    raster.line(at(x, TOP), at(x, BOTTOM), GRID);
    raster.line(at(EDGE.left, y), at(WIDTH - EDGE.right, y), GRID);
    raster.text(at(x, BOTTOM + 18), percent(part * scale.xMax), { size: ZOOM, anchor: "middle" });
    raster.text(at(EDGE.left - 8, y + 4), percent(part), { size: ZOOM, anchor: "end" });
  }
  raster.text(at(WIDTH / 2, HEIGHT - 12), "bytes mirrored", { size: ZOOM, anchor: "middle" });
  raster.text(at(EDGE.left, TOP - 16), `${counts} kept`, { size: ZOOM, anchor: "start" });
}

/** The curve of a tuning. */
export function drawTuning(candidates: readonly Candidate[], { budget, counts }: PlotOptions): Raster {
  const raster = new Raster(WIDTH * ZOOM, HEIGHT * ZOOM);
  const scale = scaleOf(candidates, budget);
  const place = (one: Candidate) => at(scale.x(one.byteShare), scale.y(one.kept));
  drawAxes(raster, scale, counts);
  raster.line(at(scale.x(budget), TOP), at(scale.x(budget), BOTTOM), KNEE, 4 * ZOOM);
  const curve = front(candidates);
  for (const one of beatenBy(curve, candidates)) raster.disc(place(one), 4 * ZOOM, BEATEN);
  curve.slice(1).forEach((one, i) => raster.line(place(curve[i]!), place(one), BEST));
  for (const one of curve) raster.disc(place(one), 4 * ZOOM, BEST);
  const bend = knee(candidates);
  if (bend === undefined) return raster;
  raster.disc(place(bend), 6 * ZOOM, KNEE);
  const [x, y] = [scale.x(bend.byteShare), scale.y(bend.kept)];
  raster.text(at(x + 10, y + 16), bend.rule.name, { size: ZOOM, anchor: "start" });
  return raster;
}
