/**
 * The commands on captures: `mirror`, `mirror explain`, `mirror tune`.
 *
 * Arguments in, exit code out; the work is in appliance/mirror_run.ts, the words are in mirror_text.ts. Progress goes
 * to the error stream, and only where a person watches it.
 */
import { Judge } from "../appliance/mirror_judge.ts";
import { explainFile, type Job, mirrorFile, type Policy, tuneFile } from "../appliance/mirror_run.ts";
import { writeBytes, writeText } from "../appliance/mirror_files.ts";
import { gridRules, readShare } from "../appliance/mirror_tune.ts";
import type { Invocation, Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import { EXIT, type Exit } from "./commands.ts";
import { plotTuning } from "./mirror_plot.ts";
import { drawTuning } from "./mirror_plot_png.ts";
import {
  explanationJson,
  mirrorJson,
  progressBar,
  renderExplanation,
  renderMirror,
  renderTuning,
  type Tuned,
  tuningJson,
} from "./mirror_text.ts";

/** Between two showings; a terminal is slow compared to the filter. */
const PROGRESS_MS = 100;
const LINES_MAX = 200;
const CLEAR = "\r\x1b[K";

/** A line that is written over while something long happens. */
class Progress {
  readonly #terminal: Terminal;
  #shownMs = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(text: string): void {
    if (!this.#terminal.watched || this.#terminal.now() - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = this.#terminal.now();
    this.#terminal.err(CLEAR + text);
  }

  end(): void {
    if (this.#shownMs !== 0) this.#terminal.err(CLEAR);
  }
}

async function watched<T>(
  read: string,
  terminal: Terminal,
  work: (job: Job, bar: Progress) => Promise<T>,
): Promise<T> {
  const bar = new Progress(terminal);
  const progress: Job["progress"] = ({ doneBytes, totalBytes }) =>
    bar.show(progressBar(doneBytes, totalBytes));
  try {
    return await work({ read, progress }, bar);
  } finally {
    bar.end();
  }
}

function refuse(terminal: Terminal, text: string): Exit {
  terminal.err(`${text}\n`);
  return EXIT.input;
}

export async function mirror({ options }: Invocation, policy: Policy, terminal: Terminal): Promise<Exit> {
  const [read, write] = [options.text("read"), options.text("write")];
  if (read === null || write === null) {
    const missing = read === null ? "--read" : "--write";
    return refuse(terminal, `Cannot run "mirror": ${missing} is missing; see \`remediate mirror --help\``);
  }
  const report = await watched(read, terminal, (job) => mirrorFile({ ...job, write }, policy));
  terminal.out(options.flag("json") ? toJson(mirrorJson(report)) : renderMirror(report));
  return EXIT.ok;
}

export async function explain(invocation: Invocation, policy: Policy, terminal: Terminal): Promise<Exit> {
  const { options } = invocation;
  const choice = { text: options.text("flow"), flowsMax: options.number("limit"), linesMax: LINES_MAX };
  const read = invocation.arguments[0]!;
  const explanation = await watched(read, terminal, (job) => explainFile(job, policy, choice));
  terminal.out(options.flag("json") ? toJson(explanationJson(explanation)) : renderExplanation(explanation));
  return EXIT.ok;
}

export async function tune(invocation: Invocation, policy: Policy, terminal: Terminal): Promise<Exit> {
  const { options } = invocation;
  const budget = readShare(options.text("budget") ?? "");
  if (budget === undefined) {
    const given = options.text("budget");
    return refuse(
      terminal,
      `Cannot read option --budget: "${given}" is no share; accepted: more than 0% up to 100%`,
    );
  }
  await using stack = new AsyncDisposableStack();
  const judge = await openJudge(options);
  if (judge !== null) stack.use(judge);
  const candidates = await watched(
    invocation.arguments[0]!,
    terminal,
    (job, bar) =>
      tuneFile(job, {
        rules: gridRules(),
        ages: policy.ages,
        judge,
        judging: (done, of) => bar.show(`judging rule ${done + 1} of ${of}`),
      }),
  );
  const tuned = { candidates, budget, counts: judge === null ? "turns" : "signatures" };
  const plot = options.text("plot");
  if (plot !== null) await writePlot(plot, tuned);
  terminal.out(options.flag("json") ? toJson(tuningJson(tuned)) : renderTuning(tuned));
  return EXIT.ok;
}

async function writePlot(path: string, tuned: Tuned): Promise<void> {
  const isPng = path.toLowerCase().endsWith(".png");
  if (isPng) await writeBytes(path, await drawTuning(tuned.candidates, tuned).png());
  else await writeText(path, plotTuning(tuned.candidates, tuned));
}

async function openJudge(options: Options): Promise<Judge | null> {
  return options.text("judge") === "suricata" ? await Judge.open(options.text("signatures")!) : null;
}
