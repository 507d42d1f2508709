/**
 * Ports (1.3.5, 7.2.1) and groups (7.3.4.2): what several messages carry.
 */
import { type Action, readActions, writeActions } from "./actions.ts";
import type { Reader, Writer } from "./bytes.ts";

export interface PortDescription {
  readonly number: number;
  /** 6 bytes. */
  readonly address: Uint8Array;
  readonly name: string;
  /** Bits of PORT_CONFIG and PORT_STATE. */
  readonly config: number;
  readonly state: number;
  /** current, advertised, supported, peer: bits of features. */
  readonly features: readonly number[];
  /** In kbit/s. */
  readonly speed: readonly [current: number, max: number];
}

export interface Bucket {
  readonly weight: number;
  readonly watchPort: number;
  readonly watchGroup: number;
  readonly actions: readonly Action[];
}

export interface GroupDescription {
  readonly group: number;
  readonly type: number;
  readonly buckets: readonly Bucket[];
}

const NAME_BYTES = 16;

export function readPort(reader: Reader): PortDescription {
  const number = reader.u32();
  reader.skip(4);
  const address = reader.take(6);
  reader.skip(2);
  const name = reader.text(NAME_BYTES);
  const config = reader.u32();
  const state = reader.u32();
  const features = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  return { number, address, name, config, state, features, speed: [reader.u32(), reader.u32()] };
}

export function writePort(writer: Writer, port: PortDescription): void {
  writer.u32(port.number).zeros(4).put(port.address).zeros(2).text(port.name, NAME_BYTES);
  writer.u32(port.config).u32(port.state);
  for (let at = 0; at < 4; at++) writer.u32(port.features[at] ?? 0);
  writer.u32(port.speed[0]).u32(port.speed[1]);
}

const BUCKET_BYTES = 16;

function readBucket(reader: Reader): Bucket {
  const place = reader.place;
  const length = reader.u16();
  if (length < BUCKET_BYTES) reader.fail(`bucket at ${place} has ${length} bytes, at least 16 are needed`);
  const body = reader.part(length - 2, "bucket");
  const weight = body.u16();
  const watchPort = body.u32();
  const watchGroup = body.u32();
  body.skip(4);
  return { weight, watchPort, watchGroup, actions: readActions(body) };
}

export function readBuckets(reader: Reader): Bucket[] {
  return reader.each(readBucket);
}

export function writeBuckets(writer: Writer, buckets: readonly Bucket[]): void {
  for (const bucket of buckets) {
    const start = writer.length;
    writer.u16(0).u16(bucket.weight).u32(bucket.watchPort).u32(bucket.watchGroup).zeros(4);
    writeActions(writer, bucket.actions);
    writer.lengthAt(start, writer.length - start);
  }
}
