/**
 * Duty: the rows of `deno task bench:state` on logs: how fast each format is read, and how long a line takes to be a record.
 *
 * Speed is by the processor's time, so that neighbours count little. For the delay a worker sends numbered lines to a
 * driver of this process and notes when, by one clock; what never became a record is lost. The driver shares its core
 * with whatever else runs, so the load stands beside the figures.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { BUILTIN_FORMATS, builtinFormat } from "../../drivers/formats/builtin.ts";
import { compileFormat } from "../../drivers/formats/engine.ts";
import { Tracker } from "../../drivers/formats/tracker.ts";
import { openSyslog } from "../../drivers/syslog/driver.ts";
import { parseSyslog } from "../../drivers/syslog/message.ts";
import { barText } from "./plane_bars.ts";
import { type Bar, standing, worstBar } from "./statistics.ts";

const FIXTURES = new URL("../../tests/fixtures/logs/", import.meta.url);
const SLICES = 8;
const ENTRIES_MAX = 65_536;

export interface ReadingRow {
  readonly format: string;
  /** Lines a second of one core, header to record. */
  readonly linesPerSecond: number;
}

export interface DelayRow {
  readonly transport: "udp" | "tcp";
  readonly rate: number;
  readonly sent: number;
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly load: number;
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** The best of some slices of that many milliseconds each, over the vendors' lines. */
export function measureReading(format: string, sliceMs: number): ReadingRow {
  const lines = Deno.readTextFileSync(new URL(`${format}.log`, FIXTURES)).trimEnd().split("\n").slice(1);
  const reader = compileFormat(builtinFormat(format));
  const tracker = new Tracker(ENTRIES_MAX);
  let best = 0, at = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const from = cpuMs();
    let read = 0, spent = 0;
    do {
      for (let n = 0; n < 100; n++, read++) {
        const message = parseSyslog(lines[at++ % lines.length]!);
        const reading = typeof message === "string" ? null : reader.read(message.text);
        if (reading?.kind === "entry") tracker.take(reading.entry, at);
      }
      spent = cpuMs() - from;
    } while (spent < sliceMs);
    best = Math.max(best, 1000 * read / spent);
  }
  return { format, linesPerSecond: Math.round(best) };
}

const share = (sorted: Float64Array, part: number) =>
  sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;

/** Clock of both threads: milliseconds since the epoch, with their fractions. */
const clock = () => performance.timeOrigin + performance.now();

export async function measureDelay(
  transport: "udp" | "tcp",
  rate: number,
  seconds: number,
): Promise<DelayRow> {
  const context = { name: "bench", nowMs: () => Date.now(), say: () => {} };
  const driver = await openSyslog({ format: "conntrack", transport, listen: "127.0.0.1:0" }, context);
  const count = Math.round(rate * seconds);
  const arrived = new Float64Array(count);
  const stop = new AbortController();
  const watching = (async () => {
    for await (const event of driver.watch(stop.signal)) {
      if (event.kind !== "record") continue;
      const { source, sourcePort } = event.record.fields;
      const [, , high, low] = source!.split(".").map(Number);
      const number = ((high! << 8 | low!) << 8 | (sourcePort as number) - 1) >>> 0;
      if (number < count) arrived[number] = clock();
    }
  })();
  const worker = new Worker(new URL("./state_logs_sender.ts", import.meta.url), { type: "module" });
  try {
    const sent = await new Promise<Float64Array>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ transport, port: driver.address!.port, rate, count });
    });
    const idle = async () => {
      let before = -1;
      while (before !== (before = driver.counters()["entries"]!)) {
        await new Promise((done) => setTimeout(done, 200));
      }
    };
    await idle();
    stop.abort();
    await watching;
    const delays = sent.map((ms, n) => arrived[n]! === 0 ? NaN : arrived[n]! - ms).filter((ms) =>
      !Number.isNaN(ms)
    ).sort();
    return {
      transport,
      rate,
      sent: count,
      lost: count - delays.length,
      p50Ms: share(delays, 0.5),
      p99Ms: share(delays, 0.99),
      load: Deno.loadavg()[0]!,
    };
  } finally {
    worker.terminate();
    await driver.close();
  }
}

export function logBars(reading: readonly ReadingRow[], delays: readonly DelayRow[]): Bar[] {
  return [
    ...reading.map(({ format, linesPerSecond }) => ({
      what: `${format}, lines read a second on a core`,
      unit: "lines/s",
      value: linesPerSecond,
      bar: 20_000,
      goal: 100_000,
    })),
    ...delays.flatMap(({ transport, rate, lost, sent, p99Ms }) => [
      {
        what: `${transport} at ${rate} lines/s, p99 from line to record`,
        unit: "ms",
        value: p99Ms,
        bar: 20,
        goal: 5,
        lessIsBetter: true,
      },
      {
        what: `${transport} at ${rate} lines/s, lost`,
        unit: "of all",
        value: lost / sent,
        bar: 0,
        goal: 0,
        lessIsBetter: true,
      },
    ]),
  ];
}

export function logTable(reading: readonly ReadingRow[], delays: readonly DelayRow[]): string {
  return [
    "format            lines/s on a core",
    ...reading.map(({ format, linesPerSecond }) => `${format.padEnd(16)}  ${linesPerSecond}`),
    "",
    "way  lines/s     sent  lost    p50 ms    p99 ms  load",
    ...delays.map(({ transport, rate, sent, lost, p50Ms, p99Ms, load }) =>
      [
        transport.padEnd(3),
        String(rate).padStart(8),
        String(sent).padStart(8),
        String(lost).padStart(5),
        p50Ms.toFixed(2).padStart(9),
        p99Ms.toFixed(2).padStart(9),
        load.toFixed(1).padStart(5),
      ].join(" ")
    ),
  ].join("\n");
}

const USAGE = `Usage: deno run -A scripts/bench/state_logs.ts [--seconds N] [--json] [--check]

How many lines of each log format one core reads, and how long a line takes from a sender to a record, over UDP and
TCP, at 1,000 and 20,000 lines a second.

  --seconds N  length of each of the four runs (1 to 60); default 3
  --json       one JSON document on standard output
  --check      exit 1 where a bar is missed; the worst row is named last
`;

async function main(): Promise<number> {
  const options = {
    seconds: { type: "string", default: "3" },
    json: { type: "boolean" },
    check: { type: "boolean" },
    help: { type: "boolean" },
  } as const;
  const { values } = parseArgs({ args: Deno.args, options });
  const seconds = Number(values.seconds);
  if (values.help || !(seconds >= 1 && seconds <= 60)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const reading = Object.keys(BUILTIN_FORMATS).map((format) => measureReading(format, 50));
  const delays: DelayRow[] = [];
  for (const transport of ["udp", "tcp"] as const) {
    for (const rate of [1000, 20_000]) delays.push(await measureDelay(transport, rate, seconds));
  }
  const bars = logBars(reading, delays);
  const ok = bars.every((bar) => standing(bar) >= 1);
  if (values.json) console.log(JSON.stringify({ format: 1, seconds, reading, delays, bars, ok }, null, 1));
  else console.log([logTable(reading, delays), "", ...bars.map(barText)].join("\n"));
  const worst = worstBar(bars);
  if (worst) console.error(`Worst: ${barText(worst)}`);
  return values.check && !ok ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
