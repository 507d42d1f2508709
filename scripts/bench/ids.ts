/**
 * How much an IDS still sees when it only gets the mirror, and after it has taken over: `./scripts/deno task bench:ids`.
 *
 * Suricata judges whole captures, what each policy mirrors of them, and mirror-then-everything after a cut, all in one
 * run. The price is measured on all captures, and on a mix with generated bulk. --help tells the options.
 */
import { parseArgs } from "node:util";
import { type Alert } from "../../appliance/mirror_alerts.ts";
import { CaptureWriter, readWhole } from "../../appliance/mirror_files.ts";
import { Judge } from "../../appliance/mirror_judge.ts";
import { asEthernet } from "../../appliance/mirror_link.ts";
import { type CapturedFrame, LINK_ETHERNET } from "../../filter/capture.ts";
import { table } from "../../ui/paint.ts";
import { mixCosts, Passes } from "./ids_mix.ts";
import { BASELINES, type BenchPolicy, idsPresets } from "./ids_policies.ts";
import {
  addScore,
  chosen,
  cutIndex,
  CUTS,
  judgeBars,
  type Known,
  newScore,
  percentText,
  readKnown,
  row,
  type Score,
  type Selection,
  tableCells,
  takenOver,
} from "./ids_score.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const USAGE = `Usage: ./scripts/deno task bench:ids [--json] [--check] [--captures N] [--missed]

Needs the test data (REMEDIATE_DATA, or ../shared/data beside the checkout) and, as root, installs Suricata.

  --json        one JSON document on standard output; progress goes to standard error
  --check       exit 1 where a bar of the presets is missed
  --captures N  only the first N captures that raise alerts, and the same N for the shares: a quick look, no measurement
  --missed      name the signatures that the presets miss
