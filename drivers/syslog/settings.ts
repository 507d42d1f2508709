/**
 * Duty: what a person says of the syslog driver, and whether that is safe. Pure.
 *
 * State comes from whoever may write to the socket, so beyond this machine a sender is known by its certificate or at
 * least by its address; everything else is refused before a socket is opened. An address can be forged in a datagram:
 * the list of senders is for networks that only boxes and nodes are on.
 */
import { parseIpAddress } from "../../filter/ip_address.ts";
import type { Setting, Settings } from "../driver.ts";
import { holds, parsePrefix } from "../fields.ts";
import { BUILTIN_FORMATS } from "../formats/builtin.ts";

export const TRANSPORTS = ["udp", "tcp", "tls"] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface SyslogSettings {
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
  /** Name of a built-in format, or the path of a file. */
  readonly format: string;
  /** Prefixes; empty: whoever reaches the socket. */
  readonly senders: readonly string[];
  readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string } | null;
  readonly entriesMax: number;
  readonly queueMax: number;
  readonly connectionsMax: number;
  readonly messageBytesMax: number;
}

const pathFault = (text: string) =>
  text.startsWith("/") && text.length <= 4000 ? null : "is no absolute path";

function listenFault(text: string): string | null {
  const { host, port } = splitAddress(text);
  if (parseIpAddress(host) === null) return "has no address: 127.0.0.1:5514 or [::1]:5514";
  return port >= 0 && port <= 65_535 ? null : "has no port from 0 to 65535 behind a colon";
}

function splitAddress(text: string): { host: string; port: number } {
  const [, wide, narrow, port = "x"] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  return { host: wide ?? narrow ?? "", port: Number(port) };
}

const splitList = (text: string) => text.split(",").map((part) => part.trim()).filter((part) => part !== "");

function sendersFault(text: string): string | null {
  const wrong = splitList(text).find((part) => parsePrefix(part) === null);
  return wrong === undefined ? null : `has "${wrong}", which is no address or prefix`;
}

function formatFault(text: string): string | null {
  if (text.startsWith("/") || Object.hasOwn(BUILTIN_FORMATS, text)) return null;
  return `is no format: ${Object.keys(BUILTIN_FORMATS).join(", ")}, or the absolute path of a file`;
}

export const SYSLOG_SETTINGS = {
  listen: {
    type: "text",
    default: "127.0.0.1:5514",
    fault: listenFault,
    help:
      'Address and port that the box sends its log to. Beyond loopback only with `transport = "tls"`, which ' +
      "asks every sender for a certificate, or with `senders`.",
  },
  transport: {
    type: "choice",
    choices: TRANSPORTS,
    default: "udp",
    help:
      "How the log comes: datagrams, a TCP connection, or one with TLS. Lost datagrams are lost state; TCP is " +
      "better where the box can.",
  },
  format: {
    type: "text",
    required: true,
    fault: formatFault,
    help:
      "What the lines look like: a name of `remediate drivers formats`, or the absolute path of a format file.",
  },
  senders: {
    type: "text",
    fault: sendersFault,
    help: "Addresses and prefixes that may send, with commas between them. Others are counted and not heard.",
  },
  certificate: { type: "text", fault: pathFault, help: "File with the certificate of this server, for TLS." },
  key: { type: "text", secret: true, fault: pathFault, help: "File with its private key, for TLS." },
  ca: {
    type: "text",
    fault: pathFault,
    help: "File with the certificate authority that senders have their certificates from, for TLS.",
  },
  entries_max: {
    type: "integer",
    min: 16,
    max: 4_000_000,
    default: 262_144,
    help: "How many open connections are kept; above it those silent longest are forgotten and counted.",
  },
  queue_max: {
    type: "integer",
    min: 16,
    max: 1_000_000,
    default: 65_536,
    help: "How many messages and how many changes may wait; datagrams above it are dropped and counted.",
  },
  connections_max: {
    type: "integer",
    min: 1,
    max: 4096,
    default: 64,
    help: "How many senders may be connected.",
  },
  message_bytes_max: {
    type: "integer",
    min: 480,
    max: 65_507,
    default: 8192,
    help: "Longer messages are dropped whole and counted: half a message may be a wrong one.",
  },
} as const satisfies Readonly<Record<string, Setting>>;

const LOOPBACK = { source: "127.0.0.0/8" };
const isLoopback = (host: string) => host === "::1" || holds(LOOPBACK, { source: host });

/** What the settings lack together, as the end of a sentence that begins with the key; null: nothing. */
export function settingsFault(settings: SyslogSettings): { key: string; reason: string } | null {
  const { host, transport, tls, senders } = settings;
  if (transport === "tls" && tls === null) {
    return { key: "transport", reason: 'is "tls", which needs `certificate`, `key` and `ca`' };
  }
  if (isLoopback(host) || transport === "tls" || senders.length > 0) return null;
  return {
    key: "listen",
    reason:
      `is ${host}, beyond this machine: anybody there could write state; use \`transport = "tls"\` with ` +
      "certificates, or name the boxes in `senders`",
  };
}

/** From what the configuration has, each key of which was judged already; defaults are filled in where one is missing. */
export function readSettings(given: Settings): SyslogSettings {
  const of = <T>(key: keyof typeof SYSLOG_SETTINGS): T => {
    const setting: Setting = SYSLOG_SETTINGS[key];
    return (given[key] ?? setting.default ?? "") as T;
  };
  const [certificate, key, ca] = [of<string>("certificate"), of<string>("key"), of<string>("ca")];
  return {
    ...splitAddress(of("listen")),
    transport: of("transport"),
    format: of("format"),
    senders: splitList(of("senders")),
    tls: certificate !== "" && key !== "" && ca !== "" ? { certificate, key, ca } : null,
    entriesMax: of("entries_max"),
    queueMax: of("queue_max"),
    connectionsMax: of("connections_max"),
    messageBytesMax: of("message_bytes_max"),
  };
}

/** For `check`: the same of settings as they stand in the file. */
export const settingsProblem = (given: Settings) => settingsFault(readSettings(given));

/** Whether a peer may send; IPv4 inside IPv6 counts as IPv4. */
export function maySend(senders: readonly string[], peer: string): boolean {
  if (senders.length === 0) return true;
  const source = peer.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return senders.some((prefix) => holds({ source: prefix }, { source }));
}
