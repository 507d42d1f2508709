/**
 * The commands `capture`, `capture get` and `capture list`.
 *
 * What comes from the node is passed on in whole blocks, so the file is good whenever it ends: the node may go, the
 * disk may be full, the person may press Ctrl-C. The tally goes to the error stream, for the file may be on the other.
 */
import { ALL_ROLES, type CaptureListing } from "../appliance/view.ts";
import { PcapngScanner } from "../filter/pcapng.ts";
import { NODE_PORT } from "../appliance/capture_encode.ts";
import { suggest } from "../appliance/suggest.ts";
import type { Options } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { byteSize, table, wallTime } from "./paint.ts";

/** Where a capture goes. */
export interface CaptureSink {
  /** False: nobody reads on. @throws Error with one sentence */
  write(bytes: Uint8Array): Promise<boolean>;
  close(): void;
}

/** What these commands need beside a node. */
export interface CaptureMeans {
  readonly terminal: Terminal;
  /** Aborted when the person wants it to end. */
  readonly stop: AbortSignal;
  /** Throws SyntaxError or RangeError with a sentence for a bad expression. */
  readonly compile: (expression: string) => unknown;
  /** Why a capture must not go there, as a sentence; null: it may. */
  readonly refusal: (path: string) => string | null;
  /** The place that --write names. @throws Error with one sentence */
  readonly open: (path: string) => Promise<CaptureSink>;
}

export function capture(node: RemoteNode, options: Options, means: CaptureMeans): Promise<Exit> {
  const wrong = portFault(options.text("ports") ?? "");
  if (wrong !== null) return Promise.resolve(refuse(means, `Cannot read option --ports: ${wrong}`));
  const query = new URLSearchParams();
  for (const name of ["seconds", "packets"]) {
    if (options.given(name)) query.set(name, String(options.number(name)));
  }
  if (options.given("ports")) query.set("ports", options.text("ports")!);
  return record(node, { what: "live", query, options }, means);
}

export function captureGet(node: RemoteNode, options: Options, means: CaptureMeans): Promise<Exit> {
  if (options.given("last") && options.given("around")) {
    return Promise.resolve(refuse(means, "Cannot use --last with --around: they name two times"));
  }
  const query = new URLSearchParams();
  if (options.given("last")) query.set("last_s", String(options.number("last") * 60));
  else query.set("around_s", String(options.number("around")));
  return record(node, { what: "kept", query, options }, means);
}

interface Recording {
  readonly what: "live" | "kept";
  readonly query: URLSearchParams;
  readonly options: Options;
}

async function record(
  node: RemoteNode,
  { what, query, options }: Recording,
  means: CaptureMeans,
): Promise<Exit> {
  const filter = options.text("filter");
  if (filter !== null) {
    const fault = expressionFault(filter, means);
    if (fault !== null) return refuse(means, fault);
    query.set("filter", filter);
  }
  const path = options.text("write") ?? "-";
  const refusal = means.refusal(path);
  if (refusal !== null) return refuse(means, refusal);
  // Asked first: a file that is there must not be emptied for a node that has nothing to say.
  const pieces = await node.capture(what, query, means.stop);
  const sink = await means.open(path);
  const scanner = new PcapngScanner(NODE_PORT);
  try {
    for await (const piece of pieces) {
      if (!await sink.write(scanner.push(piece))) break;
    }
  } finally {
    sink.close();
    means.terminal.err(`${scanner.packets} packets written, ${scanner.lost} not kept\n`);
  }
  return EXIT.ok;
}

function expressionFault(expression: string, { compile }: CaptureMeans): string | null {
  try {
    compile(expression);
    return null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return error.message;
    throw error;
  }
}

function portFault(text: string): string | null {
  for (const name of text.split(",").filter((word) => word !== "")) {
    if (ALL_ROLES.some((role) => role === name)) continue;
    const near = suggest(name, ALL_ROLES);
    return `"${name}" is no port: ${
      near === null ? `there are ${ALL_ROLES.join(", ")}` : `did you mean ${near}?`
    }`;
  }
  return null;
}

function refuse({ terminal }: CaptureMeans, text: string): Exit {
  terminal.err(`${text}\n`);
  return EXIT.input;
}

export async function captureList(node: RemoteNode, options: Options, terminal: Terminal): Promise<Exit> {
  const listing = await node.captureFiles();
  terminal.out(options.flag("json") ? toJson(listing) : renderListing(listing));
  return EXIT.ok;
}

export function renderListing(
  { directory, bytesMax, packets, missed, failing, files }: CaptureListing,
): string {
  const ring = bytesMax === 0
    ? "No ring is kept (capture.ring_mib = 0)."
    : `Ring of at most ${
      byteSize(bytesMax)
    } in ${directory}: ${packets} packets written, ${missed} not kept since ` +
      "control started.";
  const trouble = failing === null ? [] : [`Nothing can be written at the moment: ${failing}`];
  const rows = files.map(({ name, bytes, startMs, endMs, switches }) => [
    name,
    byteSize(bytes),
    wallTime(startMs),
    wallTime(endMs),
    String(switches),
  ]);
  const shown = rows.length === 0 ? [] : table([["FILE", "SIZE", "FROM", "TO", "SWITCHES"], ...rows], [1, 4]);
  return [ring, ...trouble, ...shown].join("\n") + "\n";
}
