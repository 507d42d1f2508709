/**
 * Keeps a plane running: takes over one that lives, starts one where there is none, starts another when it dies.
 *
 * The plane is a process of its own session with its words going to a file, so that nothing of control's end reaches it.
 * A new one is tried at once, then at growing distances: a port that is gone does not come back faster
 * for being asked more often.
 */
import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { MappedBoard, Native } from "../filter/dpdk.ts";
import { STATE } from "../filter/names.ts";
import type { Config } from "./config.ts";
import { acceptedConfigPath, boardPath, planeLogPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";

/** One that fails says so at once; this is for a machine that is slow, where giving up would begin the work anew. */
const START_MS_MAX = 120_000;
const LOOK_MS = 20;
const BACKOFF_MS = [0, 500, 1000, 2000, 5000, 10_000];
/** A plane that ran this long has earned a quick restart again. */
const SETTLED_MS = 60_000;
/** The first plane, if it ends without a word: whoever started the node waits for an answer. */
const TRIES = 3;
/** run -> plane is one step; more means that something starts itself. */
const DEPTH_MAX = 3;

export interface KeeperOptions {
  readonly native: Native;
  readonly config: Config;
  readonly log: (text: string) => void;
}

/** How this program is started again: the wrapper from source, else the program itself. */
function selfCommand(): string {
  return Deno.env.get("REMEDIATE_SELF") ?? Deno.execPath();
}

/** "with code 3", "by SIGSEGV", "before it began: no such file". */
type PlaneEnd = string;

/** The plane did not come up. `reason`: one sentence. `unsaid`: it ended without one, so that the next may well come up. */
export class PlaneStartError extends Error {
  constructor(readonly reason: string, readonly unsaid = false) {
    super(reason);
    this.name = "PlaneStartError";
  }
}

/** Of a plane that did not come up: its own sentence, or, if it has none, how it ended and the last line of its `log`. */
export function startError(log: string, end: PlaneEnd): PlaneStartError {
  const last = log.trim().split("\n").at(-1) ?? "";
  if (last.startsWith("plane: ")) return new PlaneStartError(last.slice("plane: ".length));
  const said = last === "" ? "" : `; the last line of its log: ${last}`;
  return new PlaneStartError(`Cannot start the plane: it ended ${end}${said}`, true);
}

export class PlaneKeeper {
  readonly #options: KeeperOptions;
  #map: MappedBoard | null = null;
  #failures = 0;
  #startedMs = 0;
  restarts = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get map(): MappedBoard | null {
    return this.#map;
  }

  /** Is there a plane, whoever started it? */
  lives(): boolean {
    return this.#options.native.held(boardPath(this.#options.config));
  }

  /** Take over the living plane, or start one, again if it ends without a word. @returns whether it was there already. @throws PlaneStartError */
  async begin(): Promise<"attached" | "started"> {
    if (this.lives()) {
      await this.#attach();
      return "attached";
    }
    for (let left = TRIES - 1;; left--) {
      try {
        await this.#start();
        return "started";
      } catch (error) {
        if (!(error instanceof PlaneStartError && error.unsaid) || left === 0) throw error;
        this.restarts++;
        this.#options.log(`${error.message}; another one is started`);
      }
    }
  }

  /** Is the plane gone? Cheap enough for every look. */
  died(): boolean {
    return this.#map !== null && !this.lives();
  }

  /** Start another plane after the last one died; waits as the back-off says. @throws PlaneStartError */
  async revive(): Promise<void> {
    this.#drop();
    if (Date.now() - this.#startedMs > SETTLED_MS) this.#failures = 0;
    await delay(BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)]!);
    this.#failures++;
    this.restarts++;
    await this.#start();
  }

  /** Stop the plane and wait for its end; at most `msMax`. */
  async stop(msMax: number): Promise<boolean> {
    const until = Date.now() + msMax;
    this.#map?.publish("command.stop", 1);
    while (Date.now() < until) {
      if (!this.lives()) {
        this.#tidy();
        return true;
      }
      await delay(LOOK_MS);
    }
    return false;
  }

  /** A plane cannot remove its own lock: whoever looks for it must find it until the very end of the process. */
  #tidy(): void {
    this.#options.native.removeBoard(boardPath(this.#options.config));
  }

  #drop(): void {
    // The mapping stays: views of it may be in use, and it is small against a process that lives on.
    this.#map = null;
  }

  async #attach(): Promise<void> {
    const until = Date.now() + START_MS_MAX;
    for (;;) {
      const map = this.#tryOpen();
      const state = map === null ? "setup" : STATE[map.board.number("header.state")];
      if (map !== null && state === "running") {
        this.#map = map;
        this.#startedMs = Date.now();
        return;
      }
      if (state === "failed") throw new PlaneStartError(map!.board.text("header.error"));
      if (Date.now() > until) throw new PlaneStartError(`Cannot attach to the plane: it is still ${state}`);
      await delay(LOOK_MS);
    }
  }

  /** The board, or null while it is not complete yet. */
  #tryOpen(): MappedBoard | null {
    try {
      return this.#options.native.openBoard(boardPath(this.#options.config));
    } catch (error) {
      if (error instanceof RangeError) return null; // still being written
      if (!(error instanceof Error) || !/no such file|not complete/.test(error.message)) throw error;
      return null;
    }
  }

  async #start(): Promise<void> {
    const depth = Number(Deno.env.get("REMEDIATE_DEPTH") ?? "0") + 1;
    if (depth > DEPTH_MAX) throw new PlaneStartError(`Cannot start a plane: ${depth} programs deep already`);
    const { config, log } = this.#options;
    await Deno.writeTextFile(planeLogPath(config), "", { mode: 0o640 }).catch((error) => {
      throw new PlaneStartError(`Cannot write ${planeLogPath(config)}: ${reasonOf(error)}`);
    });
    const outcome = this.#spawn(depth);
    log(`starting a plane on ${boardPath(config)}`);
    const ended = new AbortController();
    const exit = outcome.then((end) => {
      ended.abort();
      return end;
    });
    await this.#waitRunning(exit, ended.signal);
    this.#startedMs = Date.now();
  }

  /** Resolves with how it ended if the child ends; it normally outlives us. */
  #spawn(depth: number): Promise<PlaneEnd> {
    const { config } = this.#options;
    const log = planeLogPath(config);
    const script = 'exec "$0" plane --config "$1" >>"$2" 2>&1 </dev/null';
    const child = spawn("/bin/sh", ["-c", script, selfCommand(), acceptedConfigPath(config), log], {
      detached: true,
      stdio: "ignore",
      env: { ...Deno.env.toObject(), REMEDIATE_DEPTH: String(depth) },
    });
    child.unref();
    return new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(signal === null ? `with code ${code}` : `by ${signal}`));
      child.once("error", (error) => resolve(`before it began: ${reasonOf(error)}`));
    });
  }

  async #waitRunning(exit: Promise<PlaneEnd>, ended: AbortSignal): Promise<void> {
    const until = Date.now() + START_MS_MAX;
    while (Date.now() < until) {
      const map = this.lives() ? this.#tryOpen() : null;
      if (map !== null && STATE[map.board.number("header.state")] === "running") {
        this.#map = map;
        return;
      }
      if (ended.aborted) {
        this.#tidy();
        throw startError(await this.#words(), await exit);
      }
      await delay(LOOK_MS);
    }
    throw new PlaneStartError(`Cannot start the plane: it did not come up within ${START_MS_MAX / 1000} s`);
  }

  #words(): Promise<string> {
    return Deno.readTextFile(planeLogPath(this.#options.config)).catch(() => "");
  }
}
