/**
 * What the native tests of the filter share: the built library, the rules they run with, and the real captures.
 */
import { readCapture } from "../../../filter/capture.ts";
import { FilterCore, type FrameInput } from "../../../filter/core.ts";
import type { AgesMs } from "../../../filter/model.ts";
import { compileFilter } from "../../../filter/pcap_filter.ts";
import { coreFiles } from "../../../scripts/fuzz.ts";
import { type CompiledRule, filterRule, PRESETS } from "../../../filter/rule.ts";

export const TOP = decodeURIComponent(new URL("../../..", import.meta.url).pathname).replace(/\/$/, "");
export const LIBRARY = `${TOP}/.cache/native/libremediate-filter.so`;

export const AGES: AgesMs = {
  tcp_opening: 30_000,
  tcp: 3_600_000,
  tcp_closing: 10_000,
  udp: 60_000,
  icmp: 30_000,
  other: 0,
};

/** Run a program to its end and give what it printed; fails with that text if it fails. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot run ${program}: ${text.slice(-4000)}`);
  return text;
}

export const CORE: readonly string[] = coreFiles();

/** Where a program of a test is, and a folder for its files. */
export interface Built {
  readonly program: string;
  readonly folder: string;
}

/**
 * Builds `name`.c of this folder with files of the core under the sanitizers, for as long as `work` lasts; `more` are flags for the
 * compiler. Any finding ends the program with an error.
 */
export async function sanitized(
  name: string,
  parts: readonly string[],
  work: (built: Built) => Promise<void>,
  more: readonly string[] = [],
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: `remediate-${name}-` });
  try {
    const program = `${folder}/${name}`;
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"];
    const sanitizers = [
      "-fsanitize=address,undefined",
      "-fno-sanitize-recover=all",
      "-fno-omit-frame-pointer",
    ];
    const sources = [
      `${TOP}/tests/native/filter/${name}.c`,
      ...parts.map((part) => `${TOP}/filter/native/${part}.c`),
    ];
    await run("gcc", [
      ...strict,
      ...sanitizers,
      ...more,
      `-I${TOP}/filter/native`,
      ...sources,
      "-o",
      program,
    ]);
    await work({ program, folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The filter core, built if need be. */
export async function openCore(slots: number): Promise<FilterCore> {
  await run(`${TOP}/scripts/native`, ["filter"]);
  return new FilterCore(LIBRARY, slots, [0x0123_4567_89ab_cdefn, 0xfedc_ba98_7654_3210n]);
}

export function compile(...rules: readonly Parameters<typeof filterRule>[0][]): CompiledRule[] {
  return rules.map((given) => ({ rule: filterRule(given), program: compileFilter(given.match ?? "") }));
}

/** Two sets of rules that between them use every reason for a copy. */
export function mixedRules(): [CompiledRule[], CompiledRule[]] {
  const first = compile(
    {
      name: "web",
      match: "tcp port 80",
      ...{ handshake: true, teardown: true, acks: true, plaintext: true },
      ...{ firstBytesUp: 300, firstBytesDown: 90, turnBytesUp: 200, turnBytesDown: 60, turnBytesMax: 3000 },
      keepaliveMs: 500,
    },
    { name: "dns", match: "udp port 53 or vlan", firstPayloadPackets: 2, plaintext: true, firstBytes: 200 },
    { name: "quiet", match: "host 10.1.0.3", none: true, all: true },
    { name: "ping", match: "icmp or icmp6", all: true },
    { name: "window", match: "tcp port 443", handshake: true, keepaliveWindow: true, sample: 7 },
    { name: "talk", match: "udp portrange 1024-1030", plaintext: true, turnBytesUp: 50, turnBytesDown: 500 },
    { name: "hidden", match: "ip proto 47 or mpls", sample: 3, acks: true, firstBytes: 10 },
    ...[PRESETS.firewall[0]!],
  );
  const second = compile(
    { name: "syn", match: "tcp[tcpflags] & tcp-syn != 0", firstPackets: 4, teardown: true },
    { name: "v6", match: "ip6 and len < 200", handshake: true, keepaliveMs: 1000, firstPackets: 1 },
    { name: "low", match: "ip[8] > 3 and src portrange 0-1040", firstBytes: 64, handshake: true, acks: true },
    { name: "one", match: "port 443", sample: 1, plaintext: true },
  );
  return [first, second];
}

async function* filesUnder(folder: string): AsyncGenerator<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* filesUnder(path);
    else if (/\.(pcap|pcapng|cap)$/.test(entry.name)) yield path;
  }
}

/** Folder of real captures: $REMEDIATE_DATA/captures, or ../shared/data/captures; undefined where there is none. */
export function captureFolder(): string | undefined {
  const folder = `${Deno.env.get("REMEDIATE_DATA") ?? `${TOP}/../shared/data`}/captures`;
  try {
    return Deno.statSync(folder).isDirectory ? folder : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

export interface CaptureContent {
  readonly path: string;
  readonly frames: FrameInput[];
  /** Why the file could not be read to its end. */
  readonly error?: string;
}

/** Every capture of the folder, one at a time. Bytes are taken as Ethernet, whatever the link. */
export async function* captures(folder: string): AsyncGenerator<CaptureContent> {
  for await (const path of filesUnder(folder)) {
    const frames: FrameInput[] = [];
    let error: string | undefined;
    try {
      for (const { timeNs, bytes } of readCapture(await Deno.readFile(path))) {
        frames.push({ timeNs, bytes, observed: frames.length % 5 === 4 });
      }
    } catch (problem) {
      error = problem instanceof Error ? problem.message : String(problem);
    }
    yield { path, frames, ...(error === undefined ? {} : { error }) };
  }
}
