/**
 * What a flow matches: fields in OXM's form (1.3.5, 7.2.2 and 7.2.3), between bytes and names.
 *
 * A field is a name, a number and perhaps a mask, so that two matches are compared as values, whatever order a
 * switch lists them in. Fields nobody here knows keep their class, number and width in their name and travel on
 * unchanged. TCP flags are an extension in 1.3 (ONF EXT-109); Open vSwitch has them under that number.
 */
import { OpenFlowError, type Reader, type Writer } from "./bytes.ts";

export interface Field {
  readonly name: string;
  readonly value: bigint;
  /** null: all bits. */
  readonly mask: bigint | null;
}

interface Kind {
  readonly name: string;
  readonly class: number;
  readonly number: number;
  readonly bytes: number;
  readonly experimenter: number | null;
}

const BASIC = 0x8000;
const EXPERIMENTER = 0xffff;
const ONF = 0x4f4e4600;
const NXM_1 = 0x0001;

/** By number; 7.2.3.7. */
const BASIC_FIELDS: readonly (readonly [name: string, bytes: number])[] = [
  ["in_port", 4],
  ["in_phy_port", 4],
  ["metadata", 8],
  ["eth_dst", 6],
  ["eth_src", 6],
  ["eth_type", 2],
  ["vlan_vid", 2],
  ["vlan_pcp", 1],
  ["ip_dscp", 1],
  ["ip_ecn", 1],
  ["ip_proto", 1],
  ["ipv4_src", 4],
  ["ipv4_dst", 4],
  ["tcp_src", 2],
  ["tcp_dst", 2],
  ["udp_src", 2],
  ["udp_dst", 2],
  ["sctp_src", 2],
  ["sctp_dst", 2],
  ["icmpv4_type", 1],
  ["icmpv4_code", 1],
  ["arp_op", 2],
  ["arp_spa", 4],
  ["arp_tpa", 4],
  ["arp_sha", 6],
  ["arp_tha", 6],
  ["ipv6_src", 16],
  ["ipv6_dst", 16],
  ["ipv6_flabel", 4],
  ["icmpv6_type", 1],
  ["icmpv6_code", 1],
  ["ipv6_nd_target", 16],
  ["ipv6_nd_sll", 6],
  ["ipv6_nd_tll", 6],
  ["mpls_label", 4],
  ["mpls_tc", 1],
  ["mpls_bos", 1],
  ["pbb_isid", 3],
  ["tunnel_id", 8],
  ["ipv6_exthdr", 2],
];

const KINDS: readonly Kind[] = [
  ...BASIC_FIELDS.map(([name, bytes], number) => ({ name, class: BASIC, number, bytes, experimenter: null })),
  { name: "tcp_flags", class: EXPERIMENTER, number: 42, bytes: 2, experimenter: ONF },
  { name: "nxm_tcp_flags", class: NXM_1, number: 34, bytes: 2, experimenter: null },
];
const BY_NAME = new Map(KINDS.map((kind) => [kind.name, kind]));
const BY_NUMBER = new Map(KINDS.map((kind) => [kindKey(kind), kind]));

function kindKey(kind: Omit<Kind, "name" | "bytes">): string {
  return `${kind.class}:${kind.number}:${kind.experimenter ?? ""}`;
}

/** "oxm:CLASS:NUMBER:BYTES:EXPERIMENTER", all in hexadecimal; the last may be missing. */
function unknownName(kind: Omit<Kind, "name">): string {
  const parts = [
    kind.class,
    kind.number,
    kind.bytes,
    ...(kind.experimenter === null ? [] : [kind.experimenter]),
  ];
  return `oxm:${parts.map((part) => part.toString(16)).join(":")}`;
}

function kindOf(name: string): Kind {
  const known = BY_NAME.get(name);
  if (known !== undefined) return known;
  const parts = /^oxm:([0-9a-f]+):([0-9a-f]+):([0-9a-f]+)(?::([0-9a-f]+))?$/.exec(name);
  if (parts === null) throw new OpenFlowError(`Cannot write OpenFlow match: there is no field "${name}"`);
  const number = (at: number) => parseInt(parts[at]!, 16);
  const experimenter = parts[4] === undefined ? null : number(4);
  return { name, class: number(1), number: number(2), bytes: number(3), experimenter };
}

