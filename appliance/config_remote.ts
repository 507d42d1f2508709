/**
 * Duty: how a remote port is written, "remote:ADDRESS:PORT,key=FILE,...", and what is wrong with one.
 *
 * Pure. The plane reads the same text (filter/native/remote_settings.c) and leaves the judging to this file.
 */
import { parseIpAddress } from "../filter/ip_address.ts";

/** Smallest and largest number of each setting. */
export const REMOTE_NUMBERS: Readonly<Record<string, readonly [number, number]>> = {
  silence_ms: [10, 60_000],
  wait_ms: [0, 10_000],
  reorder_us: [0, 100_000],
  ring_mib: [1, 256],
  mtu: [576, 9_216],
};
export const REMOTE_FORM = "remote:ADDRESS:PORT,key=FILE[,local=ADDRESS][,silence_ms=N][,wait_ms=N]" +
  "[,reorder_us=N][,ring_mib=N][,mtu=N][,encrypt=yes]";

/** Bytes around a frame in a datagram of IPv4; 20 more with IPv6. */
export const REMOTE_OVERHEAD_BYTES = 76;

export interface RemoteSettings {
  /** With its port, as the plane takes it: "192.0.2.7:4790", "[2001:db8::7]:4790". */
  readonly address: string;
  /** Absolute path of the file that holds the key. */
  readonly keyFile: string;
  /** Of the IP packets on the way; null: as the route says. */
  readonly mtu: number | null;
}

/** The settings behind "remote:", or why there are none, as the end of a sentence. */
export function parseRemote(rest: string): RemoteSettings | { readonly reason: string } {
  const [address = "", ...parts] = rest.split(",");
  const far = addressFault(address, true);
  if (far !== null) return { reason: far };
  const seen = new Map<string, string>();
  for (const part of parts) {
    const [, name = "", value = ""] = /^([a-z_]+)=(.+)$/.exec(part) ?? [];
    const fault = settingFault(name, value, part);
    if (fault !== null) return { reason: fault };
    if (seen.has(name)) return { reason: `gives ${name} more than once` };
    seen.set(name, value);
  }
  const keyFile = seen.get("key");
  if (keyFile === undefined) {
    return { reason: "has no key=FILE, and without a key anybody could send frames" };
  }
  const mtu = seen.get("mtu");
  return { address, keyFile, mtu: mtu === undefined ? null : Number(mtu) };
}

const bytesOf = (text: string) => parseIpAddress(text)?.length;

/** What is wrong with "192.0.2.7:4790" or "[2001:db8::7]:4790"; null: nothing. */
export function addressFault(text: string, withPort: boolean): string | null {
  const [, six, four = "", port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const good = six === undefined ? bytesOf(four) === 4 : bytesOf(six) === 16;
  if (!good && !(bytesOf(text) === 16 && !withPort)) {
    return `has "${text}" where an address belongs, as in 192.0.2.7:4790 or [2001:db8::7]:4790`;
  }
  if (withPort && (port === undefined || Number(port) < 1 || Number(port) > 65_535)) {
    return `has the address "${text}" without a UDP port, as in 192.0.2.7:4790`;
  }
  return null;
}

function settingFault(name: string, value: string, part: string): string | null {
  if (name === "key") {
    return value.startsWith("/") ? null : `has the key "${value}", which is no absolute path`;
  }
  if (name === "local") return addressFault(value, false);
  if (name === "encrypt") {
    return ["yes", "no"].includes(value) ? null : `has encrypt "${value}", which is neither yes nor no`;
  }
  const range = REMOTE_NUMBERS[name];
  if (range === undefined) {
    const known = ["key", "local", "encrypt", ...Object.keys(REMOTE_NUMBERS)].join(", ");
    return `has "${part}" where one of ${known} belongs`;
  }
  const good = /^\d+$/.test(value) && Number(value) >= range[0] && Number(value) <= range[1];
  return good ? null : `has ${name} "${value}", which is no number from ${range[0]} to ${range[1]}`;
}
