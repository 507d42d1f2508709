/**
 * Duty: everything that somebody needs who is to help from afar, in one archive, without a secret.
 *
 * An edge: reads files and asks the machine. Whatever cannot be had is named in its place. Every text passes redact.ts; files
 * that hold nothing but secrets are read to know what to look for and never go in; captures and records of state never
 * do either.
 */
import { reasonOf } from "../../drivers/reason.ts";
import type { Config } from "../config.ts";
import type { Finding } from "../doctor_finding.ts";
import {
  acceptedConfigPath,
  accountsPath,
  auditPath,
  drillKeyPath,
  firstCodePath,
  identityPath,
  journalPath,
  matchPath,
  movesPath,
  planeLogPath,
} from "../paths.ts";
import { VERSION } from "../version.ts";
import { redact, secretsIn } from "./redact.ts";
import { type Entry, gzip, tar } from "./tar.ts";

export interface BundleGiven {
  readonly config: Config;
  readonly configPath: string | null;
  /** What a running node says of itself, by the name of its file; each may fail. */
  readonly views: Readonly<Record<string, () => unknown>>;
  readonly doctor: () => Promise<readonly Finding[]>;
  readonly nowMs: number;
}

/** Of each file its end: what was last is what is asked for. */
const FILE_BYTES_MAX = 1 << 20;
const LOG_LINES_MAX = 5000;
const TOOL_MS_MAX = 10_000;

/** The archive as gzip of tar. Never throws for what a machine lacks. */
export async function supportBundle(given: BundleGiven): Promise<Uint8Array<ArrayBuffer>> {
  const { config, nowMs } = given, secrets = await ownSecrets(config, given.configPath);
  const entries: Entry[] = [];
  const add = async (name: string, read: () => unknown) => {
    let text: string;
    try {
      const value = await read();
      text = typeof value === "string" ? value : `${JSON.stringify(value, null, 2)}\n`;
    } catch (error) {
      text = `not to be had: ${reasonOf(error)}\n`;
    }
    entries.push({ name: `support/${name}`, bytes: new TextEncoder().encode(redact(text, secrets)) });
  };
  await add("about.json", () => about(config, nowMs));
  for (const [name, path] of files(given)) await add(name, () => tail(path));
  for (const [name, view] of Object.entries(given.views)) await add(name, view);
  await add("doctor.json", given.doctor);
  await add("files.txt", () => listing(config));
  for (const [name, words] of TOOLS) await add(name, () => output(words));
  return await gzip(tar(entries, nowMs));
}

/** `support-edge1-20260131T120000Z.tar.gz` */
export function bundleName(node: string, nowMs: number): string {
  return `support-${node}-${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z.tar.gz`;
}

function about({ node }: Config, nowMs: number): object {
  const { deno, v8 } = Deno.version, { arch, os } = Deno.build;
  return {
    node: node.name,
    at: new Date(nowMs).toISOString(),
    version: VERSION,
    build: Deno.env.get("REMEDIATE_BUILD") ?? (Deno.build.standalone ? "compile" : "source"),
    ...{ deno, v8, os, arch, kernel: Deno.osRelease(), uptimeS: Deno.osUptime(), load: Deno.loadavg() },
    memory: Deno.systemMemoryInfo(),
  };
}

function files({ config, configPath }: BundleGiven): [string, string][] {
  return [
    ...(configPath === null ? [] : [["config.toml", configPath] satisfies [string, string]]),
    ["accepted.toml", acceptedConfigPath(config)],
    ["events.jsonl", journalPath(config)],
    ["match.jsonl", matchPath(config)],
    ["moves.jsonl", movesPath(config)],
    ["audit.jsonl", auditPath(config)],
    ["plane.log", planeLogPath(config)],
  ];
}

const TOOLS: readonly (readonly [string, readonly string[]])[] = [
  ["links.txt", ["ip", "-details", "-statistics", "link", "show"]],
  ["addresses.txt", ["ip", "address", "show"]],
  ["kernel.log", ["dmesg", "--ctime"]],
  ["service.log", ["journalctl", "--unit=remediate", "--no-pager", `--lines=${LOG_LINES_MAX}`]],
];

async function output([program = "", ...args]: readonly string[]): Promise<string> {
  const command = new Deno.Command(program, {
    args,
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(TOOL_MS_MAX),
  });
  const { stdout, stderr } = await command.output();
  return new TextDecoder().decode(stdout.length > 0 ? stdout.subarray(-FILE_BYTES_MAX) : stderr);
}

/** The last bytes of a file, as text. @throws Error where there is none */
export async function tail(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  await file.seek(Math.max(0, size - FILE_BYTES_MAX), Deno.SeekMode.Start);
  return (await new Response(file.readable).text()).slice(-FILE_BYTES_MAX);
}

/** Names and sizes tell much, and nothing of what is inside. */
async function listing({ node, capture, recorder }: Config): Promise<string> {
  const lines: string[] = [];
  const directories = new Set([
    node.stateDirectory,
    node.runtimeDirectory,
    capture.directory,
    recorder.directory,
  ]);
  for (const directory of directories) {
    const names = await Array.fromAsync(Deno.readDir(directory), ({ name }) => name).catch(() => []);
    lines.push(`${directory}:`);
    for (const name of names.sort()) {
      const facts = await Deno.lstat(`${directory}/${name}`).catch(() => null);
      lines.push(`  ${facts?.size ?? "?"}  ${facts?.mtime?.toISOString() ?? "?"}  ${name}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** All that is known to be secret on this node. */
export async function ownSecrets(config: Config, configPath: string | null): Promise<string[]> {
  const own = [accountsPath, drillKeyPath, firstCodePath, identityPath].map((path) => path(config));
  const texts = await Promise.all([configPath, acceptedConfigPath(config)].map(readOr));
  // Files that the configuration names for their secrets.
  const named = texts.flatMap((text) =>
    [...text.matchAll(
      /^[\s#]*[a-z0-9_]*(?:key|password|secret|token|psk)[a-z0-9_]*\s*=\s*["'](\/[^"'\n]+)["']/gm,
    )]
      .map(([, path = ""]) => path)
  );
  const state = config.repository.keyFile;
  const files = await Promise.all([...own, ...named, state].map(readOr));
  return files.flatMap(secretsIn);
}

async function readOr(path: string | null): Promise<string> {
  return path === null ? "" : await Deno.readTextFile(path).catch(() => "");
}
