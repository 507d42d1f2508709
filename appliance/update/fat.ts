/**
 * Duty: finds a file in a FAT32 file system, so that it is read and overwritten in place without mounting anything.
 *
 * GRUB writes its state into the sectors of a file and nowhere else; so does this. Nothing else of the file system changes
 * then, not even a mark that it is in use, which is what keeps a power cut from harming more than one copy. Names are the
 * short ones (8.3) and long ones of ASCII. Layout: Microsoft, "FAT32 File System Specification" 1.03.
 */

/** Bytes of a device or an image. */
export type ReadAt = (offset: number, bytes: number) => Promise<Uint8Array>;

export interface Extent {
  /** Byte in the device. */
  readonly offset: number;
  readonly bytes: number;
}

const ENTRY_BYTES = 32;
const CLUSTER_MASK = 0x0fff_ffff;
const CHAIN_END = 0x0fff_fff8;
const IS_DIRECTORY = 0x10, IS_LABEL = 0x08, IS_LONG_NAME = 0x0f;
const DELETED = 0xe5;
/** A chain that goes in circles ends here: 32 MiB in the smallest clusters. */
const CLUSTERS_MAX = 1 << 16;

interface Volume {
  readonly read: ReadAt;
  readonly clusterBytes: number;
  readonly fatAt: number;
  readonly dataAt: number;
  readonly rootCluster: number;
}

interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
  readonly cluster: number;
  readonly bytes: number;
}

/** Where the bytes of a file lie, in order. Null: there is no such file. @throws RangeError: this is no FAT32 */
export async function findFile(read: ReadAt, path: string): Promise<readonly Extent[] | null> {
  const volume = await open(read);
  let cluster = volume.rootCluster;
  const names = path.split("/").filter((name) => name !== "");
  for (const [i, name] of names.entries()) {
    const entries = await list(volume, cluster);
    const found = entries.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) return null;
    if (i === names.length - 1) return found.isDirectory ? null : await extentsOf(volume, found);
    if (!found.isDirectory) return null;
    cluster = found.cluster;
  }
  return null;
}

/** Its content, as text; null: there is no such file. @throws RangeError: this is no FAT32, or it is larger than `bytesMax` */
export async function readFileText(read: ReadAt, path: string, bytesMax: number): Promise<string | null> {
  const extents = await findFile(read, path);
  if (extents === null) return null;
  const bytes = extents.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes > bytesMax) throw new RangeError(`Cannot read ${path}: it has ${bytes} bytes`);
  const pieces: Uint8Array[] = [];
  for (const { offset, bytes: length } of extents) pieces.push(await read(offset, length));
  return new TextDecoder().decode(joined(pieces));
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

async function open(read: ReadAt): Promise<Volume> {
  const boot = viewOf(await read(0, 512));
  const sectorBytes = boot.getUint16(11, true), sectors = boot.getUint8(13);
  const fatSectors = boot.getUint32(36, true);
  const isFat32 = boot.getUint16(510, true) === 0xaa55 && boot.getUint16(22, true) === 0 && fatSectors > 0 &&
    [512, 1024, 2048, 4096].includes(sectorBytes) && sectors > 0;
  if (!isFat32) throw new RangeError("Cannot read the file system: it is no FAT32");
  const fatAt = boot.getUint16(14, true) * sectorBytes;
  return {
    read,
    clusterBytes: sectorBytes * sectors,
    fatAt,
    dataAt: fatAt + boot.getUint8(16) * fatSectors * sectorBytes,
    rootCluster: boot.getUint32(44, true),
  };
}

async function chain({ read, fatAt }: Volume, first: number): Promise<number[]> {
  const clusters: number[] = [];
  for (let cluster = first; cluster >= 2 && cluster < CHAIN_END;) {
    if (clusters.length === CLUSTERS_MAX) {
      throw new RangeError("Cannot read the file system: a chain has no end");
    }
    clusters.push(cluster);
    cluster = viewOf(await read(fatAt + cluster * 4, 4)).getUint32(0, true) & CLUSTER_MASK;
  }
  return clusters;
}

const clusterAt = ({ dataAt, clusterBytes }: Volume, cluster: number) =>
  dataAt + (cluster - 2) * clusterBytes;

async function list(volume: Volume, first: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  let long = "";
  for (const cluster of await chain(volume, first)) {
    const bytes = await volume.read(clusterAt(volume, cluster), volume.clusterBytes);
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const raw = bytes.subarray(at, at + ENTRY_BYTES), kind = raw[11]!;
      if (raw[0] === 0) return entries;
      if (raw[0] === DELETED) long = "";
      else if (kind === IS_LONG_NAME) long = longPart(raw) + long;
      else {
        if ((kind & IS_LABEL) === 0) entries.push(entryOf(raw, long));
        long = "";
      }
    }
  }
  return entries;
}

/** Thirteen characters, in the reverse order of entries. */
function longPart(raw: Uint8Array): string {
  const view = viewOf(raw);
  let text = "";
  for (const at of [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]) {
    const code = view.getUint16(at, true);
    if (code === 0 || code === 0xffff) break;
    text += String.fromCharCode(code);
  }
  return text;
}

function entryOf(raw: Uint8Array, long: string): Entry {
  const text = (from: number, to: number) => new TextDecoder().decode(raw.subarray(from, to)).trimEnd();
  const end = text(8, 11), short = end === "" ? text(0, 8) : `${text(0, 8)}.${end}`;
  const view = viewOf(raw);
  return {
    name: long === "" ? short : long,
    isDirectory: (raw[11]! & IS_DIRECTORY) !== 0,
    cluster: view.getUint16(20, true) << 16 | view.getUint16(26, true),
    bytes: view.getUint32(28, true),
  };
}

/** Neighbouring clusters in one piece. */
async function extentsOf(volume: Volume, { cluster, bytes }: Entry): Promise<Extent[]> {
  const extents: Extent[] = [];
  let left = bytes;
  for (const one of await chain(volume, cluster)) {
    const offset = clusterAt(volume, one), length = Math.min(left, volume.clusterBytes);
    const last = extents.at(-1);
    if (last !== undefined && last.offset + last.bytes === offset) {
      extents[extents.length - 1] = { offset: last.offset, bytes: last.bytes + length };
    } else extents.push({ offset, bytes: length });
    left -= length;
    if (left === 0) break;
  }
  if (left > 0) throw new RangeError(`Cannot read the file system: a file lacks ${left} bytes`);
  return extents;
}
