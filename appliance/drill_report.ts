/**
 * The report of a drill, and the signature that makes it evidence: Ed25519 over the canonical text of the report.
 *
 * The key is the node's own; who keeps its public half can check any report later. Pure but for the key's file, which
 * is made at the first drill and only its owner can read.
 */
import type { CanaryResult } from "./failover/drill.ts";
import { reasonOf } from "../drivers/reason.ts";
import type { Box, DetectorView } from "./view.ts";

export interface DrillReport {
  readonly node: string;
  readonly version: string;
  readonly box: Box;
  readonly startedMs: number;
  readonly tookMs: number;
  readonly ok: boolean;
  /** Why, in one sentence. */
  readonly text: string;
  readonly canaries: readonly CanaryResult[];
  /** What the mirror put into the box meanwhile, and what it would have sent. */
  readonly shadow: { readonly inPackets: number; readonly outPackets: number };
  readonly detectors: readonly DetectorView[];
}

/** A report as it is kept and handed out. */
export interface SignedReport {
  readonly report: DrillReport;
  /** SPKI of the node's key, and the signature over `signedBytes(report)`; base64. */
  readonly key: string;
  readonly signature: string;
}

/** Keys in alphabetical order at every depth, no spaces: one text for one report. */
export function signedBytes(report: DrillReport): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(canonical(report));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined).sort(([a], [b]) =>
    a < b ? -1 : 1
  );
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(",")}}`;
}

/** @param path of the key: PKCS #8 in base64. @throws Error with one sentence */
export async function signReport(report: DrillReport, path: string): Promise<SignedReport> {
  const pair = await nodeKey(path);
  const signature = await crypto.subtle.sign("Ed25519", pair.private, signedBytes(report));
  return { report, key: pair.spki, signature: new Uint8Array(signature).toBase64() };
}

/** Why a report is not what the node signed; null: it is. `key`: the one it must be signed with, if known. */
export async function reportFault(text: string, key: string | null): Promise<string | null> {
  let signed: SignedReport;
  try {
    signed = JSON.parse(text);
    if (key !== null && signed.key !== key) return "it is signed with another key";
    const spki = Uint8Array.fromBase64(signed.key);
    const verifier = await crypto.subtle.importKey("spki", spki, "Ed25519", false, ["verify"]);
    const signature = Uint8Array.fromBase64(signed.signature);
    const good = await crypto.subtle.verify("Ed25519", verifier, signature, signedBytes(signed.report));
    return good ? null : "its signature does not fit: it was changed after it was signed";
  } catch (error) {
    return `it is no signed report: ${reasonOf(error)}`;
  }
}

async function nodeKey(path: string): Promise<{ private: CryptoKey; spki: string }> {
  const text = await Deno.readTextFile(path).catch((error: Error) => error);
  if (text instanceof Deno.errors.NotFound) return await makeKey(path);
  if (text instanceof Error) throw new Error(`Cannot read the key ${path}: ${reasonOf(text)}`);
  try {
    const { pkcs8, spki } = JSON.parse(text) as { pkcs8: string; spki: string };
    const bytes = Uint8Array.fromBase64(pkcs8);
    return { private: await crypto.subtle.importKey("pkcs8", bytes, "Ed25519", false, ["sign"]), spki };
  } catch (error) {
    throw new Error(`Cannot use the key ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

async function makeKey(path: string): Promise<{ private: CryptoKey; spki: string }> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  const exported = async (format: "pkcs8" | "spki", key: CryptoKey) =>
    new Uint8Array(await crypto.subtle.exportKey(format, key)).toBase64();
  const pkcs8 = await exported("pkcs8", pair.privateKey), spki = await exported("spki", pair.publicKey);
  try {
    // Never there half written: a key that cannot be read would end all drills.
    await Deno.writeTextFile(`${path}.new`, JSON.stringify({ pkcs8, spki }), { mode: 0o600 });
    await Deno.rename(`${path}.new`, path);
  } catch (error) {
    throw new Error(`Cannot write the key ${path}: ${reasonOf(error)}`, { cause: error });
  }
  return { private: pair.privateKey, spki };
}
