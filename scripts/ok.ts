/**
 * The one gate: `./scripts/test` runs this file after scripts/setup.
 *
 * First the checks (set-up, format, lint, types, native build, repository), then the groups of tests. Every check counts
 * as one. The last line is always `N passed, N failed, N skipped`; exit code 10 tells scripts/test that it was printed
 * and something failed, so that a crash of this file is told apart from a failed test.
 */
import { parseArgs } from "node:util";
import { type Check, CHECKS, type Group, groups } from "./gate/groups.ts";
import { interruptAll, runLimited } from "./gate/limited.ts";
import { concluded, exactly, type Outcome, passedAgain, whyNot } from "./gate/again.ts";
import { disturbanceText, Pauses, watchMachine } from "./gate/pauses.ts";
import { Lines } from "./gate/lines.ts";
import { add, judge, NOTHING, summary } from "./gate/tally.ts";
import type { Tally } from "./gate/tally.ts";
import { sweep } from "./lab/registry.ts";
import { readRepo } from "./lint/files.ts";
import { REPO_CHECKS } from "./lint/repo.ts";

const FAILED = 10;
const BAD_USAGE = 2;
const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const HELP = `Usage: ./scripts/test [GROUP ...] [--filter TEXT] [--list]

Runs the gate. Without a group: everything, as CI does. The groups share the processors two by two; lab and image,
which stand on clocks, come last and alone. A test of the lab that fails while the machine was kept from its work is run once
more: it stood still for 20 ms or more, or the host took or a quota withheld 40 ms of a tenth of a second. The end
of the output names it ("again: ..."), and says of each failure how the machine was meanwhile.
Groups: checks, and each folder of tests/ that has tests (unit, native, sim, lab, browser, image).

  --filter TEXT  only tests whose name has TEXT, or matches /TEXT/; leaves the checks out
  --list         name the groups and end
  --help         this text
`;

class UsageError extends Error {}

const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));

