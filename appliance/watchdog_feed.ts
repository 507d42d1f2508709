/**
 * Duty: feeds the watchdog of the service that this program runs in, as watchdog.ts judges.
 *
 * Whoever starves it leaves a file with the reason: what runs after the service has been ended tells by it a plane that
 * stands from a control that hangs, and starts the machine again for the first alone.
 */
import { reasonOf } from "../drivers/reason.ts";
import { LOOK_MS, type PlaneLook, Progress, watchdogMs } from "./watchdog.ts";

export interface FeedOptions {
  /** Every plane; null: its node has not started yet. */
  readonly looks: () => readonly (PlaneLook | null)[];
  readonly say: (level: "warn" | "error", text: string) => void;
  /** Where the reason is left. */
  readonly reasonPath: string;
}

const ABSENT: PlaneLook = { state: "absent", pid: 0, freshMs: 0 };

/** Does nothing where no watchdog waits. Disposing ends it. */
export function feedWatchdog(options: FeedOptions): Disposable {
  const { looks, say, reasonPath } = options;
  const path = Deno.env.get("NOTIFY_SOCKET");
  if (watchdogMs((name) => Deno.env.get(name), Deno.pid) === null || path === undefined) {
    return { [Symbol.dispose]() {} };
  }
  const progress: Progress[] = [];
  const socket = new Manager(path);
  let told = "", failing = "";
  const starve = (reason: string) => {
    if (told !== "") return;
    told = reason;
    say("error", `the watchdog is not fed any more: ${reason}`);
    try {
      Deno.writeTextFileSync(reasonPath, `${reason}\n`);
    } catch (error) {
      say("error", `Cannot write ${reasonPath}: ${reasonOf(error)}`);
    }
  };
  const timer = setInterval(() => {
    let starving = false;
    for (const [i, look] of looks().entries()) {
      const verdict = (progress[i] ??= new Progress()).judge(look ?? ABSENT);
      if (verdict.kind === "end") endPlane(verdict.pid, say);
      if (verdict.kind === "starve") {
        starving = true;
        starve(verdict.reason);
      }
    }
    if (starving) return;
    if (told !== "") {
      told = "";
      Deno.remove(reasonPath).catch(() => {});
    }
    socket.feed().then(() => failing = "").catch((error) => {
      const reason = reasonOf(error);
      if (reason !== failing) say("warn", `Cannot feed the watchdog: ${reason}`);
      failing = reason;
    });
  }, LOOK_MS);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      socket.close();
    },
  };
}

/** Its keeper starts another one at once. */
function endPlane(pid: number, say: FeedOptions["say"]): void {
  say("error", `the plane, process ${pid}, makes no progress: it is ended, and another one started`);
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    say("error", `Cannot end process ${pid}: ${reasonOf(error)}`);
  }
}

/** The service manager's end, by datagrams. sd_notify(3). */
class Manager {
  readonly #to: string;
  readonly #own: string;
  #socket: Deno.DatagramConn | null = null;
  #ready = false;
  #busy = false;
  #closed = false;

  constructor(path: string) {
    // A name that begins with @ is an abstract one.
    this.#to = path.startsWith("@") ? `\0${path.slice(1)}` : path;
    this.#own = `${Deno.env.get("RUNTIME_DIRECTORY")?.split(":")[0] ?? "/tmp"}/notify-${Deno.pid}.sock`;
  }

  /** Starting takes as long as it takes: the watchdog waits from the first feed on. */
  async feed(): Promise<void> {
    // On a machine that is far too slow one feed may meet the next; the second says nothing new.
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    try {
      this.#socket ??= this.#open();
      const words = this.#ready ? "WATCHDOG=1" : "READY=1\nWATCHDOG=1";
      await this.#socket.send(new TextEncoder().encode(words), { transport: "unixpacket", path: this.#to });
      this.#ready = true;
    } finally {
      this.#busy = false;
    }
  }

  /** The sender needs a name of its own; one left by a process that had our number is taken over. */
  #open(): Deno.DatagramConn {
    this.#remove();
    return Deno.listenDatagram({ transport: "unixpacket", path: this.#own });
  }

  #remove(): void {
    try {
      Deno.removeSync(this.#own);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
    if (this.#socket !== null) this.#remove();
  }
}
