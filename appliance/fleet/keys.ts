/**
 * Duty: the keys of the fleet: Ed25519 pairs, signatures, nonces, digests of tokens. An edge, for chance and WebCrypto.
 *
 * Public keys travel raw, as base64url; private ones never travel.
 */
import { createHash, randomBytes } from "node:crypto";

const base64url = (bytes: Uint8Array) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
const bytesOf = (text: string) => Uint8Array.fromBase64(text, { alphabet: "base64url" });
const encoded = (text: string) => new TextEncoder().encode(text);

/** A pair as it is kept: the private half is PKCS #8 in base64. */
export interface KeptKey {
  readonly key: string;
  readonly pkcs8: string;
}

export async function makeKey(): Promise<KeptKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).toBase64();
  return { key: base64url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))), pkcs8 };
}

export async function signText({ pkcs8 }: KeptKey, text: string): Promise<string> {
  const bytes = Uint8Array.fromBase64(pkcs8);
  const key = await crypto.subtle.importKey("pkcs8", bytes, "Ed25519", false, ["sign"]);
  return base64url(new Uint8Array(await crypto.subtle.sign("Ed25519", key, encoded(text))));
}

export async function isSigned(key: string, signature: string, text: string): Promise<boolean> {
  try {
    const verifier = await crypto.subtle.importKey("raw", bytesOf(key), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", verifier, bytesOf(signature), encoded(text));
  } catch {
    return false; // a text that is no key signed nothing
  }
}

/** 32 bytes at random. */
export function makeNonce(): string {
  return base64url(randomBytes(32));
}

/** As many letters and digits at random. */
export function makeId(length: number): string {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789"; // 32
  return [...randomBytes(length)].map((byte) => letters[byte & 31]).join("");
}

export function makeToken(): { readonly id: string; readonly token: string } {
  const id = randomBytes(6).toString("hex");
  return { id, token: `rft_${id}_${makeNonce()}` };
}

/** The id of a token, which is no secret. */
export function tokenId(token: string): string {
  return token.split("_")[1] ?? "";
}

/** Tokens are 256 random bits, which nobody guesses, so one SHA-256 does for them. */
export function tokenDigest(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
