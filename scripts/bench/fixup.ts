/**
 * Duty: `deno task bench:fixup`: what it costs the plane to translate for boxes that know flows otherwise, and the memory of a flow.
 *
 * Each way is measured in a process of its own (fixup_case.ts), for DPDK starts once in each.
 */
import { align } from "../demo.d/table.ts";
import { FIXUP_CASE, type FixupRequest, type FixupResult, PERCENT, type Way } from "./fixup_case.ts";
import { type Found, runBench, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { parseArgs } from "node:util";

const CASE = new URL("./fixup_case.ts", import.meta.url).pathname;
const WAYS = ["into", "out of"] as const satisfies readonly Way[];
const USAGE = `Usage: deno task bench:fixup [--slices N] [--json] [--check]

The plane with 10 and with 100 % of its flows translated for the serving box and a standby, beside the plane with none: what goes into
the serving box, and what comes out of it.

  --slices N    pairs of slices (1 to 1000); default 12
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed
`;

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      slices: { type: "string", default: "12" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const { json, check } = values;
  return { slices: wholeNumber("slices", values.slices, [1, 1000]), json, check };
}

async function runCase(request: FixupRequest): Promise<FixupResult> {
  const args = ["run", "--quiet", "--no-prompt", "--cached-only", "--no-check", "-A", CASE];
  args.push(JSON.stringify(request));
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (code !== 0 || text === "") {
    throw new Error(`Cannot measure frames ${request.way} the box: exit code ${code}`);
  }
  return JSON.parse(text.split("\n").at(-1)!);
}

function found(results: readonly FixupResult[], load: string): Found {
  const rows = results.flatMap((one) => one.rows);
  const { placeBytes, aliasBytes } = results[0]!;
  const table = align([
    ["frames", "translated", "off, ns", "on, ns", "off / on"],
    ...rows.map(({ way, percent, offNs, onNs, ratio }) => [
      `${way} the box`,
      `${percent} % of the flows`,
      offNs.toFixed(1),
      onNs.toFixed(1),
      ratio.toFixed(2),
    ]),
  ], 2);
  const memory = `memory: ${placeBytes} bytes for each place and side, ${aliasBytes} more for each alias`;
  return {
    format: 2,
    results: { case: FIXUP_CASE, rows, placeBytes, aliasBytes },
    table: [`${FIXUP_CASE}; ${load}`, table, memory].join("\n"),
    bars: rows.filter(({ percent }) => percent === PERCENT[0]).map(({ way, percent, ratio }) => ({
      what: `fix-up of ${percent} % of the flows, ${way} the box`,
      unit: "of the plane without",
      value: ratio,
      bar: 0.8,
      goal: 0.9,
    })),
  };
}

if (import.meta.main) {
  await runBench({
    usage: USAGE,
    parse,
    measure: async ({ slices }) => {
      const from = look();
      const results: FixupResult[] = [];
      for (const way of WAYS) {
        const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
        try {
          results.push(await runCase({ way, slices, directory }));
        } finally {
          await Deno.remove(directory, { recursive: true });
        }
      }
      return found(results, loadText(loadBetween(from, look())));
    },
  });
}
