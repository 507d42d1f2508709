/** `remediate drivers` and `remediate state`. Pure but for the node that is asked and the lines that are read. */
import type { DriversReport, DriverView } from "../appliance/view.ts";
import type { RecordJson } from "../drivers/record_json.ts";
import type { Invocation, Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { type Painter, painter, table, wallTime } from "./paint.ts";

/** Where records to be put come from. */
export interface StateMeans {
  readonly input: () => Promise<string>;
}

export async function states(
  node: RemoteNode,
  { command, options, arguments: [driver = "", fields = "all"] }: Invocation,
  terminal: Terminal,
  { input }: StateMeans,
): Promise<Exit> {
  const ask = { driver, fields, role: command.name === "drivers" ? null : roleOf(command.name, options) };
  const json = options.flag("json");
  switch (command.name) {
    case "drivers":
      return showDrivers(await node.state.report(), json, terminal);
    case "state get":
      for await (const record of node.state.get(ask)) {
        terminal.out(json ? `${JSON.stringify(record)}\n` : `${recordLine(record)}\n`);
      }
      return EXIT.ok;
    case "state put":
      return await put(node, { driver, lines: await input(), json }, terminal);
    default: {
      const gone = await node.state.del(ask);
      terminal.out(json ? toJson({ gone }) : `${gone} deleted\n`);
      return EXIT.ok;
    }
  }
}

function roleOf(command: string, options: Options): string | null {
  return command === "state put" ? null : options.text("role");
}

async function put(
  node: RemoteNode,
  { driver, lines, json }: { driver: string; lines: string; json: boolean },
  terminal: Terminal,
): Promise<Exit> {
  const result = await node.state.put(driver, lines);
  const { taken, known, refused } = result;
  if (json) terminal.out(toJson(result));
  else terminal.out(`${taken} taken, ${known} known already, ${refused.length} refused\n`);
  for (const { key, reason } of json ? [] : refused) terminal.err(`${key}: ${reason}\n`);
  return refused.length === 0 ? EXIT.ok : EXIT.failed;
}

function showDrivers(report: DriversReport, json: boolean, terminal: Terminal): Exit {
  terminal.out(json ? toJson(report) : driversText(report, painter(terminal.colours)));
  const well = report.drivers.every(({ state }) => state === "running") && report.repository?.ok !== false;
  return well ? EXIT.ok : EXIT.degraded;
}

export function driversText(report: DriversReport, paint: Painter): string {
  const { kinds, drivers, repository } = report;
  const lines = ["Kinds of drivers:"];
  const verbs = (kind: DriversReport["kinds"][number]) =>
    [
      kind.get.length > 0 && "get",
      kind.put.length > 0 && "put",
      kind.del.length > 0 && "del",
      kind.watch && "watch",
    ]
      .filter((verb) => verb !== false).join(" ");
  lines.push(...table(kinds.map((kind) => [`  ${kind.kind}`, verbs(kind), kind.summary]), []));
  if (drivers.length === 0) return `${lines.join("\n")}\n\nNo driver is configured: [driver.NAME]\n`;
  lines.push("", "Drivers:", ...drivers.flatMap((driver) => driverLines(driver, paint)));
  if (repository !== null) {
    const light = paint.light(repository.ok ? "green" : "red", repository.ok ? "well" : "out of reach");
    lines.push("", `Repository: ${repository.kind}, ${light}: ${repository.reason}`);
    if (repository.spooled > 0) {
      lines.push(`  ${repository.spooled} changes wait in the spool${lasts(repository)}`);
    }
    lines.push(`  ${countsText(repository.counters)}`);
  }
  return `${lines.join("\n")}\n`;
}

function lasts({ spoolLastsMs }: { spoolLastsMs: number | null }): string {
  return spoolLastsMs === null
    ? ""
    : `, which lasts another ${Math.round(spoolLastsMs / 1_000)} s at this rate`;
}

function driverLines(driver: DriverView, paint: Painter): string[] {
  const { name, kind, role, box, state, reason, sinceMs, failures, sequence, places } = driver;
  const light = paint.light(state === "running" ? "green" : state === "starting" ? "yellow" : "red", state);
  const failed = failures === 0 ? "" : `, failed ${failures} times`;
  const why = reason === "" ? "" : `: ${reason}`;
  return [
    `  ${name} (${kind}, ${role} of ${box}): ${light} since ${wallTime(sinceMs)}${failed}${why}`,
    ...(sequence === null ? [] : [`    ${sequence} changes told`]),
    ...places.map((place) =>
      `    from ${place.source}: change ${place.sequence}${
        place.lagRecords === 0 ? "" : `, ${place.lagRecords} behind`
      }`
    ),
    `    ${countsText({ ...driver.counters, ...driver.driverCounters })}`,
  ];
}

function countsText(counters: Readonly<Record<string, number>>): string {
  const counted = Object.entries(counters).filter(([, count]) => count > 0);
  return counted.length === 0
    ? "nothing counted yet"
    : counted.map(([name, count]) => `${name} ${count}`).join(", ");
}

/** One record for people: what it is, how old, how much. */
export function recordLine({ role, codec, key, version, value, ttlMs, ended }: RecordJson): string {
  const bytes = Math.floor(value.replaceAll("=", "").length * 3 / 4);
  const life = ended ? ", ended" : ttlMs === null ? "" : `, for ${(ttlMs / 1_000).toFixed(0)} s`;
  return `${role} ${codec}  ${key}  version ${version}, ${bytes} bytes${life}`;
}
