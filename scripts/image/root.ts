/**
 * Duty: the root file system of the image: Debian's packages, our tree over them, and the program.
 *
 * The packages alone are kept in a tar, named by their list, because they take most of the time. Everything behind that is
 * made anew. Times are those of the commit, so that two builds of one commit and one tar are equal.
 */
import { createHash } from "node:crypto";
import { readList, run, shell } from "./run.ts";
import { warmProgram } from "./warm.ts";

export const SUITE = "trixie";
/** The second one holds what makers of cards let everybody hand on, but not change. */
const COMPONENTS = "main,non-free-firmware";
const MIRROR = "http://deb.debian.org/debian";
const MIRROR_MS_MAX = 20_000;
/** Never on the machine, so never unpacked. */
const LEFT_OUT = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/lintian/*",
];
/** For all that licences ask to go with what they cover. */
const KEPT = ["/usr/share/doc/*/copyright"];

export interface Places {
  /** Top of the checkout. */
  readonly top: string;
  /** Where everything is kept between builds. */
  readonly cache: string;
  /** Seconds since the epoch that every file gets. */
  readonly epoch: number;
}

interface Wanted {
  readonly packages: readonly string[];
  /** Named by the list, wherever it is there already. */
  readonly tar: string;
}

async function wanted({ top, cache }: Pick<Places, "top" | "cache">): Promise<Wanted> {
  const packages = await readList(`${top}/appliance/image/packages`);
  const list = JSON.stringify([SUITE, COMPONENTS, packages, LEFT_OUT, KEPT]);
  const key = createHash("sha256").update(list).digest("hex").slice(0, 16);
  return { packages, tar: `${cache}/packages-${key}.tar` };
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

/** What an image cannot be made without: the mirror, where its packages are not kept yet. Empty: it can be made. */
export async function missingForImage(places: Pick<Places, "top" | "cache">): Promise<string> {
  if (await exists((await wanted(places)).tar)) return "";
  const url = `${MIRROR}/dists/${SUITE}/InRelease`;
  const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(MIRROR_MS_MAX) }).catch(() =>
    null
  );
  await answer?.body?.cancel();
  return answer?.ok ? "" : `${MIRROR}, which does not answer`;
}

/** The packages as a tar. Fetches them when their list changed, or `fresh`. @returns its path */
export async function packagesTar(places: Places, fresh: boolean): Promise<string> {
  const { packages, tar } = await wanted(places);
  if (!fresh && await exists(tar)) return tar;
  const part = tar.replace(/tar$/, "part.tar"); // the end of its name says what it shall be
  const paths = [
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    ...KEPT.map((path) => `--dpkgopt=path-include=${path}`),
  ];
  const include = `--include=${packages.join(",")}`;
  await run([
    "mmdebstrap",
    "--mode=root",
    "--variant=essential",
    `--components=${COMPONENTS}`,
    include,
    ...paths,
    SUITE,
    part,
    MIRROR,
  ]);
  await Deno.rename(part, tar);
  return tar;
}

/** Names are relative to /usr/lib/modules/VERSION/kernel. */
async function pruneModules(root: string, version: string, kept: readonly string[]): Promise<void> {
  const home = `${root}/usr/lib/modules/${version}`;
  const list = kept.map((name) => name.endsWith(".ko") ? `${name}.xz` : name).join("\n");
  await shell(
    `cd "$1/kernel"; keep=$(mktemp -d -p "$1"); while read -r name; do [ -e "$name" ] || continue
     mkdir -p "$keep/$(dirname "$name")"; mv "$name" "$keep/$name"; done <<<"$2"
     cd "$1"; rm -rf kernel; mv "$keep" kernel; chmod 755 kernel; find kernel -name '*.ko.xz' -print0 | xargs -0 -r unxz`,
    home,
    list,
  );
  await run(["depmod", "-b", root, version]);
}

/** Of the firmware only what a module of the image asks for stays, and what a link among it leads to. */
async function pruneFirmware(root: string, version: string): Promise<void> {
  await shell(
    `cd "$1/usr/lib/firmware"; keep=$(mktemp -d -p "$1/usr/lib")
     find "$1/usr/lib/modules/$2" -name '*.ko' -print0 | xargs -0 -r modinfo -F firmware | sort -u | while read -r names; do
       for name in $names; do
         while [ -L "$name" ]; do
           cp -a --parents "$name" "$keep"; name=$(realpath -s --relative-to=. "$(dirname "$name")/$(readlink "$name")")
         done
         if [ -f "$name" ]; then cp -a --parents "$name" "$keep"; fi; done; done
     cd "$1"; rm -rf usr/lib/firmware; mv "$keep" usr/lib/firmware; find usr/lib/firmware -type d -exec chmod 755 {} +`,
    root,
    version,
  );
}

/** Programs that only make or change a system, and what a first start would otherwise spend seconds on. */
const UNUSED =
  "boot/* vmlinuz* initrd.img* usr/share/bash-completion usr/share/perl* usr/lib/x86_64-linux-gnu/perl* " +
  "usr/share/zoneinfo/right var/lib/apt/lists/* var/cache/* var/log/* usr/lib/udev/hwdb.d usr/lib/udev/hwdb.bin " +
  "etc/machine-id var/lib/dbus/machine-id etc/.resolv.conf.systemd-resolved.bak";

