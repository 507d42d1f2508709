/**
 * Duty: the update bundle: a slot's file system and boot files, with who signed them and which board they are for.
 *
 * RAUC's "verity" format: signed is the root of a hash tree, so that a bundle is checked block by block while it is read. The
 * file system carries a block index, by which an installed machine takes over blocks that it has already.
 */
import { run } from "./run.ts";
import type { Signer } from "./keys.ts";

/** Of every machine that runs this image; in /usr/lib/remediate/slots as well. */
export const COMPATIBLE = "remediate-amd64";

export interface BundleParts {
  readonly version: string;
  /** @default this board's */
  readonly compatible?: string;
  /** With its hash tree. */
  readonly rootfs: string;
  /** A FAT file system. */
  readonly boot: string;
  /** Seconds since the epoch; stands in the bundle. */
  readonly epoch: number;
}

export function manifestText({ version, compatible = COMPATIBLE, epoch }: BundleParts): string {
  return [
    "[update]",
    `compatible=${compatible}`,
    `version=${version}`,
    "description=Remediate",
    `build=${new Date(epoch * 1000).toISOString()}`,
    "",
    "[bundle]",
    "format=verity",
    "",
    "[image.rootfs]",
    "filename=rootfs.img",
    "adaptive=block-hash-index",
    "",
    "[image.boot]",
    "filename=boot.img",
    "",
  ].join("\n");
}

/** @throws Error with RAUC's words */
export async function makeBundle(output: string, parts: BundleParts, signer: Signer): Promise<void> {
  const directory = `${output}.d`;
  await Deno.remove(directory, { recursive: true }).catch(() => {});
  await Deno.mkdir(directory, { recursive: true });
  await run(["cp", "--sparse=always", parts.rootfs, `${directory}/rootfs.img`]);
  await run(["cp", "--sparse=always", parts.boot, `${directory}/boot.img`]);
  await Deno.writeTextFile(`${directory}/manifest.raucm`, manifestText(parts));
  await Deno.remove(output).catch(() => {});
  await run([
    "rauc",
    "bundle",
    `--cert=${signer.certificate}`,
    `--key=${signer.key}`,
    directory,
    output,
  ], { env: { SOURCE_DATE_EPOCH: String(parts.epoch) } });
  await Deno.remove(directory, { recursive: true });
}