/** Without a terminal nothing understands colours; with one, they pass through. */
function environment(): Record<string, string> {
  return Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/** Says the verdict of one check on the line its name stands on, and its problems below. */
function conclude(name: string, problems: string, hint: string): Tally {
  if (problems === "") return { ...NOTHING, passed: 1 };
  say(`${problems.trimEnd()}\n  hint: ${hint}\n`);
  return { ...NOTHING, failed: [`check: ${name}`] };
}

async function runCheck(check: Check): Promise<Tally> {
  const since = performance.now();
  say(`check: ${check.name} ... `);
  const [program, ...rest] = check.command;
  const command = [program === "deno" ? Deno.execPath() : program, ...rest] as const;
  const ended = await runLimited({
    command,
    cwd: TOP,
    limitS: check.limitS,
    env: environment(),
    show: false,
  });
  say(`${ended.code === 0 ? "ok" : "FAILED"} (${seconds(since)})\n`);
  const limit = ended.timedOut ? `\nnot done after ${check.limitS} s` : "";
  const problems = ended.code === 0 ? "" : `${ended.output}${limit}` || `it ended with ${ended.code}`;
  return conclude(check.name, problems, check.hint);
}

async function runChecks(stop: AbortSignal): Promise<Tally> {
  let tally = NOTHING;
  for (const check of CHECKS) {
    if (stop.aborted) return tally;
    tally = add(tally, await runCheck(check));
  }
  const files = await readRepo(TOP);
  for (const check of REPO_CHECKS) {
    say(`check: ${check.name} ... `);
    const problems = check.run(files);
    say(problems.length === 0 ? "ok\n" : "FAILED\n");
    tally = add(tally, conclude(check.name, problems.map((line) => `  ${line}`).join("\n"), check.hint));
  }
  return tally;
}

/** How a group's tests are run: which, and who gets what they print. */
interface Running {
  readonly what: readonly string[];
  /** Show what they print as it comes. */
  readonly show: boolean;
  readonly hear: (text: string, from: "stdout" | "stderr") => void;
}

async function runTests(group: Group, { what, show, hear }: Running) {
  const junit = `${TOP}/.cache/test/${group.name}.xml`;
  await Deno.mkdir(`${TOP}/.cache/test`, { recursive: true });
  await Deno.writeTextFile(junit, "");
  const ended = await runLimited({
    // Types were checked before, or are checked by CI; not twice.
    command: [
      Deno.execPath(),
      "test",
      "--no-check",
      "--no-prompt",
      "--cached-only",
      "--sanitize-ops",
      "--sanitize-resources",
      `--junit-path=${junit}`,
      ...group.rights,
      ...what,
    ],
    cwd: TOP,
    limitS: group.limitS,
    env: environment(),
    show,
    hear,
  });
  // A test that was interrupted, or died, took nothing down.
  if (group.root) await sweep();
  const xml = await Deno.readTextFile(junit);
  return { ended, xml: xml === "" ? null : xml };
}

/** Runs those once more during which the machine was disturbed, and says what became of each. */
async function again(group: Group, pauses: Pauses): Promise<Outcome[]> {
  const { failed } = pauses, outcomes: Outcome[] = [];
  for (const test of failed) {
    const why = whyNot(test, failed.length, group.timed === true);
    if (why !== null) {
      outcomes.push({ test, second: null, why });
      continue;
    }
    say(`\nonce more, for ${disturbanceText(test.disturbance)}: ${test.file}: ${test.name}\n`);
    const { ended, xml } = await runTests(group, {
      what: [exactly(test), test.file],
      show: true,
      hear: () => {},
    });
    outcomes.push({ test, second: passedAgain(test, ended.code, xml) ? "passed" : "failed", why: "" });
  }
  return outcomes;
}

/** Runs a group; beside others, each line it prints begins with its name. */
async function runGroup(group: Group, filter: string | undefined, beside = false): Promise<Tally> {
  if (group.root && Deno.uid() !== 0) return { ...NOTHING, skipped: [`group ${group.name} (needs root)`] };
  say(`\ngroup: ${group.name}, at most ${group.limitS} s\n`);
  const pauses = new Pauses();
  const lines = new Lines((line) => line !== "" && say(`${group.name}: ${line}\n`));
  const hear = (text: string, from: "stdout" | "stderr") => {
    // What programs of a test complain of stands in the middle of its line otherwise.
    if (from === "stdout") pauses.printed(text);
    if (beside) lines.add(text);
  };
  const what = [...(filter === undefined ? [] : [`--filter=${filter}`]), `tests/${group.name}`];
  let first: Awaited<ReturnType<typeof runTests>>;
  {
    using _watch = watchMachine(pauses);
    first = await runTests(group, { what, show: !beside, hear });
  }
  lines.end();
  const { ended, xml } = first;
  const limitS = ended.timedOut ? group.limitS : null;
  const tally = judge({
    name: `group ${group.name}`,
    code: ended.code,
    limitS,
    junit: xml,
    output: ended.output,
    filter,
  });
  return xml === null || limitS !== null ? tally : concluded(tally, await again(group, pauses));
}

/** Some run alone, after the others, which share the processors two by two. */
async function runGroups(chosen: readonly Group[], filter: string | undefined, stop: AbortSignal) {
  let tally = NOTHING;
  const queue = chosen.filter((group) => !group.alone);
  const beside = queue.length > 1;
  const lane = async () => {
    for (let group = queue.shift(); group !== undefined && !stop.aborted; group = queue.shift()) {
      tally = add(await runGroup(group, filter, beside), tally);
    }
  };
  await Promise.all([lane(), lane()]);
  for (const group of chosen.filter((group) => group.alone)) {
    if (!stop.aborted) tally = add(tally, await runGroup(group, filter));
  }
  return tally;
}

async function hasTests(folder: string): Promise<boolean> {
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isFile && /(^|[_.])test\.tsx?$/.test(entry.name)) return true;
      if (entry.isDirectory && await hasTests(`${folder}/${entry.name}`)) return true;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

async function present(): Promise<Group[]> {
  const found: Group[] = [];
  for (const group of groups(Deno.env.get("TMPDIR") ?? "/tmp")) {
    if (await hasTests(`${TOP}/tests/${group.name}`)) found.push(group);
  }
  return found;
}

interface Wish {
  readonly names: readonly string[];
  readonly filter: string | undefined;
  readonly list: boolean;
  readonly help: boolean;
}

function readArguments(args: string[]): Wish {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        filter: { type: "string" },
        list: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return {
      names: positionals,
      filter: values.filter,
      list: values.list ?? false,
      help: values.help ?? false,
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function choose(wish: Wish, there: readonly Group[]): { readonly checks: boolean; readonly chosen: Group[] } {
  const known = ["checks", ...there.map((group) => group.name)];
  const unknown = wish.names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run group "${unknown}": there are ${known.join(", ")}`);
  }
  if (wish.names.length === 0) return { checks: wish.filter === undefined, chosen: [...there] };
  return {
    checks: wish.names.includes("checks"),
    chosen: there.filter((group) => wish.names.includes(group.name)),
  };
}

/** Aborted when somebody wants the gate to end; what runs then is ended too. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    controller.abort();
    interruptAll();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  return controller.signal;
}

function report(tally: Tally): number {
  say("\n");
  for (const line of tally.skipped) say(`skipped: ${line}\n`);
  for (const line of tally.again) say(`again: ${line}\n`);
  for (const line of tally.failed) say(`failed: ${line}\n`);
  say(`${summary(tally)}\n`);
  return tally.failed.length === 0 ? 0 : FAILED;
}

async function main(args: string[]): Promise<number> {
  const wish = readArguments(args);
  const there = await present();
  if (wish.help || wish.list) {
    say(wish.help ? HELP : `${["checks", ...there.map((group) => group.name)].join("\n")}\n`);
    return 0;
  }
  const { checks, chosen } = choose(wish, there);
  let tally = NOTHING;
  const stop = stopOnSignals();
  if (checks) tally = add(tally, await runChecks(stop));
  tally = add(tally, await runGroups(chosen, wish.filter, stop));
  const ran = tally.passed + tally.failed.length + tally.skipped.length;
  if (stop.aborted) tally = add(tally, { ...NOTHING, failed: ["interrupted"] });
  else if (ran === 0) {
    tally = { ...NOTHING, failed: [`no test matches ${wish.filter ?? wish.names.join(" ")}`] };
  }
  return report(tally);
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(error.message);
      Deno.exit(BAD_USAGE);
    }
    throw error;
  }
}