function readNumber(reader: Reader, bytes: number): bigint {
  let value = 0n;
  for (const byte of reader.take(bytes)) value = value << 8n | BigInt(byte);
  return value;
}

function writeNumber(writer: Writer, value: bigint, bytes: number): void {
  for (let shift = bytes - 1; shift >= 0; shift--) writer.u8(Number(value >> BigInt(shift * 8) & 0xffn));
}

export function readField(reader: Reader): Field {
  const fieldClass = reader.u16();
  const second = reader.u8();
  const body = reader.part(reader.u8(), "match field");
  const hasMask = (second & 1) === 1;
  const number = second >> 1;
  const experimenter = fieldClass === EXPERIMENTER ? body.u32() : null;
  if (hasMask && body.left % 2 === 1) body.fail(`has a mask and ${body.left} bytes, which is odd`);
  const bytes = hasMask ? body.left / 2 : body.left;
  const kind = { class: fieldClass, number, bytes, experimenter };
  const known = BY_NUMBER.get(kindKey(kind));
  if (known !== undefined && known.bytes !== bytes) {
    body.fail(`${known.name} has ${bytes} bytes at ${body.place}, not ${known.bytes}`);
  }
  const value = readNumber(body, bytes);
  const mask = hasMask ? readNumber(body, bytes) : null;
  return { name: known?.name ?? unknownName(kind), value, mask };
}

export function writeField(writer: Writer, { name, value, mask }: Field): void {
  const kind = kindOf(name);
  const head = kind.experimenter === null ? 0 : 4;
  writer.u16(kind.class).u8(kind.number << 1 | (mask === null ? 0 : 1));
  writer.u8(head + kind.bytes * (mask === null ? 1 : 2));
  if (kind.experimenter !== null) writer.u32(kind.experimenter);
  writeNumber(writer, value, kind.bytes);
  if (mask !== null) writeNumber(writer, mask, kind.bytes);
}

const OXM_MATCH = 1;

/** With its padding. */
export function readMatch(reader: Reader): Field[] {
  const type = reader.u16();
  if (type !== OXM_MATCH) reader.fail(`match of type ${type} at ${reader.place - 2}, only 1 (OXM) is known`);
  const length = reader.u16();
  if (length < 4) reader.fail(`match of ${length} bytes at ${reader.place - 2}, at least 4 are needed`);
  const fields = reader.part(length - 4, "match").each(readField);
  reader.skip((8 - length % 8) % 8);
  return fields;
}

export function writeMatch(writer: Writer, fields: readonly Field[]): void {
  const start = writer.length;
  writer.u16(OXM_MATCH).u16(0);
  for (const field of fields) writeField(writer, field);
  writer.lengthAt(start + 2, writer.length - start).pad8(start);
}

/** One text for all ways to list the same fields; a mask of all ones is no mask. */
export function matchKey(fields: readonly Field[]): string {
  return fields.map(fieldText).sort().join(",");
}

function fieldText({ name, value, mask }: Field): string {
  const ones = fieldBits(name);
  const tail = mask === null || mask === ones ? "" : `/0x${mask.toString(16)}`;
  return `${name}=0x${(mask === null ? value : value & mask).toString(16)}${tail}`;
}

/** All bits of a field. */
export function fieldBits(name: string): bigint {
  return (1n << BigInt(kindOf(name).bytes * 8)) - 1n;
}

/** The fields behind a key of `matchKey()`; null: it is none. */
export function parseMatchKey(key: string): Field[] | null {
  if (key === "") return [];
  const fields = key.split(",").map((part): Field | null => {
    const [, name = "", value = "", mask] =
      /^([a-z0-9_:]+)=(0x[0-9a-f]{1,64})(?:\/(0x[0-9a-f]{1,64}))?$/.exec(part) ??
        [];
    if (!BY_NAME.has(name) && !/^oxm(:[0-9a-f]{1,8}){3,4}$/.test(name)) return null;
    return { name, value: BigInt(value), mask: mask === undefined ? null : BigInt(mask) };
  });
  return fields.every((one) => one !== null) ? inOrder(fields) : null;
}

/** A field comes after those that say which protocol it belongs to: all of them have lower numbers. */
function inOrder(fields: readonly Field[]): Field[] {
  return fields.toSorted((a, b) => kindOf(a.name).number - kindOf(b.name).number);
}
