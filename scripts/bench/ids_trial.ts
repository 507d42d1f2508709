/**
 * One capture before the judge, under every policy: with the mirror alone, and with the mirror up to a cut and everything
 * after it.
 */
import type { Alert } from "../../appliance/mirror_alerts.ts";
import { CaptureWriter, readWhole } from "../../appliance/mirror_files.ts";
import { asEthernet } from "../../appliance/mirror_link.ts";
import { type CapturedFrame, LINK_ETHERNET } from "../../filter/capture.ts";
import { NATURE } from "../../filter/names.ts";
import { type Outcome, Passes } from "./ids_mix.ts";
import type { BenchPolicy } from "./ids_policies.ts";
import {
  addScore,
  chosen,
  cutIndex,
  CUTS,
  type Known,
  type Score,
  type Selection,
  takenOver,
} from "./ids_score.ts";

const SLOTS = 2 ** 13;

/** A judge, as far as the bench needs it: a test has one that needs no Suricata. */
export interface BenchJudge {
  scratch(name: string): string;
  judge(path: string, digest: string): Promise<Alert[]>;
}

/** What the judge says of any selection of a capture's frames. */
class Trial {
  readonly #judge: BenchJudge;
  readonly #frames: readonly CapturedFrame[];
  readonly #number: number;
  readonly whole: Alert[];
  readonly #known = new Map<string, Alert[]>();
  #copies = 0;

  constructor(
    judge: BenchJudge,
    given: { number: number; frames: readonly CapturedFrame[]; whole: Alert[] },
  ) {
    this.#judge = judge;
    this.#frames = oneLink(given.frames);
    this.#number = given.number;
    this.whole = given.whole;
  }

  async alerts(selection: Selection): Promise<Alert[]> {
    const count = chosen(selection);
    if (count === selection.length) return this.whole;
    if (count === 0) return [];
    const key = selection.join("");
    const known = this.#known.get(key);
    if (known) return known;
    const digest = `${this.#number}-${++this.#copies}`;
    const path = this.#judge.scratch(`copy-${digest}.pcap`);
    await using writer = await CaptureWriter.create(path);
    await writer.write(this.#frames.filter((_, i) => selection[i] === 1));
    await writer.close();
    const alerts = await this.#judge.judge(path, digest);
    await Deno.remove(path);
    this.#known.set(key, alerts);
    return alerts;
  }
}

/** A pcap file has one link type; a capture that has several is judged as Ethernet. */
function oneLink(frames: readonly CapturedFrame[]): readonly CapturedFrame[] {
  if (frames.every(({ link }) => link === frames[0]!.link)) return frames;
  return frames.map((frame) => {
    const bytes = asEthernet(frame) ?? new Uint8Array(60);
    return { timeNs: frame.timeNs, link: LINK_ETHERNET, bytes, wireLength: bytes.length };
  });
}

/** Why the alert at a packet (from 1) may be missed when frames before `end` were mirrored and those from it on are there. */
export function whyMissed({ passed, copied }: Outcome, packet: number | null, end: number): string {
  if (packet === null) return "raised without a packet, when its stream ended";
  const one = passed[packet - 1];
  if (one === undefined) return `raised by packet ${packet}, which is not in the capture`;
  const late = packet - 1 >= end;
  const there = late || copied[packet - 1] === 1 ? "there" : `not copied${notCopied(one)}`;
  if (one.parse !== "flow") return `packet ${packet} (${one.parse.replaceAll("_", " ")}) was ${there}`;
  let [mirrored, all] = [0, 0];
  for (let i = 0; i < Math.min(packet - 1, end); i++) {
    const { parse, result } = passed[i]!;
    if (
      parse !== "flow" || result!.slot !== one.result!.slot || result!.field("packet.payload_bytes") === 0
    ) continue;
    all++;
    mirrored += copied[i]!;
  }
  const before = late ? "before the cut" : "before it";
  return `packet ${packet} was ${there}; of ${all} with payload ${before} in its flow ${mirrored} were copied`;
}

function notCopied({ parse, result }: Outcome["passed"][number]): string {
  if (parse !== "flow") return "";
  if (result!.field("packet.payload_bytes") === 0) return " (no payload)";
  return NATURE[result!.field("result.nature")] === "opaque"
    ? " (encrypted)"
    : " (beyond first bytes and turn)";
}

export interface CaptureCount {
  readonly capture: string;
  readonly signatures: number;
  readonly alerts: number;
}

/** Judge one capture under every policy, and add what is found to the scores, of which each policy may have several. */
export async function tryCapture(
  judge: BenchJudge,
  policies: readonly BenchPolicy[],
  scores: readonly (readonly Score[])[],
  given: { readonly capture: string; readonly path: string; readonly number: number },
): Promise<CaptureCount> {
  const { capture, path, number } = given;
  const { frames } = await readWhole(path);
  const whole = await judge.judge(path, `${number}-whole`);
  const trial = new Trial(judge, { number, frames, whole });
  using passes = new Passes(policies, SLOTS);
  for (const [i, outcome] of passes.add(frames).entries()) {
    const { copied } = outcome;
    const mirrored = await trial.alerts(copied);
    const after = [];
    for (const cut of CUTS) {
      const alerts = await trial.alerts(takenOver(copied, cut));
      after.push({ alerts, before: chosen(copied, cutIndex(copied.length, cut)) });
    }
    const why = (sid: number, cut: number | null) => {
      const end = cut === null ? frames.length : cutIndex(frames.length, cut);
      const first = whole.filter((one) => one.sid === sid)
        .find(({ packet }) => cut === null || packet === null || packet > end);
      return whyMissed(outcome, first?.packet ?? null, end);
    };
    const judged = { capture, frames: frames.length, whole, mirrored, after, why };
    for (const score of scores.map((of) => of[i]!)) addScore(score, judged);
  }
  return { capture, signatures: new Set(whole.map(({ sid }) => sid)).size, alerts: whole.length };
}

/** Captures whose counts differ from those of alerts.tsv. */
export function differences(known: readonly Known[], counted: readonly CaptureCount[]): string[] {
  const byName = new Map(counted.map((one) => [one.capture, one]));
  return known.flatMap(({ capture, signatures, alerts }) => {
    const found = byName.get(capture);
    if (!found || (found.signatures === signatures && found.alerts === alerts)) return [];
    return [
      `${capture}: ${found.signatures} signatures and ${found.alerts} alerts, not ${signatures} and ${alerts}`,
    ];
  });
}
