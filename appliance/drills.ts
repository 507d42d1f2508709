/**
 * Drills of a node: one at a time, each with a signed report that is kept, and the last one known after a restart.
 *
 * An edge: it reads the clock and keeps files.
 */
import type { Board } from "../filter/board.ts";
import { BOX, ROLE } from "../filter/names.ts";
import { addressBytes } from "./address.ts";
import { type Now, readPath } from "./board_view.ts";
import type { BoxConfig, Config } from "./config.ts";
import { readDetectors } from "./detector_view.ts";
import { type DrillReport, type SignedReport, signReport } from "./drill_report.ts";
import { type DrillMeans, type DrillOutcome, runDrill, SNAP_BYTES_MIN } from "./drill_run.ts";
import { hasEnd } from "./flow_view.ts";
import { drillKeyPath, drillsPath } from "./paths.ts";
import { lossOf } from "./failover/match.ts";
import { readMatch } from "./match_view.ts";
import { rankedBoxes } from "./preference.ts";
import { reasonOf } from "../drivers/reason.ts";
import { VERSION } from "./version.ts";
import type { Box, DrillAnswer, DrillControl, DrillSummary } from "./view.ts";

const REPORTS_MAX = 64;

/** Without the boxes that a drill is about. */
type BoxlessMeans = Omit<DrillMeans, "firstRole" | "twinRole">;

export interface DrillsOptions {
  readonly config: () => Config;
  readonly now: () => Now;
  /** The running plane; null: there is none. */
  readonly means: () => BoxlessMeans | null;
  /** A drill has ended. */
  readonly tell: (text: string, ok: boolean) => void;
}

export class Drills implements DrillControl {
  readonly #options: DrillsOptions;
  #running = false;
  #last: DrillSummary | null = null;

  constructor(options: DrillsOptions) {
    this.#options = options;
    this.#last = this.list().at(-1) ?? null;
  }

  get last(): DrillSummary | null {
    return this.#last;
  }

  async run(box: Box | null): Promise<DrillAnswer> {
    const means = this.#options.means();
    if (means === null) return refusal("there is no plane");
    const { board } = means.map;
    const path = readPath(board);
    const isAlive = (one: Box) => board.number("box.alive", BOX.indexOf(one)) === 1;
    const chosen = box ?? nextBox(rankedBoxes(board, this.#options.config().boxes), path, isAlive);
    if (chosen === undefined) return refusal("no box stands by");
    const fault = this.#fault(chosen, path) ?? this.#twinFault(board);
    if (fault !== null) return refusal(fault);
    this.#running = true;
    try {
      const signed = await this.#drill(chosen, means);
      return { ok: true, signed };
    } catch (error) {
      return refusal(reasonOf(error));
    } finally {
      this.#running = false;
    }
  }

  #fault(box: Box, path: string): string | null {
    const { drill, capture } = this.#options.config();
    if (drill.client === null || drill.server === null) {
      return "drill.client and drill.server are not set: canaries need an address on either side";
    }
    if (box === path) return `the ${box} serves: a drill is for a box that stands by`;
    if (capture.snapBytes < SNAP_BYTES_MIN) {
      return `capture.snap_bytes is ${capture.snapBytes}, and canaries are known by ${SNAP_BYTES_MIN}`;
    }
    return this.#running ? "another drill runs" : null;
  }

  /** What the plane takes for a canary's end beside the box that serves would be missed by whoever has its address. */
  #twinFault(board: Board): string | null {
    const { drill } = this.#options.config();
    if (!drill.twin) return null;
    for (const key of ["client", "server"] as const) {
      const address = addressBytes(drill[key] ?? "");
      if (address === null || !hasEnd(board, address)) continue;
      return `drill.${key} is ${
        drill[key]
      }, and somebody has that address: with drill.twin the node would keep what is ` +
        "for it; give it one that nobody has, or turn drill.twin off";
    }
    return null;
  }

