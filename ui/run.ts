/**
 * A node's stages, run together: each with what people talk to it by, the first with the configuration of all.
 *
 * Stages live and end together: who cannot go on lets the others' planes forward.
 */
import type { Config } from "../appliance/config.ts";
import { ConfigKeeper, recoverFile } from "../appliance/config_control.ts";
import { matchFault } from "../appliance/config_match.ts";
import { ConfigStore } from "../appliance/config_store.ts";
import { runNode } from "../appliance/node_run.ts";
import { carryOutReset, type ResetWish, wishReset } from "../appliance/reset.ts";
import { historyPath, starvedPath } from "../appliance/paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { NodeControl } from "../appliance/view.ts";
import { feedWatchdog } from "../appliance/watchdog_feed.ts";
import type { Terminal } from "./cli.ts";
import { EXIT } from "./commands.ts";
import { type Level, logLine } from "./log.ts";
import { type Behind, nodePages } from "./page/node.ts";
import { serveNode } from "./serve.ts";
import { openDesk } from "./update_desk.ts";

export interface Stage {
  /** Null: the first. */
  readonly stage: string | null;
  readonly config: Config;
  readonly text: string;
}

/** The file as it was read, whole. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** Puts the file back if what is in it was to be confirmed and was not. Returns a sentence if it did, or if it cannot. */
export function recoverConfig(config: Config, path: string, nowMs: number): string | null {
  let back: ReturnType<typeof recoverFile>;
  try {
    back = recoverFile(new ConfigStore(path, historyPath(config)), nowMs);
  } catch (error) {
    return reasonOf(error); // a node without a history forwards all the same
  }
  return back === null ? null : `nobody confirmed the configuration in time: ${back.id} is in ${path} again`;
}

/** Run all stages until a signal. @returns the exit code */
export async function runStages(
  stages: readonly Stage[],
  source: Source,
  terminal: Terminal,
): Promise<number> {
  const stop = new AbortController();
  const controls = new Map<number, NodeControl>();
  for (const { config } of stages) {
    const told = carryOutReset(config, source.path);
    if (told !== null) terminal.err(`${told}\n`);
  }
  using _fed = feedWatchdog({
    looks: () => stages.map((_, index) => lookAt(controls.get(index))),
    say: (level, said) =>
      terminal.err(logLine({ level, text: said, more: {} }, stages[0]!.config.log, terminal.now()) ?? ""),
    reasonPath: starvedPath(stages[0]!.config),
  });
  const ends = await Promise.all(stages.map(async ({ stage, config, text }, index) => {
    const how = (level: Level, said: string, more: Record<string, unknown>, log: Config["log"]) => {
      const told = stage === null ? said : `${stage}: ${said}`;
      const line = logLine({ level, text: told, more }, log, terminal.now());
      if (line !== null) terminal.err(line);
    };
    const say = (level: Level, said: string) => how(level, said, {}, config.log);
    const code = await runNode({
      config,
      configText: text,
      configPath: source.path,
      stage,
      log: how,
      serve: async (control) => {
        controls.set(index, control);
        const all = () => controls.size === stages.length ? [...controls.values()] : [];
        const around = { all, say, terminal };
        const configControl = () => openKeeper(config, source, around);
        const pages = (behind: Behind) => nodePages(control, config, behind);
        const given = { control, config, say, pages, supportPath: source.path };
        if (stage !== null) return await serveNode(given);
        const reset = { note: (wish: ResetWish) => noteReset(stages, wish), end: () => stop.abort() };
        const update = await openDesk(control, (report) => control.noteUpdate?.(report));
        const served = await serveNode({ ...given, configControl, reset, update });
        return { close: () => (update.close(), served.close()) };
      },
      stop: stop.signal,
    });
    if (code !== EXIT.ok) stop.abort();
    return code;
  }));
  return Math.max(...ends);
}

/** The configuration is one for all stages. */
function noteReset([first, ...others]: readonly Stage[], wish: ResetWish): void {
  for (const { config } of others) wishReset(config, { configuration: false });
  wishReset(first!.config, wish);
}

/** A plane for the watchdog; null while there is no node to ask. */
function lookAt(control: NodeControl | undefined) {
  if (control === undefined) return null;
  const { plane, freshMs } = control.status();
  return { state: plane.state, pid: plane.pid, freshMs };
}

interface Around {
  /** Of every stage; none while one has not started. */
  readonly all: () => readonly NodeControl[];
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  readonly terminal: Terminal;
}

function openKeeper(
  config: Config,
  { path, text }: Source,
  { all, say, terminal }: Around,
): ConfigKeeper | null {
  const options = {
    store: new ConfigStore(path, historyPath(config)),
    text,
    matchFault,
    // The last result tells of all: the first stage that refuses ends it.
    reload: async () => {
      let result = { ok: false, text: "not all stages have started yet" };
      for (const control of all()) {
        result = await control.reload();
        if (!result.ok) break;
      }
      return result;
    },
    say,
    nowMs: () => terminal.now(),
  };
  try {
    return new ConfigKeeper(options);
  } catch (error) {
    say("error", `${reasonOf(error)}; the configuration cannot be changed but by \`remediate reload\``);
    return null;
  }
}
