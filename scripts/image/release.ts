/**
 * Duty: what is published beside the disk: the SBOM, where its bytes go, the digests of all, and their signature.
 *
 * Ed25519 over the text of SHA256SUMS, as `openssl pkeyutl -verify -rawin` checks it: one file to sign, and a program for
 * checking that every system has.
 */
import { createPrivateKey, sign } from "node:crypto";
import { VERSION } from "../../appliance/version.ts";
import type { Root } from "./root.ts";
import { digestOf } from "./digest.ts";
import { run } from "./run.ts";
import { makeSbom, parseDpkg, parseLock, type Sbom, sbomFaults } from "./sbom.ts";

/** npm packages that only tests and the decoders' types need; they are not in the bundle. */
const NOT_BUNDLED = new Set(["@types/node", "axe-core", "nan", "playwright-core"]);

/** @throws Error where it and dpkg's list differ */
export async function sbomOf(top: string, root: Root): Promise<Sbom> {
  const packages = parseDpkg(await Deno.readTextFile(`${root.path}/var/lib/dpkg/status`));
  const npm = parseLock(await Deno.readTextFile(`${top}/deno.lock`), NOT_BUNDLED);
  const sbom = makeSbom({ version: VERSION, deno: Deno.version.deno, debian: packages, npm });
  // Asked of dpkg itself, which reads its files in its own way.
  const said = await run(["dpkg-query", `--admindir=${root.path}/var/lib/dpkg`, "-W", "-f", DPKG_LINE]);
  const asked = said.trim().split("\n").map((line) => {
    const [name = "", version = "", architecture = ""] = line.split(" ");
    return { name, version, architecture, source: "" };
  });
  const faults = sbomFaults(sbom, asked);
  if (faults.length > 0) throw new Error(`Cannot use the SBOM: ${faults.slice(0, 5).join("; ")}`);
  return sbom;
}
const DPKG_LINE = "${Package} ${Version} ${Architecture}\\n";

export interface SizeRow {
  readonly what: string;
  readonly bytes: number;
}

/** The largest folders of the root, before compression. */
export async function rootSizes(root: string): Promise<SizeRow[]> {
  const text = await run(["du", "--bytes", "--max-depth=4", "--threshold=2M", `${root}/usr`]);
  const rows = text.trim().split("\n").map((line) => {
    const [bytes = "", path = ""] = line.split("\t");
    return { what: path.slice(root.length), bytes: Number(bytes) };
  });
  return rows.sort((a, b) => b.bytes - a.bytes).slice(0, 30);
}

export function sizeReport(parts: readonly SizeRow[], folders: readonly SizeRow[]): string {
  const line = ({ what, bytes }: SizeRow) => `${(bytes / 1e6).toFixed(1).padStart(9)} MB  ${what}`;
  return [
    "Parts of the disk",
    ...parts.map(line),
    "",
    "Folders of the root, before compression",
    ...folders.map(line),
    "",
  ]
    .join("\n");
}

/** SHA256SUMS over `files` of one directory, and its signature where there is a key. */
export async function writeSums(
  directory: string,
  files: readonly string[],
  key: string | null,
): Promise<void> {
  const lines: string[] = [];
  for (const name of [...files].sort()) lines.push(`${await digestOf(`${directory}/${name}`)}  ${name}\n`);
  const text = lines.join("");
  await Deno.writeTextFile(`${directory}/SHA256SUMS`, text);
  await Deno.remove(`${directory}/SHA256SUMS.sig`).catch(() => {});
  if (key === null) return;
  await Deno.writeFile(`${directory}/SHA256SUMS.sig`, signature(text, await Deno.readTextFile(key)));
}

/** @throws TypeError for a key that is no Ed25519 key in PEM */
export function signature(text: string, pem: string): Uint8Array {
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new TypeError("Cannot sign: the key is no private key in PEM", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new TypeError(
      `Cannot sign: the key is of the kind ${key.asymmetricKeyType}, and Ed25519 is wanted`,
    );
  }
  return new Uint8Array(sign(null, new TextEncoder().encode(text), key));
}
