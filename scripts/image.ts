/**
 * Duty: makes the disk image of the appliance out of appliance/image, Debian's packages and the program.
 *
 * Everything lands in dist/: the image, its digest. What it needs on the machine is part `image` of scripts/setup; it is
 * run as root, for the files of a root file system belong to root.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { describeProblem, parseConfig } from "../appliance/config.ts";
import { matchFault } from "../appliance/config_match.ts";
import { reasonOf } from "../drivers/reason.ts";
import { buildUnpacked } from "./build.ts";
import { addVerity, makeInitrd, slotArguments } from "./image/boot.ts";
import { fat, makeDisk, makeGrub } from "./image/disk.ts";
import { makeRoot, makeSquashfs, packagesTar, type Places } from "./image/root.ts";
import { run, shell } from "./image/run.ts";

const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const HELP = `Usage: ./scripts/deno task image [--config FILE] [--output FILE] [--fresh] [--raw]

Makes dist/remediate.img.zst, a disk that starts by UEFI and by BIOS.

  --config FILE  a configuration that a new machine starts with
  --output FILE  the raw image, without .zst at its end (default dist/remediate.img)
  --fresh        fetch Debian's packages anew
  --raw          leave it uncompressed
`;

interface Wish {
  readonly config: string | null;
  readonly output: string;
  readonly fresh: boolean;
  readonly raw: boolean;
}

const say = (text: string) => console.error(`image: ${text}`);

/** Of the last commit: what is built from it does not depend on when. */
async function epochOf(top: string): Promise<number> {
  const given = Deno.env.get("SOURCE_DATE_EPOCH");
  if (given !== undefined) return Number(given);
  return Number(await run(["git", "-C", top, "log", "-1", "--format=%ct"]).catch(() => "1767225600"));
}

/** The slot's own file system for the boot loader. */
async function makeBoot(places: Places, files: ReadonlyMap<string, string>): Promise<string> {
  const file = `${places.cache}/boot.fat`;
  await fat(file, { label: "BOOT", mib: 64, files, epoch: places.epoch });
  return file;
}

async function makeEsp(places: Places, efi: string): Promise<string> {
  const file = `${places.cache}/esp.fat`;
  const state = `${places.cache}/state`;
  await run(["grub-editenv", state, "create"]);
  await run(["grub-editenv", state, "set", "first=a", "a_tries=3", "b_tries=0", "good=a"]);
  const config = `${places.cache}/grub.cfg`;
  await Deno.copyFile(`${TOP}/appliance/image/boot/grub.cfg`, config);
  const files = new Map([
    ["EFI/BOOT/BOOTX64.EFI", efi],
    ["remediate/grub.cfg", config],
    ["remediate/state.1", state],
    ["remediate/state.2", state],
  ]);
  await fat(file, { label: "ESP", mib: 64, files, epoch: places.epoch });
  return file;
}

async function build(wish: Wish): Promise<void> {
  const cache = `${TOP}/.cache/image`;
  await Deno.mkdir(cache, { recursive: true });
  const places: Places = { top: TOP, cache, epoch: await epochOf(TOP) };
  say("packages of Debian");
  const tar = await packagesTar(places, wish.fresh);
  say("the program");
  await buildUnpacked(`${cache}/program`);
  say("root file system");
  const root = await makeRoot(places, tar, `${cache}/program`);
  if (wish.config !== null) {
    await shell(
      `mkdir -p "$1"; cp "$2" "$1/remediate.toml"`,
      `${root.path}/usr/share/remediate`,
      wish.config,
    );
  }
  const initrd = await makeInitrd(TOP, root, cache, places.epoch);
  const squashfs = `${cache}/rootfs.img`;
  await makeSquashfs(root.path, squashfs, places.epoch);
  const verity = await addVerity(squashfs);
  say("disk");
  const slot = `${cache}/slot.cfg`;
  await Deno.writeTextFile(slot, `set slot_arguments="${slotArguments(verity)}"\n`);
  const boot = await makeBoot(
    places,
    new Map([["vmlinuz", root.vmlinuz], ["initrd", initrd], ["slot.cfg", slot]]),
  );
  const { efi, core, boot: code } = await makeGrub(cache);
  const esp = await makeEsp(places, efi);
  const filled = new Map([["esp", esp], ["boot-a", boot], ["rootfs-a", squashfs]]);
  await makeDisk(wish.output, { filled, core, boot: code, seed: verity.hash });
  await finish(wish);
}

async function finish({ output, raw }: Wish): Promise<void> {
  const made = raw ? output : `${output}.zst`;
  if (!raw) await run(["zstd", "-q", "-f", "-T2", "-10", "--rm", output, "-o", made]);
  const digest = createHash("sha256").update(await Deno.readFile(made)).digest("hex");
  await Deno.writeTextFile(`${made}.sha256`, `${digest}  ${made.split("/").at(-1)}\n`);
  say(`${made}: ${((await Deno.stat(made)).size / 1e6).toFixed(0)} MB, SHA-256 ${digest.slice(0, 16)}...`);
}

function readWish(args: string[]): Wish | null {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: "string" },
      output: { type: "string" },
      fresh: { type: "boolean" },
      raw: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return null;
  return {
    config: values.config ?? null,
    output: values.output ?? `${TOP}/dist/remediate.img`,
    fresh: values.fresh ?? false,
    raw: values.raw ?? false,
  };
}

/** A machine that starts with a configuration it cannot read protects nobody. @throws TypeError with every problem */
async function judgeConfig(path: string): Promise<void> {
  const text = await Deno.readTextFile(path).catch((error) => {
    throw new TypeError(`Cannot read the configuration ${path}: ${reasonOf(error)}`, { cause: error });
  });
  const { problems } = parseConfig(text, path, { matchFault });
  if (problems.length > 0) throw new TypeError(problems.map(describeProblem).join("\n"));
}

async function main(args: string[]): Promise<void> {
  const wish = readWish(args);
  if (wish === null) return console.log(HELP);
  if (Deno.uid() !== 0) throw new Error("Cannot make an image: its files belong to root, so it needs root");
  if (wish.config !== null) await judgeConfig(wish.config);
  await Deno.mkdir(dirname(wish.output), { recursive: true });
  await build(wish);
}

if (import.meta.main) {
  await main(Deno.args).catch((error) => {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(error instanceof TypeError ? 2 : 1);
  });
}
