/**
 * Duty: one disk that starts by UEFI and by BIOS, without mounting anything.
 *
 *   bios 1 MiB | esp 64 | boot-a 64 | boot-b 64 | rootfs-a 512 | rootfs-b 512 | data, grown at the first start
 *
 * BIOS reads the first sector, which names the sector where GRUB's core begins; the core's first sector names the rest of
 * itself. Both numbers are written here, as grub-bios-setup would write them (GRUB manual, "BIOS installation").
 */
import { run, shell } from "./run.ts";

const MIB = 1 << 20;
const SECTOR_BYTES = 512;
/** Offsets in GRUB's boot.img and in the first sector of its core. */
const KERNEL_SECTOR_AT = 0x5c;
const BLOCKLIST_AT = 0x1f4;
const CODE_BYTES = 440;

export interface Partition {
  readonly name: string;
  readonly mib: number;
  /** GPT type. */
  readonly type: string;
}

const LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
export const PARTITIONS: readonly Partition[] = [
  { name: "bios", mib: 1, type: "21686148-6449-6E6F-744E-656564454649" },
  { name: "esp", mib: 64, type: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" },
  { name: "boot-a", mib: 64, type: LINUX },
  { name: "boot-b", mib: 64, type: LINUX },
  { name: "rootfs-a", mib: 512, type: LINUX },
  { name: "rootfs-b", mib: 512, type: LINUX },
  { name: "data", mib: 128, type: LINUX },
];

/** First MiB of each partition; the first one of the disk holds the table. */
export function layout(): ReadonlyMap<string, { readonly firstMib: number; readonly mib: number }> {
  let firstMib = 1;
  return new Map(PARTITIONS.map(({ name, mib }) => {
    const found = { firstMib, mib };
    firstMib += mib;
    return [name, found];
  }));
}

/** A name of the kind the table wants, made from `seed` and `what`, so that two builds have the same. */
async function uuid(seed: string, what: string): Promise<string> {
  const bytes = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${seed} ${what}`)),
  );
  return bytes.toHex().replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5");
}

async function table(seed: string): Promise<string> {
  const lines = ["label: gpt", `label-id: ${await uuid(seed, "disk")}`];
  for (const { name, type } of PARTITIONS) {
    const { firstMib, mib } = layout().get(name)!;
    lines.push(
      `start=${firstMib}MiB, size=${mib}MiB, type=${type}, name=${name}, uuid=${await uuid(seed, name)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

async function writeAt(disk: string, offset: number, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(disk, { write: true });
  await file.seek(offset, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** Puts a file where a partition lies. @throws RangeError when it is too large */
export async function fill(disk: string, name: string, file: string): Promise<void> {
  const { firstMib, mib } = layout().get(name)!;
  const { size } = await Deno.stat(file);
  if (size > mib * MIB) {
    throw new RangeError(`Cannot put ${file} into ${name}: ${size} bytes, and it has ${mib} MiB`);
  }
  await run([
    "dd",
    `if=${file}`,
    `of=${disk}`,
    "bs=1M",
    `seek=${firstMib}`,
    "conv=notrunc,sparse",
    "status=none",
  ]);
}

/** A FAT file system with these files; equal for equal files. */
export async function fat(file: string, options: {
  readonly label: string;
  readonly mib: number;
  readonly files: ReadonlyMap<string, string>;
  readonly epoch: number;
}): Promise<void> {
  const { label, mib, files, epoch } = options;
  await shell(
    `rm -f "$1"; truncate -s "$2M" "$1"
     SOURCE_DATE_EPOCH=$4 mkfs.vfat -F 32 --invariant -n "$3" "$1" >/dev/null`,
    file,
    String(mib),
    label,
    String(epoch),
  );
  const folders = new Set([...files.keys()].flatMap((name) => {
    const parts = name.split("/").slice(0, -1);
    return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
  }));
  const env = { SOURCE_DATE_EPOCH: String(epoch), MTOOLS_SKIP_CHECK: "1" };
  for (const folder of folders) await run(["mmd", "-i", file, `::${folder}`], { env });
  for (const [name, from] of files) {
    await shell(`touch -d "@$2" "$1"`, from, String(epoch));
    await run(["mcopy", "-m", "-i", file, from, `::${name}`], { env });
  }
}

const MODULES =
  "part_gpt fat normal linux configfile search search_label search_fs_file regexp loadenv test echo serial " +
  "terminal sleep reboot halt all_video minicmd cat ls";

/** GRUB for both kinds of firmware. Its own first lines only look for the ESP: they run in a parser that knows no more. */
export async function makeGrub(cache: string): Promise<{ efi: string; core: string; boot: string }> {
  const first = `${cache}/grub-first.cfg`;
  await Deno.writeTextFile(
    first,
    "search --no-floppy --set=root --file /remediate/grub.cfg\nconfigfile ($root)/remediate/grub.cfg\n",
  );
  const make = async (format: string, output: string, more: string) => {
    await run([
      "grub-mkimage",
      "-O",
      format,
      "-o",
      output,
      "-p",
      "/remediate",
      "-c",
      first,
      ...MODULES.split(" "),
      ...more.split(" "),
    ]);
    return output;
  };
  return {
    efi: await make("x86_64-efi", `${cache}/bootx64.efi`, "efi_gop efi_uga"),
    core: await make("i386-pc", `${cache}/core.img`, "biosdisk vbe"),
    boot: "/usr/lib/grub/i386-pc/boot.img",
  };
}

async function writeBios(disk: string, core: string, boot: string): Promise<void> {
  const first = layout().get("bios")!.firstMib * MIB / SECTOR_BYTES;
  const [code, body] = [await Deno.readFile(boot), await Deno.readFile(core)];
  if (body.length > layout().get("bios")!.mib * MIB) {
    throw new RangeError(`Cannot use ${core}: it has ${body.length} bytes`);
  }
  new DataView(code.buffer).setBigUint64(KERNEL_SECTOR_AT, BigInt(first), true);
  /* What a BIOS expects of a hard disk; as grub-bios-setup does for one. */
  code.set([0x90, 0x90], 0x66);
  new DataView(body.buffer).setBigUint64(BLOCKLIST_AT, BigInt(first + 1), true);
  await writeAt(disk, 0, code.subarray(0, CODE_BYTES));
  await writeAt(disk, first * SECTOR_BYTES, body);
}

export interface DiskParts {
  /** From partition to the file that fills it. */
  readonly filled: ReadonlyMap<string, string>;
  readonly core: string;
  readonly boot: string;
  /** Names in the table are made from it. */
  readonly seed: string;
}

export async function makeDisk(disk: string, { filled, core, boot, seed }: DiskParts): Promise<void> {
  const mib = PARTITIONS.reduce((sum, one) => sum + one.mib, 2);
  await shell(`rm -f "$1"; truncate -s "$2M" "$1"`, disk, String(mib));
  await run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk], {
    input: new TextEncoder().encode(await table(seed)),
  });
  for (const [name, file] of filled) await fill(disk, name, file);
  await writeBios(disk, core, boot);
}
