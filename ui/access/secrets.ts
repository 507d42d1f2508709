/**
 * Secrets: made at random, kept as digests, compared in constant time. An edge, for chance and for node:crypto.
 *
 * Passwords are hashed with scrypt (RFC 7914), 32 MiB and some tenths of a second each. Tokens and cookies are 256
 * random bits, which nobody guesses, so one SHA-256 does for them.
 */
import { Buffer } from "node:buffer";
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** log2 N, r, p: of the OWASP list, the one with 32 MiB. */
const COST = { log2: 15, r: 8, p: 3 } as const;
const KEY_BYTES = 32;

export function randomText(bytes = 32): string {
  return randomBytes(bytes).toString("base64url");
}

export function randomId(): string {
  return randomBytes(6).toString("hex");
}

/** 80 bits that a person can type: "k7qm-2w9x-...". */
export function oneTimeCode(): string {
  const letters = "abcdefghjkmnpqrstvwxyz0123456789"; // 32, without those that look alike
  const code = [...randomBytes(16)].map((byte) => letters[byte & 31]).join("");
  return code.replace(/(.{4})(?=.)/g, "$1-");
}

export function digest(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

export function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

function derive(password: string, salt: Buffer, { log2, r, p }: { log2: number; r: number; p: number }) {
  const cost = { N: 2 ** log2, r, p, maxmem: 2 ** log2 * r * 256 };
  return new Promise<Buffer>((done, failed) =>
    scrypt(
      password.normalize("NFKC"),
      salt,
      KEY_BYTES,
      cost,
      (error, key) => error ? failed(error) : done(key),
    )
  );
}

/** "scrypt$15$8$3$SALT$KEY" */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16), key = await derive(password, salt, COST);
  return ["scrypt", COST.log2, COST.r, COST.p, salt.toString("base64"), key.toString("base64")].join("$");
}

export async function isPassword(hash: string, password: string): Promise<boolean> {
  const parts = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([\w+/=]+)\$([\w+/=]+)$/.exec(hash);
  if (parts === null) return false;
  const [log2, r, p] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const key = await derive(password, Buffer.from(parts[4]!, "base64"), { log2, r, p });
  const wanted = Buffer.from(parts[5]!, "base64");
  return wanted.length === key.length && timingSafeEqual(wanted, key);
}

/** Of nobody: who names no user waits as long as who names one. */
export const NOBODY = ["scrypt", COST.log2, COST.r, COST.p, "AAAAAAAAAAAAAAAAAAAAAA==", "A".repeat(43) + "="]
  .join("$");
