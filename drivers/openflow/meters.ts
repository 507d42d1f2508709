/**
 * Meters (1.3.5, 7.3.4.4 and 7.3.5.13): rates beyond which packets are dropped or marked.
 *
 * A band keeps its last four bytes as they are: what they mean depends on its type, and nothing here asks.
 */
import type { Reader, Writer } from "./bytes.ts";

export interface MeterBand {
  /** 1: drop; 2: remark DSCP; 0xffff: experimenter. */
  readonly type: number;
  /** kbit/s or packets/s, as the meter's flags say. */
  readonly rate: number;
  readonly burst: number;
  readonly data: Uint8Array;
}

export interface MeterDescription {
  readonly meter: number;
  readonly flags: number;
  readonly bands: readonly MeterBand[];
}

export interface MeterMod extends MeterDescription {
  readonly kind: "meter-mod";
  readonly command: number;
}

const BAND_BYTES = 12;

function readBand(reader: Reader): MeterBand {
  const place = reader.place;
  const [type, length] = [reader.u16(), reader.u16()];
  if (length < BAND_BYTES) reader.fail(`band at ${place} has ${length} bytes, at least 12 are needed`);
  const body = reader.part(length - 4, "meter band");
  return { type, rate: body.u32(), burst: body.u32(), data: body.rest() };
}

function writeBands(writer: Writer, bands: readonly MeterBand[]): void {
  for (const { type, rate, burst, data } of bands) {
    const start = writer.length;
    writer.u16(type).u16(0).u32(rate).u32(burst).put(data);
    writer.lengthAt(start + 2, writer.length - start);
  }
}

export function readMeterMod(reader: Reader): MeterMod {
  const [command, flags, meter] = [reader.u16(), reader.u16(), reader.u32()];
  return { kind: "meter-mod", command, flags, meter, bands: reader.each(readBand) };
}

export function writeMeterMod(writer: Writer, { command, flags, meter, bands }: MeterMod): void {
  writer.u16(command).u16(flags).u32(meter);
  writeBands(writer, bands);
}

/** One meter of an answer to a question for all. */
export function readMeter(reader: Reader): MeterDescription {
  const place = reader.place;
  const length = reader.u16();
  if (length < 8) reader.fail(`meter at ${place} has ${length} bytes, at least 8 are needed`);
  const body = reader.part(length - 2, "meter");
  const flags = body.u16();
  return { flags, meter: body.u32(), bands: body.each(readBand) };
}

export function writeMeter(writer: Writer, { flags, meter, bands }: MeterDescription): void {
  const start = writer.length;
  writer.u16(0).u16(flags).u32(meter);
  writeBands(writer, bands);
  writer.lengthAt(start, writer.length - start);
}
