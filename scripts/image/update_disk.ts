/**
 * Duty: a disk for the tests of updates: the image, a data partition with room, bundles good and bad on it, and a token.
 *
 * Bundles that have to start hold the image's own file system under other boot files; those that are refused hold next to
 * nothing, for nobody reads that far.
 */
import { createHash } from "node:crypto";
import { writeAccounts } from "../../ui/access/accounts.ts";
import { ownIdentity } from "../../ui/access/certificate.ts";
import { type BundleParts, makeBundle } from "./bundle.ts";
import { fat, layout } from "./disk.ts";
import { makeAuthority, ownSigner, type Signer } from "./keys.ts";
import { run, shell } from "./run.ts";

/** Versions of the bundles on the disk, by what is wrong with them. */
export const BUNDLES = {
  good: "0.9.1",
  next: "0.9.2",
  old: "0.0.1",
  panics: "0.9.3",
  gate: "0.9.4",
  board: "0.9.5",
  stranger: "0.9.6",
  expired: "0.9.7",
  truncated: "0.9.8",
} as const;
export type BundleName = keyof typeof BUNDLES;

export interface UpdateDisk {
  readonly disk: string;
  /** The same without a free block on its data partition. */
  readonly full: string;
  readonly token: string;
  /** SHA-256 of each bundle, hexadecimal. */
  readonly digests: Readonly<Record<BundleName, string>>;
}

interface Built {
  /** Of the build: rootfs.img, vmlinuz, initrd.img, slot.cfg, keys. */
  readonly cache: string;
  readonly image: string;
  /** Path of the configuration that it starts with. */
  readonly config: string;
  readonly directory: string;
}

/** For a kernel in an emulator: it spares itself what guards against other programs, and a test that fails there. */
const EMULATED = "no_timer_check mitigations=off";
const DATA_MIB = 1536;
const MORE_MIB = 64;
const MIB = 2 ** 20;

async function bootFiles({ cache, directory }: Built, name: string, slot: string): Promise<string> {
  const config = `${directory}/slot.cfg`, file = `${directory}/${name}.fat`;
  await Deno.writeTextFile(config, slot);
  const files = new Map([["vmlinuz", `${cache}/vmlinuz`], ["initrd", `${cache}/initrd.img`], [
    "slot.cfg",
    config,
  ]]);
  await fat(file, { label: "BOOT", mib: 64, files, epoch: 1_767_225_600 });
  return file;
}

function withWords(slot: string, words: string): string {
  return slot.replace(/(remediate\.blocks=\d+)/, `$1 ${words}`);
}

/** What is written into slot.cfg of a bundle. */
function slotText(name: BundleName, own: string): string {
  const text = own.replace(/^set slot_version=.*$/m, `set slot_version="${BUNDLES[name]}"`);
  const more = (words: string) => withWords(text, `${EMULATED} ${words}`);
  // A root whose hash is another one cannot be opened: the start ends in the initrd.
  if (name === "panics") return text.replace(/remediate\.hash=[0-9a-f]{8}/, "remediate.hash=00000000");
  // Everything starts but the node.
  if (name === "gate") return more("systemd.mask=remediate.service remediate.deadline=30");
  // Without virtualisation, beside other work, a start takes minutes.
  return more("remediate.deadline=900");
}

/** The own one, one of an authority that nobody believes, and one whose certificate has ended. */
export async function signers(
  { cache, directory }: Pick<Built, "cache" | "directory">,
): Promise<Record<"own" | "expired" | "stranger", Signer>> {
  const own = await ownSigner(`${cache}/keys`);
  await makeAuthority(`${directory}/stranger`, "now", 10);
  const stranger = {
    ...own,
    key: `${directory}/stranger/now.key`,
    certificate: `${directory}/stranger/now.crt`,
  };
  // The same signer with a certificate of the same authority that ended yesterday.
  const late = `${directory}/late`;
  await shell(
    `mkdir -p "$2"; cd "$2"; : >index.txt; echo 4242 >serial
     printf '%s\\n' '[ca]' default_ca=d '[d]' database=index.txt serial=serial new_certs_dir=. default_md=sha256 policy=p \\
       '[p]' organizationName=optional commonName=supplied '[x]' basicConstraints=critical,CA:FALSE \\
       keyUsage=critical,digitalSignature extendedKeyUsage=critical,codeSigning subjectKeyIdentifier=hash \\
       authorityKeyIdentifier=keyid >ca.cnf
     openssl req -new -key "$1/now.key" -subj "/O=Remediate/CN=late signer" -out late.csr
     openssl ca -batch -config ca.cnf -extensions x -cert "$1/now.ca.crt" -keyfile "$1/now.ca.key" -in late.csr \\
       -startdate 20200101000000Z -enddate 20200201000000Z -out late.crt -notext`,
    `${cache}/keys`,
    late,
  );
  return { own, stranger, expired: { ...own, certificate: `${late}/late.crt` } };
}