/** Units that start with the machine, where they are there. */
const STARTED =
  "remediate.service remediate-fleet.service remediate-ports.service remediate-import.service remediate-stick.service remediate-code.path " +
  "remediate-good.service acpid.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service";

/**
 * Units of Debian that have nothing to do here: nobody logs in, nothing is kept below /var, no user, key or binary format is
 * added. Each costs a start some time.
 */
const MASKED =
  "systemd-hwdb-update.service ldconfig.service systemd-journal-catalog-update.service systemd-update-done.service " +
  "systemd-firstboot.service systemd-machine-id-commit.service systemd-sysusers.service systemd-random-seed.service " +
  "systemd-journal-flush.service systemd-logind.service systemd-user-sessions.service systemd-binfmt.service " +
  "systemd-hibernate-clear.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pcrmachine.service " +
  "systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-ask-password-console.path " +
  "systemd-ask-password-wall.path proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount dev-mqueue.mount " +
  "sys-kernel-debug.mount sys-kernel-tracing.mount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer " +
  "fstrim.timer e2scrub_all.timer e2scrub_reap.service getty@tty1.service";

/** One of them would mount the ESP, which is written to as a device. */
const MASKED_GENERATORS =
  "systemd-getty-generator systemd-gpt-auto-generator systemd-hibernate-resume-generator systemd-rc-local-generator " +
  "systemd-run-generator systemd-ssh-generator systemd-system-update-generator systemd-sysv-generator " +
  "systemd-tpm2-generator";

async function settle(root: string): Promise<void> {
  await shell(
    `cd "$1"; rm -rf $2; : >etc/machine-id; mkdir -p data var/lib; find . -xdev -type f -perm /6000 -exec chmod ug-s {} +
     sed -i 's/^\\([^:]*:[^:]*:\\)[0-9]*:/\\1:/' etc/shadow; rm -f etc/*-; mkdir -p etc/systemd/system-generators
     ln -sfn /data/etc etc/remediate; mkdir -p etc/rauc; ln -sfn /run/remediate/rauc.conf etc/rauc/system.conf
     ln -sfn /run/systemd/resolve/resolv.conf etc/resolv.conf; ln -sfn /proc/self/mounts etc/mtab
     touch etc/.updated usr/lib/clock-epoch
     for unit in $4; do ln -sfn /dev/null "etc/systemd/system/$unit"; done
     for name in $5; do ln -sfn /dev/null "etc/systemd/system-generators/$name"; done
     mkdir -p etc/systemd/system/sysinit.target.wants
     for unit in remediate-first remediate-grow remediate-slots remediate-trial; do
       ln -sfn /etc/systemd/system/$unit.service etc/systemd/system/sysinit.target.wants/; done
     mkdir -p etc/systemd/system/multi-user.target.wants
     for unit in $3; do for home in etc usr/lib; do if [ -e "$home/systemd/system/$unit" ]; then
       ln -sfn "/$home/systemd/system/$unit" etc/systemd/system/multi-user.target.wants/; fi; done; done`,
    root,
    UNUSED,
    STARTED,
    MASKED,
    MASKED_GENERATORS,
  );
}

export interface Root {
  readonly path: string;
  readonly kernel: string;
  /** Of the kernel's image; the root itself has none. */
  readonly vmlinuz: string;
}

/** @param unpacked a directory with the program as the launcher would unpack it, and the launcher beside it */
export async function makeRoot(places: Places, tar: string, unpacked: string): Promise<Root> {
  const { top, cache } = places;
  const path = `${cache}/root`;
  await shell(`rm -rf --one-file-system "$1"; mkdir -p "$1"; tar -C "$1" -xf "$2"`, path, tar);
  const [kernel] = [...Deno.readDirSync(`${path}/usr/lib/modules`)].map(({ name }) => name).sort();
  if (kernel === undefined) throw new Error("Cannot make the root: its packages bring no kernel");
  const vmlinuz = `${cache}/vmlinuz`;
  await Deno.copyFile(`${path}/boot/vmlinuz-${kernel}`, vmlinuz);
  await pruneModules(path, kernel, await readList(`${top}/appliance/image/modules`));
  await pruneFirmware(path, kernel);
  await run(["cp", "-a", "--no-preserve=ownership", `${top}/appliance/image/root/.`, path]);
  await shell(
    `mkdir -p "$1/usr/lib/remediate"; cp -a --no-preserve=ownership "$2/." "$1/usr/lib/remediate/"
     mv "$1/usr/lib/remediate/remediate" "$1/usr/bin/remediate"`,
    path,
    unpacked,
  );
  for await (const { name, isDirectory } of Deno.readDir(unpacked)) {
    if (isDirectory) await warmProgram(path, `/usr/lib/remediate/${name}`);
  }
  await settle(path);
  return { path, kernel, vmlinuz };
}

/** The root as a read-only file system; equal for equal roots. */
export async function makeSquashfs(root: string, file: string, epoch: number): Promise<void> {
  await Deno.remove(file).catch(() => {});
  const times = ["-mkfs-time", `${epoch}`, "-all-time", `${epoch}`];
  // It refuses to be told the time twice.
  await run([
    "env",
    "--unset=SOURCE_DATE_EPOCH",
    "mksquashfs",
    root,
    file,
    "-comp",
    "zstd",
    "-Xcompression-level",
    "9",
    "-noappend",
    "-no-progress",
    "-quiet",
    "-all-root",
    "-b",
    "131072",
    ...times,
  ]);
}
