/**
 * Duty: writes an image to a disk, and reads it back.
 *
 * The digest of the published file is checked first, where SHA256SUMS lies beside it. What was written is read past the
 * kernel's cache, so a disk that loses what it takes is found before it is built in.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { reasonOf } from "../drivers/reason.ts";
import { BYTES_MAX, type DiskFacts, diskFaults, megabytes, noDisk, parseLsblk } from "./flash/judge.ts";
import { digestOf } from "./image/digest.ts";

const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const CHUNK_BYTES = 4 << 20;
const HELP = `Usage: ./scripts/deno task flash DISK [--image FILE] [--yes] [--any-size]

Writes an image to a whole disk, such as /dev/sdb, and reads it back. All that is on the disk is lost.

  --image FILE  what is written: .img, or .img.zst (default dist/remediate.img.zst)
  --yes         do not ask
  --any-size    take a disk of more than ${BYTES_MAX / 1e12} TB
`;

const say = (text: string) => console.error(`flash: ${text}`);

async function lsblk(path: string): Promise<DiskFacts> {
  const args = ["--json", "--bytes", "--output", "PATH,TYPE,SIZE,RO,MODEL,MOUNTPOINTS", path];
  const { success, stdout } = await new Deno.Command("lsblk", { args, stdout: "piped", stderr: "null" })
    .output();
  return success ? parseLsblk(new TextDecoder().decode(stdout), path) : noDisk(path);
}

/** A file stands for a disk: for another machine's, or for a virtual one. */
export async function look(path: string): Promise<DiskFacts> {
  const real = await Deno.realPath(path).catch(() => path);
  const stat = await Deno.stat(real).catch(() => null);
  if (stat?.isFile) {
    const readOnly = ((stat.mode ?? 0) & 0o222) === 0;
    return {
      path,
      kind: "file",
      bytes: stat.size,
      readOnly,
      used: [],
      holdsRoot: false,
      holders: [],
      model: null,
    };
  }
  return { ...await lsblk(real), path };
}

/** The bytes of an image, whether it is compressed or not. */
function open(image: string): { readonly bytes: ReadableStream<Uint8Array>; readonly done: Promise<void> } {
  const program = image.endsWith(".zst") ? ["zstd", "-dcq", image] : ["cat", image];
  const child = new Deno.Command(program[0]!, { args: program.slice(1), stdout: "piped", stderr: "piped" })
    .spawn();
  const done = Promise.all([child.status, new Response(child.stderr).text()]).then(([{ success }, said]) => {
    if (!success) throw new Error(`Cannot read ${image}: ${said.trim()}`);
  });
  done.catch(() => {}); // awaited after the bytes
  return { bytes: child.stdout, done };
}

async function sizeOf(image: string): Promise<number> {
  let bytes = 0;
  const { bytes: stream, done } = open(image);
  for await (const chunk of stream) bytes += chunk.length;
  await done;
  return bytes;
}

/** @throws Error where SHA256SUMS beside the image tells another digest */
async function checkSums(image: string): Promise<void> {
  const name = image.split("/").at(-1)!;
  const sums = await Deno.readTextFile(`${dirname(image)}/SHA256SUMS`).catch(() => null);
  const told = sums?.split("\n").map((line) => line.split("  ")).find(([, file]) => file === name)?.[0];
  if (told === undefined) return say(`no SHA256SUMS beside ${name}: its digest is not checked`);
  const found = await digestOf(image);
  if (found !== told) {
    throw new Error(`Cannot use ${image}: its SHA-256 is ${found}, and SHA256SUMS says ${told}`);
  }
  say(`${name} is the one of SHA256SUMS`);
}

/** @returns how many bytes, and their digest */
async function write(image: string, disk: string): Promise<{ bytes: number; digest: string }> {
  using file = await Deno.open(disk, { write: true });
  const hash = createHash("sha256");
  const { bytes: stream, done } = open(image);
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    bytes += chunk.length;
  }
  await done;
  await file.sync();
  return { bytes, digest: hash.digest("hex") };
}

/** Read past the cache, where the disk allows it; a file on some file systems does not. */
async function readBack(disk: string, bytes: number): Promise<string> {
  const read = async (flags: readonly string[]) => {
    const args = [
      `if=${disk}`,
      `bs=${CHUNK_BYTES}`,
      `count=${bytes}`,
      `iflag=${flags.join(",")}`,
      "status=none",
    ];
    const child = new Deno.Command("dd", { args, stdout: "piped", stderr: "null" }).spawn();
    const hash = createHash("sha256");
    for await (const chunk of child.stdout) hash.update(chunk);
    return (await child.status).success ? hash.digest("hex") : null;
  };
  const found = await read(["direct", "count_bytes", "fullblock"]) ??
    await read(["count_bytes", "fullblock"]);
  if (found === null) throw new Error(`Cannot read ${disk} back`);
  return found;
}

function confirmed(disk: DiskFacts): boolean {
  if (!Deno.stdin.isTerminal()) {
    throw new TypeError("Cannot ask: there is no terminal; --yes goes on without asking");
  }
  return confirm(
    `${disk.path} (${disk.model?.trim() ?? disk.kind}, ${megabytes(disk.bytes)}) will be overwritten. Go on?`,
  );
}

/** @throws TypeError with every reason against it, before anything is written */
export async function flash(
  path: string,
  image: string,
  { yes, anySize }: { readonly yes: boolean; readonly anySize: boolean },
): Promise<void> {
  await Deno.stat(image).catch((error) => {
    throw new TypeError(`Cannot read ${image}: ${reasonOf(error)}`, { cause: error });
  });
  const disk = await look(path);
  const imageBytes = disk.kind === null ? 0 : await sizeOf(image);
  const faults = diskFaults(disk, { imageBytes, bytesMax: anySize ? Infinity : BYTES_MAX });
  if (faults.length > 0) throw new TypeError(faults.join("\n"));
  await checkSums(image);
  if (!yes && !confirmed(disk)) throw new TypeError(`Cannot go on: ${path} was not to be overwritten`);
  const { bytes, digest } = await write(image, path);
  const back = await readBack(path, bytes);
  if (back !== digest) throw new Error(`Cannot trust ${path}: it was given ${digest} and gives back ${back}`);
  say(`${megabytes(bytes)} written to ${path} and read back, SHA-256 ${digest.slice(0, 16)}...`);
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      image: { type: "string" },
      yes: { type: "boolean" },
      "any-size": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help || positionals.length === 0) return console.log(HELP);
  if (positionals.length > 1) throw new TypeError(`Cannot write to ${positionals.length} disks: name one`);
  const image = values.image ?? `${TOP}/dist/remediate.img.zst`;
  await flash(positionals[0]!, image, { yes: values.yes ?? false, anySize: values["any-size"] ?? false });
}

if (import.meta.main) {
  await main(Deno.args).catch((error) => {
    console.error(reasonOf(error));
    Deno.exit(error instanceof TypeError ? 2 : 1);
  });
}