async function makeBundles(built: Built, data: string): Promise<Record<BundleName, string>> {
  const { cache, directory } = built, by = await signers(built);
  const own = await Deno.readTextFile(`${cache}/slot.cfg`);
  const tiny = `${directory}/tiny.img`;
  await shell(`head -c 1048576 "$1/rootfs.img" >"$2"`, cache, tiny);
  const digests = {} as Record<BundleName, string>;
  for (const name of Object.keys(BUNDLES) as BundleName[]) {
    const full = ["good", "next", "gate"].includes(name);
    const parts: BundleParts = {
      version: BUNDLES[name],
      rootfs: full ? `${cache}/rootfs.img` : tiny,
      boot: full || name === "panics" ? await bootFiles(built, name, slotText(name, own)) : tiny,
      epoch: 1_767_225_600,
      ...(name === "board" && { compatible: "another-board" }),
    };
    const file = `${data}/update/${name}.raucb`;
    await makeBundle(file, parts, by[name === "expired" || name === "stranger" ? name : "own"]);
    if (name === "truncated") await Deno.truncate(file, Math.floor((await Deno.stat(file)).size / 2));
    digests[name] = createHash("sha256").update(await Deno.readFile(file)).digest("hex");
  }
  return digests;
}

/** Disks that are ready to start: one whose data partition has room and still has to grow, one on which not a block is free. */
export async function makeUpdateDisk(built: Built): Promise<UpdateDisk> {
  const { directory, image, config } = built;
  const disk = `${directory}/disk.img`, full = `${directory}/full.img`, data = `${directory}/data`;
  await shell(`rm -rf "$1"; mkdir -p "$1/update" "$1/etc" "$1/state"`, data);
  const digests = await makeBundles(built, data);
  const id = "0123456789ab", secret = "0123456789".repeat(5).slice(0, 43);
  const hash = createHash("sha256").update(secret).digest("base64url");
  const token = { id, name: "test", role: "admin" as const, createdMs: 0, expiresMs: null, hash };
  await Deno.writeTextFile(`${data}/etc/machine.conf`, "hugepages = 0\n");
  await Deno.writeTextFile(`${data}/state/access.json`, writeAccounts({ users: [], tokens: [token] }));
  await placeData(image, disk, data);
  await shell(`truncate -s "+$2M" "$1"`, disk, String(MORE_MIB));
  // What a machine has made of its own before its disk was full.
  await Deno.copyFile(config, `${data}/etc/remediate.toml`);
  ownIdentity(`${data}/state/api.pem`, { name: "update", names: [], nowMs: Date.now() });
  await placeData(image, full, data);
  // What does not fit is left out, which is meant; zeroes would take no room.
  await shell(
    `head -c "$3M" /dev/zero | tr '\\0' x >"$2.filler"
     debugfs -w -R "write $2.filler filler" "$2?offset=$1" >/dev/null 2>&1; rm "$2.filler" -r "$4"
     debugfs -R stats "$2?offset=$1" 2>/dev/null | grep -q '^Free blocks: *0$'`,
    String(layout().get("data")!.firstMib * MIB),
    full,
    String(DATA_MIB),
    data,
  );
  for (const one of [disk, full]) await emulate(one, `${directory}/slot.cfg`);
  await run(["sync", disk, full]);
  return { disk, full, token: `rmt_${id}_${secret}`, digests };
}

/** Slot A as a kernel in an emulator likes it. */
async function emulate(disk: string, slot: string): Promise<void> {
  const at = `${disk}@@${layout().get("boot-a")!.firstMib}M`, env = { MTOOLS_SKIP_CHECK: "1" };
  await run(["mcopy", "-n", "-o", "-i", at, "::slot.cfg", slot], { env });
  await Deno.writeTextFile(slot, withWords(await Deno.readTextFile(slot), EMULATED));
  await run(["mcopy", "-o", "-i", at, slot, "::slot.cfg"], { env });
}

/** The image with a larger last partition, and in it a file system as large as that with these files. */
async function placeData(image: string, disk: string, data: string): Promise<void> {
  const { firstMib } = layout().get("data")!;
  await shell(
    `cp --sparse=always "$1" "$2"; truncate -s "$3M" "$2"
     sfdisk --quiet --relocate gpt-bak-std "$2"; echo ", +" | sfdisk --quiet --no-reread -N 7 "$2"
     sectors=$(sfdisk -d "$2" | sed -n 's/.*size= *\\([0-9]*\\),.*name="data".*/\\1/p')
     mke2fs -q -t ext4 -b 4096 -L data -d "$4" -E "offset=$5,root_owner=0:0" "$2" $((sectors / 8))`,
    image,
    disk,
    String(firstMib + DATA_MIB + 1),
    data,
    String(firstMib * MIB),
  );
}