  async #drill(box: Box, means: BoxlessMeans): Promise<SignedReport> {
    const config = this.#options.config();
    const { board } = means.map;
    const firstRole = ROLE.indexOf(`${box}-in`), i = BOX.indexOf(box);
    const master = BOX.find((one) => one === readPath(board));
    const twinRole = config.drill.twin && master !== undefined ? ROLE.indexOf(`${master}-in`) : null;
    const started = this.#options.now(), before = passed(board, i);
    const outcome = await runDrill(config.drill, { ...means, firstRole, twinRole });
    const ended = this.#options.now(), after = passed(board, i);
    const serves = readPath(board) === box;
    const { ok, text } = serves
      ? { ok: false, text: `the ${box} began to serve meanwhile, so the canaries prove nothing` }
      : withLoss(judgeDrill(outcome), lossOf(readMatch(board, i), config.match).text);
    const report: DrillReport = {
      ...{ node: config.node.name, version: VERSION, box, ok, text },
      startedMs: started.wallMs,
      tookMs: Math.round((ended.monoNs - started.monoNs) / 1e6),
      canaries: outcome.canaries,
      shadow: { inPackets: after.in - before.in, outPackets: after.out - before.out },
      detectors: readDetectors(board, i, ended),
    };
    const signed = await signReport(report, drillKeyPath(config));
    await this.#keep(signed);
    this.#last = summary(report);
    this.#options.tell(`drill of the ${box}: ${text}`, ok);
    return signed;
  }

  async #keep(signed: SignedReport): Promise<void> {
    const directory = drillsPath(this.#options.config());
    const name = `${new Date(signed.report.startedMs).toISOString().replaceAll(":", "")}.json`;
    try {
      await Deno.mkdir(directory, { recursive: true, mode: 0o750 });
      await Deno.writeTextFile(`${directory}/${name}`, `${JSON.stringify(signed)}\n`, { mode: 0o640 });
      for (const old of this.#files().slice(0, -REPORTS_MAX)) await Deno.remove(`${directory}/${old}`);
    } catch (error) {
      throw new Error(`Cannot keep the report of the drill in ${directory}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Oldest first. Those of a node that never had one: none. */
  list(): readonly DrillSummary[] {
    const directory = drillsPath(this.#options.config());
    return this.#files().flatMap((name) => {
      try {
        return [summary((JSON.parse(Deno.readTextFileSync(`${directory}/${name}`)) as SignedReport).report)];
      } catch {
        return []; // cut by a power failure, or somebody's own file: not a report
      }
    });
  }

  #files(): string[] {
    try {
      const names = [...Deno.readDirSync(drillsPath(this.#options.config()))].map(({ name }) => name);
      return names.filter((name) => name.endsWith(".json")).sort();
    } catch {
      return [];
    }
  }
}

function passed(board: Board, box: number): { in: number; out: number } {
  return { in: board.number("box.in_packets", box), out: board.number("box.out_packets", box) };
}

/** The box that would take over: of those alive the first by rank. */
export function nextBox(
  boxes: readonly BoxConfig[],
  path: string,
  isAlive: (box: Box) => boolean,
): Box | undefined {
  const ranked = boxes.toSorted((a, b) => a.rank - b.rank).map(({ box }) => box);
  return ranked.find((box) => box !== path && isAlive(box));
}

/** A drill is good if every canary is. */
export function judgeDrill({ canaries, fault }: DrillOutcome): { ok: boolean; text: string } {
  if (fault !== null) return { ok: false, text: fault };
  const bad = canaries.filter((one) => !one.ok);
  if (canaries.length === 0) return { ok: false, text: "no canary had a verdict in time" };
  if (bad.length === 0) {
    return { ok: true, text: `${canaries.length} of ${canaries.length} canaries as they should be` };
  }
  return {
    ok: false,
    text: `${bad.length} of ${canaries.length} canaries failed; ${bad[0]!.name}: ${bad[0]!.text}`,
  };
}

/** A drill moves no traffic; what a switch would cost at that moment is told with it. */
function withLoss({ ok, text }: { ok: boolean; text: string }, loss: string): { ok: boolean; text: string } {
  return { ok, text: loss === "" ? text : `${text}; a switch now would ${loss}` };
}

function summary({ box, ok, text, startedMs, canaries }: DrillReport): DrillSummary {
  const forgotMs = canaries.find((one) => one.forgotMs !== undefined)?.forgotMs;
  return { box, ok, text, startedMs, ...(forgotMs !== undefined && { forgotMs }) };
}

function refusal(text: string): DrillAnswer {
  return { ok: false, text };
}
