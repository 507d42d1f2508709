/**
 * Duty: says why a disk must not be overwritten.
 *
 * Pure. A disk that holds the running system, or anything mounted, is never taken, whatever people insist on; the rest is
 * about the wrong disk being named by mistake.
 */
export interface DiskFacts {
  readonly path: string;
  /** disk, part, loop, rom, file, or what lsblk calls it; null: it is not there. */
  readonly kind: string | null;
  readonly bytes: number;
  readonly readOnly: boolean;
  /** What is mounted from it, or used as swap, in any of its parts or what lies on them: device and place. */
  readonly used: readonly { readonly device: string; readonly place: string }[];
  /** It holds the running system's root, or what that lies on. */
  readonly holdsRoot: boolean;
  /** Part of a volume group, an array or an encrypted device that is open. */
  readonly holders: readonly string[];
  readonly model: string | null;
}

export interface FlashRules {
  /** Of the image, uncompressed. */
  readonly imageBytes: number;
  /** A larger one is likely meant for something else. @see --any-size */
  readonly bytesMax: number;
}

/** A person may still say that it is right. */
export const BYTES_MAX = 4 * 1000 ** 4;

export function diskFaults(disk: DiskFacts, { imageBytes, bytesMax }: FlashRules): string[] {
  const { path, kind, bytes } = disk;
  const no = (reason: string) => `Cannot write to ${path}: ${reason}`;
  if (kind === null) return [no("there is no such disk")];
  const faults: string[] = [];
  if (kind === "part") faults.push(no("it is a partition; the image is a whole disk"));
  else if (!["disk", "loop", "file"].includes(kind)) faults.push(no(`it is a ${kind}, and a disk is wanted`));
  if (disk.holdsRoot) faults.push(no("the running system is on it"));
  for (const { device, place } of disk.used) faults.push(no(`${device} is in use at ${place}`));
  for (const holder of disk.holders) faults.push(no(`${holder} is made of it`));
  if (disk.readOnly) faults.push(no("it is read-only"));
  if (bytes < imageBytes) {
    faults.push(no(`it has ${bytes} bytes, and the image needs ${imageBytes}`));
  } else if (bytes > bytesMax) {
    faults.push(no(`it has ${megabytes(bytes)}, more than a disk of an appliance; --any-size takes it`));
  }
  return faults;
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

interface LsblkNode {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly ro: boolean;
  readonly model: string | null;
  readonly mountpoints?: readonly (string | null)[];
  readonly children?: readonly LsblkNode[];
}

/** Of a path where no disk is. */
export function noDisk(path: string): DiskFacts {
  return {
    path,
    kind: null,
    bytes: 0,
    readOnly: false,
    used: [],
    holdsRoot: false,
    holders: [],
    model: null,
  };
}

/** What `lsblk --json --bytes --output PATH,TYPE,SIZE,RO,MODEL,MOUNTPOINTS DISK` says. */
export function parseLsblk(text: string, path: string): DiskFacts {
  const { blockdevices = [] } = JSON.parse(text) as { blockdevices?: readonly LsblkNode[] };
  const [top] = blockdevices;
  if (top === undefined) {
    return noDisk(path);
  }
  const below = (node: LsblkNode): LsblkNode[] => [node, ...(node.children ?? []).flatMap(below)];
  const all = below(top);
  const used = all.flatMap((node) =>
    (node.mountpoints ?? []).filter((place) => place !== null).map((place) => ({
      device: node.path,
      place: place!,
    }))
  );
  return {
    path,
    kind: top.type,
    bytes: top.size,
    readOnly: top.ro,
    used,
    holdsRoot: used.some(({ place }) => ["/", "/boot", "/usr"].includes(place)),
    holders: all.filter((node) => node !== top && node.type !== "part").map((node) => node.path),
    model: top.model,
  };
}
