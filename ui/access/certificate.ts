/**
 * The certificate that a device makes for itself: ECDSA on P-256, its own name and addresses, for twenty years.
 *
 * An edge, for chance and for node:crypto. It is known by its fingerprint, not by a signer, so an end soon would only
 * lock people out; and it begins long ago, because a device without a battery starts in 1970.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { reasonOf } from "../../drivers/reason.ts";
import {
  bits,
  der,
  explicit,
  objectId,
  octets,
  sequence,
  setOf,
  time,
  truth,
  unsigned,
  utf8,
} from "./der.ts";
import { writeSecret } from "./store.ts";

const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const [SAN, BASIC, USAGE, EXTENDED] = ["2.5.29.17", "2.5.29.19", "2.5.29.15", "2.5.29.37"];
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const BEGIN_MS = Date.UTC(1970, 0, 2);
const YEARS = 20;

export interface Identity {
  readonly cert: string;
  readonly key: string;
  /** SHA-256, "AB:CD:..." */
  readonly fingerprint: string;
}

/** A certificate and its key, both PEM, for these names and addresses. */
export function makeIdentity(name: string, names: readonly string[], nowMs: number): Identity {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(objectId(ECDSA_SHA256));
  const subject = sequence(setOf(sequence(objectId(COMMON_NAME), utf8(name))));
  const endMs = new Date(nowMs).setUTCFullYear(Math.max(2026, new Date(nowMs).getUTCFullYear()) + YEARS);
  const body = sequence(
    explicit(0, unsigned(Uint8Array.of(2))),
    unsigned(Uint8Array.of(0x40, ...randomBytes(15))),
    algorithm,
    subject,
    sequence(time(BEGIN_MS), time(endMs)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    explicit(3, extensions([...new Set([name, "localhost", ...names])])),
  );
  const signature = sign("sha256", body, { key: privateKey, dsaEncoding: "der" });
  const cert = pem("CERTIFICATE", sequence(body, algorithm, bits(signature)));
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { cert, key, fingerprint: fingerprintOf(cert) };
}

function extensions(names: readonly string[]): Uint8Array {
  const extension = (id: string, value: Uint8Array, ...critical: Uint8Array[]) =>
    sequence(objectId(id), ...critical, octets(value));
  return sequence(
    extension(BASIC!, sequence(), truth()),
    extension(USAGE!, der(0x03, Uint8Array.of(7, 0x80)), truth()),
    extension(EXTENDED!, sequence(objectId(SERVER_AUTH))),
    extension(SAN!, sequence(...names.flatMap(generalName))),
  );
}

/** A name as GeneralName; what is neither an address nor a host name is left out. */
function generalName(name: string): Uint8Array[] {
  if (isIPv4(name)) return [der(0x87, Uint8Array.from(name.split("."), Number))];
  if (isIPv6(name)) return [der(0x87, ipv6Bytes(name))];
  return /^[A-Za-z0-9._-]+$/.test(name) ? [der(0x82, new TextEncoder().encode(name))] : [];
}

function ipv6Bytes(address: string): Uint8Array {
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail ?? "")];
  const zeros = Array<number>(8 - left.length - right.length).fill(0);
  return Uint8Array.from([...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 255]));
}

export function fingerprintOf(cert: string): string {
  return new X509Certificate(cert).fingerprint256;
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/**
 * The operator's own certificate and key.
 * @throws Error with one sentence: a file cannot be read, or they do not belong together
 */
export function loadIdentity(certificate: string, key: string): Identity {
  const read = (path: string) => {
    try {
      return Deno.readTextFileSync(path);
    } catch (cause) {
      throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
    }
  };
  const identity = { cert: read(certificate), key: read(key) };
  let pair: boolean;
  try {
    pair = new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key));
  } catch (cause) {
    throw new Error(`Cannot use ${certificate} with ${key}: ${reasonOf(cause)}`, { cause });
  }
  if (!pair) throw new Error(`Cannot use ${certificate} with ${key}: the key is another one's`);
  return { ...identity, fingerprint: fingerprintOf(identity.cert) };
}

/** The device's own, made where it has none. @throws Error with one sentence */
export function ownIdentity(
  path: string,
  { name, names, nowMs }: { name: string; names: readonly string[]; nowMs: number },
): Identity {
  try {
    const text = Deno.readTextFileSync(path);
    const cert = text.slice(text.indexOf("-----BEGIN CERTIFICATE-----"));
    return { cert, key: text.slice(0, text.length - cert.length), fingerprint: fingerprintOf(cert) };
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) {
      throw new Error(`Cannot use ${path}: ${reasonOf(cause)}; without the file another is made`, { cause });
    }
  }
  const made = makeIdentity(name, names, nowMs);
  writeSecret(path, made.key + made.cert);
  return made;
}
