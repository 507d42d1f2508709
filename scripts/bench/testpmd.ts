/**
 * Duty: how fast dpdk-testpmd moves a capture from net_pcap to net_null on one core.
 *
 * Its worker is a thread of its own; the kernel's account of that thread's time is what its packets are divided
 * by, as our own slices are.
 */
import type { Slice } from "./statistics.ts";
import { threadNs } from "./threads.ts";

export const TESTPMD_MODES = ["io", "macswap", "5tswap"] as const;
export type TestpmdMode = (typeof TESTPMD_MODES)[number];

const SETTLE_MS = 1_500;
const PERIOD_MS = 500;

const WORKER = /^(rte|lcore)-worker/;

/** Packets sent, out of the latest answer to `show port stats`; undefined before there is one. */
export function sentPackets(text: string, port: number): number | undefined {
  const blocks = text.split(`NIC statistics for port ${port}`);
  const found = blocks.length > 1 ? /TX-packets:\s*(\d+)/.exec(blocks.at(-1)!) : null;
  return found ? Number(found[1]) : undefined;
}

class Testpmd {
  #text = "";
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  constructor(readonly child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read() {
    for await (const chunk of this.child.stdout) this.#text += new TextDecoder().decode(chunk);
  }

  say(line: string) {
    return this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  async packets(): Promise<number> {
    this.#text = "";
    await this.say("show port stats 1");
    for (let waited = 0; waited < 5_000; waited += 2) {
      const found = sentPackets(this.#text, 1);
      if (found !== undefined) return found;
      await new Promise((done) => setTimeout(done, 2));
    }
    throw new Error(`Cannot read the statistics of testpmd: it says "${this.#text.slice(-200).trim()}"`);
  }

  async end() {
    await this.say("quit").catch(() => {});
    await this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    await Promise.all([this.#reading, this.child.status]);
    clearTimeout(timer);
  }
}

/** Slices of one forwarding mode. @throws Error if testpmd is not there or does not work */
export async function testpmdSlices(capture: string, mode: TestpmdMode, count: number): Promise<Slice[]> {
  // Into a pipe it would answer in blocks of four kilobytes.
  const args = [
    "-oL",
    "dpdk-testpmd",
    "-l",
    "0,1",
    "--in-memory",
    "--no-pci",
    "--no-telemetry",
    "--log-level=error",
  ];
  args.push(
    "--vdev",
    `net_pcap0,rx_pcap=${capture},infinite_rx=1,tx_pcap=/dev/null`,
    "--vdev",
    "net_null0,no-rx=1",
  );
  args.push("--", "-i", `--forward-mode=${mode}`, "--nb-cores=1", "--burst=32", "--total-num-mbufs=16384");
  const child = new Deno.Command("stdbuf", { args, stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
  const testpmd = new Testpmd(child);
  try {
    await testpmd.say("start");
    await new Promise((done) => setTimeout(done, SETTLE_MS));
    const slices: Slice[] = [];
    let before = { ns: await threadNs(child.pid, WORKER), packets: await testpmd.packets() };
    for (let i = 0; i < count; i++) {
      await new Promise((done) => setTimeout(done, PERIOD_MS));
      const now = { ns: await threadNs(child.pid, WORKER), packets: await testpmd.packets() };
      slices.push({ packets: now.packets - before.packets, cpuNs: now.ns - before.ns });
      before = now;
    }
    return slices;
  } finally {
    await testpmd.end();
  }
}
