/**
 * How a port is written in the configuration, and what that means.
 *
 * Pure. A specification is a kind and what the kind needs: a PCI address, an interface, a socket, a file. The
 * text itself travels on to the plane; this file decides whether it is well formed and what it lays claim to,
 * so that two roles cannot hold the same thing under two names.
 */

import { LIMIT } from "../filter/names.ts";
import { parseRemote, type RemoteSettings } from "./config_remote.ts";

export type PortKind = "pci" | "af_xdp" | "af_packet" | "memif" | "tap" | "pcap" | "gen" | "remote" | "null";

export interface Port {
  /** As configured, with a PCI address in lower case. */
  readonly spec: string;
  readonly kind: PortKind;
  /** PCI address, interface, socket ("@name": abstract), file to receive from, address, or a generator's settings. Empty for null. */
  readonly target: string;
  /** pcap: file to send to; empty: what is sent is dropped. */
  readonly output: string;
  /** memif only. */
  readonly memifRole: "client" | "server";
  /** remote only. */
  readonly remote?: RemoteSettings;
  /** Things only one role may hold, such as "interface eth1". */
  readonly claims: readonly string[];
}

/** Why a text is no port, as the end of a sentence. */
export interface PortError {
  readonly reason: string;
}

/**
 * A specification longer than this does not fit its place on the board (filter/native/abi.h, RM_SPEC_BYTES).
 */
const SPEC_BYTES_MAX = LIMIT.spec_bytes - 1;
/** sun_path of unix(7) less its terminating zero. */
export const SOCKET_BYTES_MAX = 107;

export const PORT_FORM =
  'a PCI address "0000:03:00.0", "af_xdp:IF", "af_packet:IF", "memif:SOCKET[,role=client|server]", ' +
  '"tap:NAME", "pcap:FILE", "pcap:rx=FILE,tx=FILE", "gen:SETTINGS" (made traffic, for trials), ' +
  '"remote:ADDRESS:PORT,key=FILE" or "null"';

const PCI = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
const PCI_SHORT = /^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** The port a text names, or why it names none. */
export function parsePort(text: string): Port | PortError {
  if (bytes(text) > SPEC_BYTES_MAX) return { reason: `is longer than ${SPEC_BYTES_MAX} bytes` };
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) return { reason: "holds a control character" };
  if (text === "null") return port("null", text, "");
  const lower = text.toLowerCase();
  if (PCI.test(lower)) return port("pci", lower, lower, [`PCI device ${lower}`]);
  if (PCI_SHORT.test(lower)) return { reason: `lacks the PCI domain: write "0000:${lower}"` };
  const colon = text.indexOf(":");
  const kind = colon < 0 ? "" : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (kind === "af_xdp" || kind === "af_packet" || kind === "tap") return interfacePort(kind, text, rest);
  if (kind === "memif") return memifPort(text, rest);
  if (kind === "pcap") return pcapPort(text, rest);
  if (kind === "gen") return generatorPort(text, rest);
  if (kind === "remote") return remotePort(text, rest);
  if (interfaceFault(text) === null) {
    return { reason: `is a bare name: write "af_packet:${text}" or "af_xdp:${text}" for an interface` };
  }
  return { reason: "is no port" };
}

/** Whether `parsePort` found a port. */
export function isPort(found: Port | PortError): found is Port {
  return "spec" in found;
}

function interfacePort(kind: "af_xdp" | "af_packet" | "tap", text: string, name: string): Port | PortError {
  const fault = interfaceFault(name);
  return fault === null ? port(kind, text, name, [`interface ${name}`]) : { reason: fault };
}

/** The kernel's own rule for interface names (dev_valid_name), without white space and the alias colon. */
function interfaceFault(name: string): string | null {
  if (name === "") return "names no interface";
  if (bytes(name) > 15) return `names an interface longer than 15 bytes, "${name}"`;
  if (name === "." || name === ".." || /[/:\s,]/.test(name)) return `names no possible interface, "${name}"`;
  return null;
}

