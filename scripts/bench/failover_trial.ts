/**
 * Duty: one trial: both streams run, the primary dies in the middle of them, and afterwards all is as before.
 *
 * What packets suffer is prepared and begins at a full second, links are cut by the program that has the streams: no
 * program's start lies between a death and its time stamp.
 */
import { failureAction, recoveryAction } from "../lab/failures.ts";
import { runStreams, type StreamEvent, type StreamsReport } from "../lab/streams.ts";
import type { Cell, Death } from "./failover_cells.ts";
import { type Kit, settle, type Standing, streamsOf } from "./failover_systems.ts";

export interface Trial {
  /** What the system says it has seen; null: it does not say, or has not switched. */
  readonly cause: string | null;
  /** From the event to the first frame by the other path; null: none in the time that was waited. */
  readonly switchMs: number | null;
  /** Of a cut link: until the kernel told the far end. */
  readonly noticedMs: number | null;
  /** Longest time without an echo at the client. */
  readonly gapMs: number;
  readonly lostProbe: number;
  readonly lostFast: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** By the other path before the event: a false switch. */
  readonly elsewhere: number;
  /** Lost though they were sent well before the event: a machine that is late by more than that. */
  readonly lostBefore: number;
  /** Datagrams the sender itself was too late for. */
  readonly late: number;
}

const BEFORE_MS = 300;
const PREPARE_MS = 350;
/** Traffic before a death that begins by the clock: a box in service has some, and steadiness shows only in it. */
const STEADY_MS = 1_500;

function judge({ streams: [probe, fast], noticedNs, eventNs }: StreamsReport, cause: string | null): Trial {
  const firsts = [probe.firstOtherNs, fast.firstOtherNs].filter((ns) => ns > 0);
  return {
    cause,
    switchMs: firsts.length === 0 ? null : Math.min(...firsts) / 1e6,
    noticedMs: eventNs > 0 && noticedNs > 0 ? noticedNs / 1e6 : null,
    gapMs: Math.max(probe.gapDownNs, fast.gapDownNs) / 1e6,
    lostProbe: probe.lost,
    lostFast: fast.lost,
    duplicates: probe.duplicates + fast.duplicates,
    reordered: probe.reordered + fast.reordered,
    elsewhere: probe.otherBefore + fast.otherBefore,
    lostBefore: probe.lostBefore + fast.lostBefore,
    late: probe.late + fast.late,
  };
}

async function prepare(standing: Standing, death: Death): Promise<StreamEvent> {
  const { lab, peer } = standing;
  const box = lab.topology.boxes.find((one) => one.name === "primary")!;
  if (death === "link-both") {
    // Between two bridges each side has a peer of its own; one of them is watched.
    return { kind: "cut", box: box.name, peer, atMs: BEFORE_MS, interfaces: [box.inside, box.outside] };
  }
  const wallS = Math.ceil((Date.now() + PREPARE_MS + STEADY_MS) / 1_000);
  await lab.exec(box.name, failureAction(death, box, wallS).argv);
  return { kind: "at", wallS };
}

/** Runs one trial and mends everything after it. */
export async function trial(
  standing: Standing,
  kit: Kit,
  cell: Pick<Cell, "death" | "afterMs">,
): Promise<Trial> {
  const { lab } = standing;
  const event = await prepare(standing, cell.death);
  const untilMs = event.kind === "at" ? event.wallS * 1_000 - Date.now() : BEFORE_MS;
  const report = await runStreams(lab, kit.programs, streamsOf(Math.ceil(untilMs) + cell.afterMs), event);
  const cause = await standing.why();
  const box = lab.topology.boxes.find((one) => one.name === "primary")!;
  await lab.exec(box.name, recoveryAction(cell.death, box).argv);
  await standing.restore();
  await settle(standing, kit);
  return judge(report, cause);
}
