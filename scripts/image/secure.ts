/**
 * Duty: the disk for Secure Boot: a signed systemd-boot and a signed unified kernel image that holds the root's hash.
 *
 *   firmware --db key--> systemd-boot --db key--> kernel + initrd + command line --root hash--> dm-verity
 *
 * So nothing runs that was not signed, down to the last block. The keys are the operator's: PK owns the machine, KEK may
 * change db, db signs what starts. A machine in set-up mode is given them by systemd-boot from the ESP, at its first start.
 */
import { run } from "./run.ts";

export const KEY_NAMES = ["PK", "KEK", "db"] as const;
type KeyName = (typeof KEY_NAMES)[number];

/** Files of one key: private key and certificate, PEM. */
type KeyFiles = Readonly<Record<KeyName, { readonly key: string; readonly certificate: string }>>;

const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const PAGE_BYTES = 4096;

/** @throws TypeError naming every file that is missing */
export async function readKeys(directory: string): Promise<KeyFiles> {
  const missing: string[] = [];
  const files = KEY_NAMES.map((name) => {
    return [name, { key: `${directory}/${name}.key`, certificate: `${directory}/${name}.crt` }] as const;
  });
  for (const path of files.flatMap(([, { key, certificate }]) => [key, certificate])) {
    if (!await Deno.stat(path).then(({ isFile }) => isFile, () => false)) missing.push(path);
  }
  if (missing.length > 0) {
    throw new TypeError(
      `Cannot sign for Secure Boot: there is no ${missing.join(", ")}; see docs/appliance.md`,
    );
  }
  return Object.fromEntries(files) as KeyFiles;
}

/** What GRUB's script hands the kernel behind a slot's own words; one place says it. @throws Error where it does not */
export function kernelArguments(grub: string): string {
  const found = /\$slot_arguments +(ro [^;\n]*?) *(?:;|$)/m.exec(grub)?.[1];
  if (found === undefined) {
    throw new Error("Cannot find the kernel's arguments in appliance/image/boot/grub.cfg");
  }
  return found;
}

/** End of the last section of `objdump --section-headers`, rounded up to a page. */
export function sectionsEnd(headers: string): number {
  let end = 0;
  for (
    const [, size = "", address = ""] of headers.matchAll(/^ +\d+ \S+ +([0-9a-f]{8}) +([0-9a-f]{8,16})/gm)
  ) {
    end = Math.max(end, parseInt(address, 16) + parseInt(size, 16));
  }
  return Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
}

export interface KernelParts {
  readonly vmlinuz: string;
  readonly initrd: string;
  readonly commandLine: string;
}

/** One signed file that the firmware starts: kernel, initrd and command line behind systemd's stub. systemd-stub(7). */
async function makeKernel(cache: string, keys: KeyFiles, parts: KernelParts): Promise<string> {
  const release = `${cache}/uki-release`, words = `${cache}/uki-cmdline`;
  await Deno.writeTextFile(
    release,
    'ID=remediate\nNAME="Remediate"\nPRETTY_NAME="Remediate"\nVERSION_ID=a\n',
  );
  await Deno.writeTextFile(words, parts.commandLine);
  const sections = [[".osrel", release], [".cmdline", words], [".linux", parts.vmlinuz], [
    ".initrd",
    parts.initrd,
  ]];
  let at = sectionsEnd(await run(["objdump", "--section-headers", STUB]));
  const options: string[] = [];
  for (const [name, file] of sections) {
    options.push("--add-section", `${name}=${file}`, "--change-section-vma", `${name}=0x${at.toString(16)}`);
    at += Math.ceil((await Deno.stat(file!)).size / PAGE_BYTES) * PAGE_BYTES;
  }
  const plain = `${cache}/uki-plain.efi`, signed = `${cache}/uki.efi`;
  await run(["objcopy", ...options, STUB, plain]);
  return await signEfi(plain, signed, keys);
}

async function signEfi(from: string, to: string, { db }: KeyFiles): Promise<string> {
  await run(["sbsign", "--key", db.key, "--cert", db.certificate, "--output", to, from]);
  await run(["sbverify", "--cert", db.certificate, to]);
  return to;
}

/** The keys as the firmware takes them: each list signed by the key above it, PK by itself. UEFI 2.10, 8.2.2. */
async function makeEnrolment(
  cache: string,
  keys: KeyFiles,
  epoch: number,
): Promise<ReadonlyMap<string, string>> {
  const above: Readonly<Record<KeyName, KeyName>> = { PK: "PK", KEK: "PK", db: "KEK" };
  const owner = "7c1f5fd6-3f2c-4d6a-9a53-52454d454449";
  const time = new Date(epoch * 1000).toISOString().slice(0, 19);
  const files = new Map<string, string>();
  // systemd-boot takes those of the set "auto" without asking. loader.conf(5).
  for (const name of KEY_NAMES) {
    const list = `${cache}/${name}.esl`, signed = `${cache}/${name}.auth`;
    await run(["cert-to-efi-sig-list", "-g", owner, keys[name].certificate, list]);
    const { key, certificate } = keys[above[name]];
    await run([
      "sign-efi-sig-list",
      "-g",
      owner,
      "-t",
      time,
      "-k",
      key,
      "-c",
      certificate,
      name,
      list,
      signed,
    ]);
    files.set(`loader/keys/auto/${name}.auth`, signed);
  }
  return files;
}

export interface SecureParts extends KernelParts {
  /** Scratch; signed files stay there. */
  readonly cache: string;
  readonly keys: KeyFiles;
  readonly epoch: number;
}

/** Files of the ESP, by their place on it. */
export async function secureEsp(parts: SecureParts): Promise<ReadonlyMap<string, string>> {
  const { cache, keys, epoch } = parts;
  const config = `${cache}/loader.conf`;
  // Without the editor nobody adds words to the command line.
  await Deno.writeTextFile(config, "timeout 0\neditor no\nsecure-boot-enroll force\n");
  return new Map([
    ["EFI/BOOT/BOOTX64.EFI", await signEfi(LOADER, `${cache}/loader.efi`, keys)],
    ["EFI/Linux/remediate-a.efi", await makeKernel(cache, keys, parts)],
    ["loader/loader.conf", config],
    ...await makeEnrolment(cache, keys, epoch),
  ]);
}
