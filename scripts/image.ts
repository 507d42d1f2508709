/**
 * Duty: makes the disk image of the appliance out of appliance/image, Debian's packages and the program.
 *
 * Everything lands in dist/: the image, its digest. What it needs on the machine is part `image` of scripts/setup; it is
 * run as root, for the files of a root file system belong to root.
 */
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { describeProblem, parseConfig } from "../appliance/config.ts";
import { matchFault } from "../appliance/config_match.ts";
import { reasonOf } from "../drivers/reason.ts";
import { buildUnpacked } from "./build.ts";
import { encodeCopy, FRESH } from "../appliance/update/boot_state.ts";
import { VERSION } from "../appliance/version.ts";
import { addVerity, makeInitrd, slotArguments } from "./image/boot.ts";
import { type BundleParts, makeBundle } from "./image/bundle.ts";
import { ownSigner, type Signer } from "./image/keys.ts";
import { fat, makeDisk, makeGrub } from "./image/disk.ts";
import { digestOf } from "./image/digest.ts";
import { gatherRoot, rootFaults } from "./image/judge.ts";
import { kernelArguments, readKeys, secureEsp } from "./image/secure.ts";
import { rootSizes, sbomOf, sizeReport, writeSums } from "./image/release.ts";
import { makeRoot, makeSquashfs, packagesTar, type Places, type Root } from "./image/root.ts";
import { run, shell } from "./image/run.ts";

const TOP = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const CACHE = `${TOP}/.cache/image`;
const HELP =
  `Usage: ./scripts/deno task image [--config FILE] [--output FILE] [--fresh] [--raw] [--no-bundle] [--version V]
                                   [--twice]
                                   [--key FILE --cert FILE --keyring FILE] [--sums-key FILE]
                                   [--secure-boot --keys DIR]

Makes dist/remediate.img.zst, a disk that starts by UEFI and by BIOS, and dist/remediate-VERSION.raucb, by which machines
that run it are brought up to it; beside them the list of what is in it (CycloneDX), a report on sizes, SHA256SUMS, and its
signature.

  --config FILE  a configuration that a new machine starts with
  --output FILE  the raw image, without .zst at its end (default dist/remediate.img)
  --fresh        fetch Debian's packages anew
  --raw          leave it uncompressed
  --no-bundle    the disk alone
  --version V    call it so (default that of the program)
  --key FILE     the key that signs the bundle, with --cert its certificate and --keyring the authorities
                 that the image believes; without them throw-away ones of this checkout (.cache/image/keys)
  --sums-key FILE  sign SHA256SUMS with this Ed25519 key (PEM), as SHA256SUMS.sig
  --twice        build a second time and compare, byte for byte
  --secure-boot  the edition for Secure Boot, UEFI alone; signatures hold the time, so two builds differ in them
  --keys DIR     its keys: PK, KEK and db, each as NAME.key and NAME.crt (PEM)
`;

interface Wish {
  readonly config: string | null;
  readonly output: string;
  readonly fresh: boolean;
  readonly raw: boolean;
  readonly bundle: boolean;
  /** Signs the digests: a private key in PEM. */
  readonly sumsKey: string | null;
  readonly twice: boolean;
  /** Where the keys of the edition for Secure Boot are; null: the edition with GRUB. */
  readonly secure: string | null;
  readonly version: string;
  /** Null: that of this checkout. */
  readonly signer: Signer | null;
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
  await Deno.writeFile(state, encodeCopy({ round: 0, state: FRESH }));
  const config = `${places.cache}/grub.cfg`;
  await Deno.copyFile(`${TOP}/appliance/image/boot/grub.cfg`, config);
  // The copies lie apart, with the loader between them: a disk rewrites blocks that are larger than a copy.
  const files = new Map([
    ["remediate/state.1", state],
    ["EFI/BOOT/BOOTX64.EFI", efi],
    ["remediate/grub.cfg", config],
    ["remediate/state.2", state],
  ]);
  await fat(file, { label: "ESP", mib: 64, files, epoch: places.epoch });
  return file;
}

async function build(wish: Wish, epoch: number): Promise<Made> {
  const cache = CACHE;
  const places: Places = { top: TOP, cache, epoch };
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
  const signer = wish.signer ?? await ownSigner(`${cache}/keys`);
  await shell(`mkdir -p "$1/etc/rauc"; cp "$2" "$1/etc/rauc/keyring.pem"`, root.path, signer.keyring);
  const faults = rootFaults(await gatherRoot(root.path));
  if (faults.length > 0) throw new Error(`Cannot publish this root:\n${faults.join("\n")}`);
  const initrd = await makeInitrd(TOP, root, cache, places.epoch);
  const squashfs = `${cache}/rootfs.img`;
  await makeSquashfs(root.path, squashfs, places.epoch);
  const verity = await addVerity(squashfs);
  say("disk");
  const slot = `${cache}/slot.cfg`;
  await Deno.writeTextFile(
    slot,
    `set slot_version="${wish.version}"\nset slot_arguments="${slotArguments(verity)}"\n`,
  );
  const boot = await makeBoot(
    places,
    new Map([["vmlinuz", root.vmlinuz], ["initrd", initrd], ["slot.cfg", slot]]),
  );
  if (wish.bundle) await bundleOf(wish, signer, { rootfs: squashfs, boot, epoch: places.epoch });
  const { efi, core, boot: code } = await makeGrub(cache);
  const words = slotArguments(verity);
  const esp = wish.secure === null
    ? await makeEsp(places, efi)
    : await makeSecureEsp(places, wish.secure, { vmlinuz: root.vmlinuz, initrd, words });
  const filled = new Map([["esp", esp], ["boot-a", boot], ["rootfs-a", squashfs]]);
  await makeDisk(wish.output, { filled, core, boot: code, seed: verity.hash });
  return { root, parts: { kernel: root.vmlinuz, initrd, root: squashfs, esp, boot } };
}