`;
const SLOTS = 2 ** 13;
const WORKERS = 2;

export interface Options {
  readonly json: boolean;
  readonly check: boolean;
  readonly missed: boolean;
  /** Undefined: all. */
  readonly captures: number | undefined;
}

/** Where the test data lies. */
export function dataFolder(): string {
  return Deno.env.get("REMEDIATE_DATA") ?? `${TOP}/../shared/data`;
}

/**
 * "arkime:tests/x.pcap" in alerts.tsv is arkime/tests/x.pcap, "debian-src:tcpdump_4.99.3:tests/x.pcap" is
 * tcpdump/tests/x.pcap: the folder is the last name before the path, without its version.
 */
export function pathOf(folder: string, capture: string): string {
  const [path = "", source = ""] = capture.split(":").reverse();
  return `${folder}/captures/${source.replace(/_.*$/, "")}/${path}`;
}

async function filesUnder(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) paths.push(...await filesUnder(path));
    else if (/\.(pcap|pcapng|cap)$/.test(entry.name)) paths.push(path);
  }
  return paths.sort();
}

/** A judge, as far as the bench needs it: a test has one that needs no Suricata. */
export interface BenchJudge {
  scratch(name: string): string;
  judge(path: string, digest: string): Promise<Alert[]>;
}

/** One capture before the judge: what it says of any selection of its frames. */
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

export interface CaptureCount {
  readonly capture: string;
  readonly signatures: number;
  readonly alerts: number;
}

/** Judge one capture under every policy, and add what is found to the scores. */
export async function tryCapture(
  judge: BenchJudge,
  policies: readonly BenchPolicy[],
  scores: readonly Score[],
  given: { readonly capture: string; readonly path: string; readonly number: number },
): Promise<CaptureCount> {
  const { capture, path, number } = given;
  const { frames } = await readWhole(path);
  const whole = await judge.judge(path, `${number}-whole`);
  const trial = new Trial(judge, { number, frames, whole });
  using passes = new Passes(policies, SLOTS);
  const outcomes = passes.add(frames);
  for (const [i, { copied }] of outcomes.entries()) {
    const mirrored = await trial.alerts(copied);
    const after = [];
    for (const cut of CUTS) {
      const alerts = await trial.alerts(takenOver(copied, cut));
      after.push({ alerts, before: chosen(copied, cutIndex(copied.length, cut)) });
    }
    addScore(scores[i]!, { capture, frames: frames.length, whole, mirrored, after });
  }
  return { capture, signatures: new Set(whole.map(({ sid }) => sid)).size, alerts: whole.length };
}

/** Run `work` over the items, so many at a time, in order of their numbers. */
async function inParallel<T>(
  items: readonly T[],
  work: (item: T, number: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const number = next++;
      await work(items[number]!, number);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
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

function say(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function measure(options: Options) {
  const folder = dataFolder();
  const known = readKnown(await Deno.readTextFile(`${folder}/alerts.tsv`)).slice(0, options.captures);
  // Before minutes of judging, not after them.
  for (const { capture } of known) await Deno.stat(pathOf(folder, capture));
  await using judge = await Judge.open(`${folder}/rules/et-open-subset.rules`);
  const cold: BenchPolicy = { name: "nothing (cold)", rules: [], keeps: () => false };
  const policies = [cold, ...BASELINES, ...idsPresets()];
  const scores = policies.map(({ name }) => newScore(name));
  const counted: CaptureCount[] = [];
  let done = 0;
  await inParallel(known, async ({ capture }, number) => {
    counted.push(
      await tryCapture(judge, policies, scores, { capture, path: pathOf(folder, capture), number }),
    );
    say(`judged ${++done} of ${known.length} captures`);
  });
  const captures = options.captures === undefined
    ? await filesUnder(`${folder}/captures`)
    : known.map(({ capture }) => pathOf(folder, capture));
  const costs = await mixCosts(policies, captures, say);
  say("");
  return {
    rows: scores.map((score, i) => row(score, costs.real[i]!, costs.heavy[i]!)),
    scores,
    runs: judge.runs,
    captures: { judged: known.length, weighed: captures.length },
    mix: {
      flows: costs.flows,
      bulkFlows: costs.bulkFlows,
      real: costs.real[0]!.all,
      heavy: costs.heavy[0]!.all,
    },
    differences: differences(known, counted),
  };
}

type Measured = Awaited<ReturnType<typeof measure>>;

function missedText({ scores }: Measured): string[] {
  const presets = scores.filter(({ policy }) => policy.startsWith("ids"));
  return presets.flatMap(({ policy, missed, missedAfterCut }) => [
    `missed by ${policy}:`,
    ...missed.map(({ capture, sids }) => `  ${capture}: ${sids.join(" ")}`),
    ...missedAfterCut.map(({ capture, sids, cut }) =>
      `  ${capture}, after ${cut * 100} %: ${sids.join(" ")}`
    ),
  ]);
}

function report(measured: Measured, missed: boolean): string {
  const { rows, mix, captures, differences: differing } = measured;
  const mega = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const bars = judgeBars(rows);
  return [
    ...table(tableCells(rows), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    "",
    `${captures.judged} captures with alerts, judged in ${measured.runs} runs of Suricata; ` +
    `${differing.length} differ from alerts.tsv`,
    ...differing.map((line) => `  ${line}`),
    `real: ${captures.weighed} captures, ${mix.flows} flows, ${mega(mix.real.bytes)}; ` +
    `heavy: with ${mix.bulkFlows} generated connections, ${mega(mix.heavy.bytes)}`,
    ...(missed ? ["", ...missedText(measured)] : []),
    "",
    ...bars.map(({ policy, what, bar, value, met }) =>
      `${met ? "met   " : "MISSED"}  ${policy}: ${what} ${percentText(value)}, bar ${bar}`
    ),
    "",
  ].join("\n");
}

function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      missed: { type: "boolean", default: false },
      captures: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const captures = values.captures === undefined ? undefined : Number(values.captures);
  if (captures !== undefined && !(Number.isInteger(captures) && captures > 0)) {
    throw new TypeError(`Cannot use --captures "${values.captures}": a whole number from 1 on`);
  }
  return { json: values.json, check: values.check, missed: values.missed, captures };
}

async function setUp(): Promise<void> {
  const { success } = await new Deno.Command(`${TOP}/scripts/setup`, {
    args: ["--quiet", "--only", "ids,build"],
    stdout: "null",
  }).output().then(async (result) => {
    await Deno.stderr.write(result.stderr);
    return result;
  });
  if (!success) throw new Error("Cannot judge without Suricata: see above");
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const there = await Deno.stat(`${dataFolder()}/alerts.tsv`).then(() => true, () => false);
  if (!there) {
    console.error(`skipped: there is no test data at ${dataFolder()}; REMEDIATE_DATA names it`);
    return options.check ? 1 : 0;
  }
  await setUp();
  const measured = await measure(options);
  const bars = judgeBars(measured.rows);
  console.log(
    options.json ? JSON.stringify({ ...measured, bars }, null, 2) : report(measured, options.missed),
  );
  return options.check && bars.some(({ met }) => !met) ? 1 : 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof Error) || !/^Cannot |^Unknown option/.test(error.message)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