function memifPort(text: string, rest: string): Port | PortError {
  const [socket = "", ...options] = rest.split(",");
  const fault = socketFault(socket);
  if (fault !== null) return { reason: fault };
  let role: Port["memifRole"] = "client";
  for (const option of options) {
    if (option !== "role=client" && option !== "role=server") {
      return { reason: `has the unknown option "${option}": only role=client or role=server` };
    }
    role = option === "role=client" ? "client" : "server";
  }
  if (options.length > 1) return { reason: "gives a role more than once" };
  return { ...port("memif", text, socket, [`socket ${socket}`]), memifRole: role };
}

function socketFault(socket: string): string | null {
  if (socket === "" || socket === "@") return "names no socket";
  if (!socket.startsWith("@") && !socket.startsWith("/")) {
    return `names the socket "${socket}", which is neither an absolute path nor "@NAME"`;
  }
  return bytes(socket) > SOCKET_BYTES_MAX ? `names a socket longer than ${SOCKET_BYTES_MAX} bytes` : null;
}

function pcapPort(text: string, rest: string): Port | PortError {
  const parts = rest.split(",");
  if (parts.length === 1 && !/^(rx|tx)=/.test(rest)) {
    return rest === "" ? { reason: "names no file" } : port("pcap", text, rest, []);
  }
  const files = new Map<string, string>();
  for (const part of parts) {
    const [, side, file] = /^(rx|tx)=(.+)$/.exec(part) ?? [];
    if (!side || !file) return { reason: `has "${part}" where rx=FILE or tx=FILE belongs` };
    if (files.has(side)) return { reason: `gives ${side} more than once` };
    files.set(side, file);
  }
  const output = files.get("tx") ?? "";
  const input = files.get("rx") ?? "";
  if (input === "") return { reason: "has no rx=FILE to receive from" };
  if (input === output) return { reason: "receives from and sends to the same file" };
  return { ...port("pcap", text, input, output === "" ? [] : [`file ${output}`]), output };
}

/** Smallest and largest number of each setting of a generator; filter/native/port_gen.c says what they do. */
const GENERATOR: Readonly<Record<string, readonly [number, number]>> = {
  flows: [0, 100_000_000],
  sizes: [64, 9000],
  new: [0, 50],
  fin: [0, 50],
  zipf: [0, 3],
  seed: [0, 0xffffffff],
  cold: [0, 1],
  rate: [0, 1e9],
};
const GENERATOR_WORDS: Readonly<Record<string, readonly string[]>> = {
  sizes: ["imix"],
  kinds: ["tcp", "mix"],
};

function generatorPort(text: string, rest: string): Port | PortError {
  const seen = new Set<string>();
  for (const part of rest === "" ? [] : rest.split(",")) {
    const [, key = "", value = ""] = /^([a-z]+)=(.+)$/.exec(part) ?? [];
    const range = GENERATOR[key], words = GENERATOR_WORDS[key] ?? [];
    if (range === undefined && words.length === 0) {
      const known = [...new Set([...Object.keys(GENERATOR), ...Object.keys(GENERATOR_WORDS)])].join(", ");
      return { reason: `has "${part}" where one of ${known} belongs, as in flows=1000` };
    }
    if (seen.has(key)) return { reason: `gives ${key} more than once` };
    seen.add(key);
    const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
    if (words.includes(value) || (range && number >= range[0] && number <= range[1])) continue;
    const forms = [...words, ...(range ? [`a number from ${range[0]} to ${range[1]}`] : [])];
    return {
      reason: `has ${key} "${value}", which is neither ${forms.join(" nor ")}`.replace(
        "neither a number",
        "no number",
      ),
    };
  }
  return port("gen", text, rest);
}

function remotePort(text: string, rest: string): Port | PortError {
  const remote = parseRemote(rest);
  if ("reason" in remote) return remote;
  return { ...port("remote", text, remote.address, [`far end ${remote.address}`]), remote };
}

function port(kind: PortKind, spec: string, target: string, claims: readonly string[] = []): Port {
  return { spec, kind, target, output: "", memifRole: "client", claims };
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