async function bundleOf(
  { output, version }: Wish,
  signer: Signer,
  parts: Omit<BundleParts, "version">,
): Promise<void> {
  const bundle = `${dirname(output)}/remediate-${version}.raucb`;
  await makeBundle(bundle, { version, ...parts }, signer);
  say(`${bundle}: ${((await Deno.stat(bundle)).size / 1e6).toFixed(0)} MB, signed by ${signer.certificate}`);
}

async function makeSecureEsp(
  { cache, epoch }: Places,
  directory: string,
  { vmlinuz, initrd, words }: { vmlinuz: string; initrd: string; words: string },
): Promise<string> {
  const file = `${cache}/esp.fat`;
  const more = kernelArguments(await Deno.readTextFile(`${TOP}/appliance/image/boot/grub.cfg`));
  const commandLine = `remediate.slot=a ${words} ${more}`;
  const keys = await readKeys(directory);
  const files = await secureEsp({ cache, keys, epoch, vmlinuz, initrd, commandLine });
  await fat(file, { label: "ESP", mib: 64, files, epoch });
  return file;
}

interface Made {
  readonly root: Root;
  readonly parts: Readonly<Record<string, string>>;
}

/** Everything of one directory that is published together. */
async function finish({ output, raw, sumsKey }: Wish, { root, parts }: Made): Promise<void> {
  const made = raw ? output : `${output}.zst`;
  if (!raw) await run(["zstd", "-q", "-f", "-T2", "-10", "--rm", output, "-o", made]);
  const directory = dirname(made), name = made.split("/").at(-1)!;
  await Deno.writeTextFile(
    `${directory}/${name}.cdx.json`,
    `${JSON.stringify(await sbomOf(TOP, root), null, 1)}\n`,
  );
  const sizes = await Promise.all(
    Object.entries({ ...parts, [name]: made }).map(async ([what, file]) => ({
      what,
      bytes: (await Deno.stat(file)).size,
    })),
  );
  await Deno.writeTextFile(`${directory}/${name}.sizes.txt`, sizeReport(sizes, await rootSizes(root.path)));
  await writeSums(directory, [name, `${name}.cdx.json`, `${name}.sizes.txt`], sumsKey);
  const digest = await digestOf(made);
  say(`${made}: ${((await Deno.stat(made)).size / 1e6).toFixed(0)} MB, SHA-256 ${digest.slice(0, 16)}...`);
  if (sumsKey === null) say("SHA256SUMS is not signed: --sums-key FILE signs it");
}

/** Builds once more beside it. @throws Error naming what differs */
async function compare(wish: Wish, epoch: number, first: Made): Promise<void> {
  const files = { ...first.parts, disk: wish.output };
  const before = new Map<string, string>();
  for (const [what, file] of Object.entries(files)) before.set(what, await digestOf(file));
  say("all of it once more");
  await build(wish, epoch);
  const differing: string[] = [];
  for (const [what, file] of Object.entries(files)) {
    if (await digestOf(file) !== before.get(what)) differing.push(what);
  }
  if (differing.length > 0) throw new Error(`Cannot build the same twice: ${differing.join(", ")} differ`);
  say(`two builds are equal byte for byte: ${[...before.keys()].join(", ")}`);
}

function secureWish(secure: boolean, keys: string | undefined): string | null {
  if (secure !== (keys !== undefined)) {
    throw new TypeError("Cannot sign for Secure Boot: --secure-boot and --keys go together");
  }
  return keys ?? null;
}

function readWish(args: string[]): Wish | null {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: "string" },
      output: { type: "string" },
      fresh: { type: "boolean" },
      raw: { type: "boolean" },
      "no-bundle": { type: "boolean" },
      "sums-key": { type: "string" },
      twice: { type: "boolean" },
      "secure-boot": { type: "boolean" },
      keys: { type: "string" },
      version: { type: "string" },
      key: { type: "string" },
      cert: { type: "string" },
      keyring: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return null;
  return {
    config: values.config ?? null,
    output: values.output ?? `${TOP}/dist/remediate.img`,
    fresh: values.fresh ?? false,
    raw: values.raw ?? false,
    bundle: !values["no-bundle"],
    sumsKey: values["sums-key"] ?? null,
    twice: values.twice ?? false,
    secure: secureWish(values["secure-boot"] ?? false, values.keys),
    version: values.version ?? VERSION,
    signer: signerOf(values),
  };
}

/** @throws TypeError: some are missing */
function signerOf({ key, cert, keyring }: { key?: string; cert?: string; keyring?: string }): Signer | null {
  if (key === undefined && cert === undefined && keyring === undefined) return null;
  if (key !== undefined && cert !== undefined && keyring !== undefined) {
    return { key, certificate: cert, keyring };
  }
  throw new TypeError("Cannot sign the bundle: --key, --cert and --keyring are given together or not at all");
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
  await Deno.mkdir(CACHE, { recursive: true });
  // Two builds at once would mix their files.
  using lock = await Deno.open(`${CACHE}/lock`, { write: true, create: true });
  await lock.lock(true);
  const epoch = await epochOf(TOP);
  const made = await build(wish, epoch);
  if (wish.twice) await compare(wish, epoch, made);
  await finish(wish, made);
}

if (import.meta.main) {
  await main(Deno.args).catch((error) => {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(error instanceof TypeError ? 2 : 1);
  });
}
