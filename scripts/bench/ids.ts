/**
 * How much an IDS still sees when it only gets the mirror, and after it has taken over: `./scripts/deno task bench:ids`.
 *
 * Suricata judges whole captures, what each policy mirrors of them, and mirror-then-everything after a cut, all in one
 * run. The price is measured on all captures, and on mixes with generated bulk. --help tells the options.
 */
import { parseArgs } from "node:util";
import { Judge } from "../../appliance/mirror_judge.ts";
import { dataFolder, filesUnder, halfOf, pathOf } from "./ids_captures.ts";
import { type Half, heavyPart, mixCosts, type WeighedCapture } from "./ids_mix.ts";
import { BASELINES, type BenchPolicy, idsPresets } from "./ids_policies.ts";
import { type Measured, readMessages, report } from "./ids_report.ts";
import { judgeBars, newScore, readKnown, row } from "./ids_score.ts";
import { type CaptureCount, differences, tryCapture } from "./ids_trial.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const USAGE = `Usage: ./scripts/deno task bench:ids [--json] [--check] [--hold-out] [--captures N]

Needs the test data (REMEDIATE_DATA, or ../shared/data beside the checkout) and, as root, installs Suricata.

  --json        one JSON document on standard output; progress goes to standard error
  --check       exit 1 where a bar of the presets is missed
  --hold-out    also tell the two halves of the captures apart: the one that presets may be chosen by, and the one that
                they are judged by, whose bars count as well
  --captures N  only the first N captures that raise alerts, and the same N for the shares: a quick look, no measurement
`;
const WORKERS = 2;

export interface Options {
  readonly json: boolean;
  readonly check: boolean;
  readonly holdOut: boolean;
  /** Undefined: all. */
  readonly captures: number | undefined;
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

function say(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function withHalves(paths: readonly string[]): Promise<WeighedCapture[]> {
  const captures: WeighedCapture[] = [];
  for (const path of paths) captures.push({ path, half: await halfOf(path) });
  return captures;
}

async function measure(options: Options): Promise<Measured> {
  const folder = dataFolder();
  const rules = `${folder}/rules/et-open-subset.rules`;
  const known = readKnown(await Deno.readTextFile(`${folder}/alerts.tsv`)).slice(0, options.captures);
  const paths = known.map(({ capture }) => pathOf(folder, capture));
  // Before minutes of judging, not after them.
  for (const path of paths) await Deno.stat(path);
  const cold: BenchPolicy = { name: "nothing (cold)", rules: [], keeps: () => false };
  const policies = [cold, ...BASELINES, ...idsPresets()];
  const fresh = () => policies.map(({ name }) => newScore(name));
  const [scores, halves] = [fresh(), { tune: fresh(), judge: fresh() }];
  const counted: CaptureCount[] = [];
  await using judge = await Judge.open(rules);
  await inParallel(known, async ({ capture }, number) => {
    const path = paths[number]!;
    const both = [scores, halves[await halfOf(path)]];
    counted.push(await tryCapture(judge, policies, both, { capture, path, number }));
    say(`judged ${counted.length} of ${known.length} captures`);
  });
  const weighed = options.captures === undefined ? await filesUnder(`${folder}/captures`) : paths;
  const costs = await mixCosts(policies, await withHalves(weighed), say);
  say("");
  const { real, heavy: { published: heavy } } = costs;
  const rows = scores.map((score, i) => row(score, real.costs[i]!, heavy.costs[i]!));
  const rowsOf = (half: Half) => {
    const part = costs.halves[half];
    const heavyCosts = heavyPart(part, real, heavy);
    return halves[half].map((score, i) => row(score, part.costs[i]!, heavyCosts[i]!));
  };
  const apart = options.holdOut ? { tune: rowsOf("tune"), judge: rowsOf("judge") } : null;
  const heldOut = apart === null
    ? []
    : judgeBars(apart.judge).map((bar) => ({ ...bar, what: `${bar.what}, held out` }));
  return {
    policies,
    rows,
    halves: apart,
    scores,
    costs,
    captures: { judged: known.length, weighed: weighed.length, runs: judge.runs },
    differences: differences(known, counted),
    bars: [...judgeBars(rows), ...heldOut],
    messages: readMessages(await Deno.readTextFile(rules)),
  };
}

function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      "hold-out": { type: "boolean", default: false },
      captures: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const captures = values.captures === undefined ? undefined : Number(values.captures);
  if (captures !== undefined && !(Number.isInteger(captures) && captures > 0)) {
    throw new TypeError(`Cannot use --captures "${values.captures}": a whole number from 1 on`);
  }
  return { json: values.json, check: values.check, holdOut: values["hold-out"], captures };
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
  const plain = { ...measured, messages: Object.fromEntries(measured.messages) };
  console.log(options.json ? JSON.stringify(plain, null, 2) : report(measured));
  return options.check && measured.bars.some(({ met }) => !met) ? 1 : 0;
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
