/**
 * Duty: an appliance in QEMU whose disk lasts: it is started, cut, started again, asked by its API, and sent frames.
 *
 * A data port is a datagram socket of the host, one frame each, so neither root nor namespaces are needed. A guest that
 * restarts ends its QEMU (`-no-reboot`) and a fresh one takes its place, as a computer's firmware would.
 */
import { type Slots, udpFrame } from "./update_frames.ts";
import { run } from "./run.ts";

/** PCI addresses 0x10 and up, in this order. */
export const PORTS = ["upstream", "downstream", "primary_in", "primary_out"] as const;
export type Port = (typeof PORTS)[number];

const START_TRIES = 30;

export interface MachineFiles {
  /** Raw; everything that is written to it stays. */
  readonly disk: string;
  /** For consoles. */
  readonly directory: string;
  /** Of the host; ten from here on are used. */
  readonly firstPort: number;
  readonly token: string;
}

export class UpdateMachine {
  #child: Deno.ChildProcess | null = null;
  #ended = true;
  #starts = 0;

  constructor(readonly files: MachineFiles) {}

  get starts(): number {
    return this.#starts;
  }

  get console(): string {
    return `${this.files.directory}/console.${this.#starts}.log`;
  }

  #arguments(): string[] {
    const { disk, firstPort } = this.files;
    const nics = PORTS.flatMap((name, i) => [
      "-netdev",
      `socket,id=${name},udp=127.0.0.1:${firstPort + 1 + i},localaddr=127.0.0.1:${firstPort + 5 + i}`,
      "-device",
      `virtio-net-pci,netdev=${name},romfile=,mac=02:00:00:00:00:1${i},addr=0x1${i}`,
    ]);
    return [
      ...["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", "2048"],
      ...["-nodefaults", "-display", "none", "-no-reboot", "-serial", `file:${this.console}`],
      ...["-drive", `if=none,id=disk,format=raw,file=${disk},cache=unsafe`],
      ...["-device", "virtio-blk-pci,drive=disk,addr=0x4,bootindex=1"],
      ...["-netdev", `user,id=mgmt,restrict=on,hostfwd=tcp:127.0.0.1:${firstPort}-:8443`],
      ...["-device", "virtio-net-pci,netdev=mgmt,romfile=,addr=0x5", "-device", "virtio-rng-pci,addr=0x7"],
      ...nics,
    ];
  }

  /** Switches it on. */
  start(): void {
    this.#starts++;
    // It ends with us, however we end.
    const child = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "qemu-system-x86_64", ...this.#arguments()],
      stdout: "null",
      stderr: "inherit",
    })
      .spawn();
    this.#child = child;
    this.#ended = false;
    child.status.then(() => {
      if (this.#child === child) this.#ended = true;
    });
  }

  /** The power is cut. */
  async cut(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    if (!this.#ended) child.kill("SIGKILL");
    await child.status;
    this.#child = null;
  }

  /** Null: nobody answers. An install answers at its end, a look at once or never. */
  async ask<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T } | null> {
    const { token, firstPort } = this.files;
    const more = body === undefined
      ? []
      : ["-H", "content-type: application/json", "--data", JSON.stringify(body)];
    const said = await run([
      ...[
        "curl",
        "-sk",
        "-X",
        method,
        "--max-time",
        method === "GET" ? "120" : "1800",
        "-w",
        "\n%{http_code}",
      ],
      ...["-H", `authorization: Bearer ${token}`, ...more, `https://127.0.0.1:${firstPort}${path}`],
    ]).catch(() => null);
    if (said === null) return null;
    const at = said.lastIndexOf("\n");
    try {
      return { status: Number(said.slice(at + 1)), body: JSON.parse(said.slice(0, at)) as T };
    } catch {
      return null;
    }
  }

  /** Starts it whenever it is off, until `wanted` gives something. @throws Error with the end of the console */
  async until<T>(what: string, msMax: number, wanted: () => Promise<T | null>): Promise<T> {
    const end = performance.now() + msMax, before = this.#starts;
    while (performance.now() < end) {
      if (this.#ended) {
        if (this.#starts - before > START_TRIES) break;
        this.start();
      }
      const found = await wanted();
      if (found !== null) return found;
      await new Promise((done) => setTimeout(done, 500));
    }
    const text = await Deno.readTextFile(this.console).catch(() => "");
    throw new Error(`Cannot see ${what} within ${msMax / 1000} s; the console says:\n${text.slice(-3000)}`);
  }

  slots(): Promise<Slots | null> {
    return this.ask<Slots>("GET", "/api/v1/update").then((answer) =>
      answer?.status === 200 ? answer.body : null
    );
  }

  /** Whether a frame goes from the client's side through a box, which is us, to the server's side. */
  async forwards(): Promise<true | null> {
    const { firstPort } = this.files;
    const bind = (i: number) =>
      Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: firstPort + 1 + i });
    const to = (i: number) => ({ transport: "udp" as const, hostname: "127.0.0.1", port: firstPort + 5 + i });
    const [upstream, downstream, boxIn, boxOut] = [bind(0), bind(1), bind(2), bind(3)];
    try {
      const frame = udpFrame(crypto.getRandomValues(new Uint8Array(32)));
      if (!await arrives(boxIn, frame, () => upstream.send(frame, to(0)))) return null;
      return await arrives(downstream, frame, () => boxOut.send(frame, to(3))) ? true : null;
    } finally {
      for (const one of [upstream, downstream, boxIn, boxOut]) one.close();
    }
  }
}

const WAIT_MS = 2000;
const AGAIN_MS = 200;

/** Sends it again and again until it arrives. */
async function arrives(
  at: Deno.DatagramConn,
  frame: Uint8Array,
  send: () => Promise<unknown>,
): Promise<boolean> {
  const wanted = new TextDecoder("latin1").decode(frame);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<null>((done) => timer = setTimeout(() => done(null), WAIT_MS));
  // A port of a machine that is off is closed, which the kernel tells whoever sends to it.
  const again = () => void send().catch(() => {});
  const repeat = setInterval(again, AGAIN_MS);
  again();
  try {
    for (;;) {
      const got = await Promise.race([at.receive().catch(() => undefined), over]);
      if (got === null) return false;
      if (got !== undefined && new TextDecoder("latin1").decode(got[0]) === wanted) return true;
    }
  } finally {
    clearInterval(repeat);
    clearTimeout(timer);
  }
}
