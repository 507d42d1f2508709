/**
 * The match of OpenFlow 1.0 (5.2.3): twelve fixed fields with wildcards, translated to OXM.
 *
 * OXM wants a field's protocol named before the field itself; what 1.0 leaves to be ignored there is left out here.
 */
import { OpenFlowError, type Reader } from "./bytes.ts";
import type { Field } from "./match.ts";

/** What 1.3 has no words for. The message is fine; it is passed on and not understood. */
export class Untranslatable extends OpenFlowError {
  override readonly name = "OpenFlowError";
}

export function untranslatable(what: string): never {
  throw new Untranslatable(`Cannot write OpenFlow 1.0 as 1.3: ${what}`);
}

const WILD = {
  inPort: 1,
  vlan: 2,
  ethSrc: 4,
  ethDst: 8,
  ethType: 16,
  proto: 32,
  tpSrc: 64,
  tpDst: 128,
} as const;
const WILD_PCP = 1 << 20;
const WILD_TOS = 1 << 21;
const WILD_ALL = (1 << 22) - 1;
const VLAN_NONE = 0xffff;
const VLAN_PRESENT = 0x1000;
const IPV4 = 0x0800;
const ARP = 0x0806;
/** Of frames without an Ethernet type; 1.3 cannot name them. */
const NOT_ETHERNET_TYPE = 0x05ff;

export interface Match10 {
  readonly fields: Field[];
  /** No wildcard at all: 1.0 puts such entries before all others. */
  readonly exact: boolean;
}

const bits = (bytes: Uint8Array) => bytes.reduce((value, byte) => value << 8n | BigInt(byte), 0n);

/** Ports are 16 bits wide in 1.0; the named ones are at the end of both ranges. */
export function widePort(port: number): number {
  return port >= 0xfff8 ? (port | 0xffff0000) >>> 0 : port;
}

interface Raw {
  readonly wild: number;
  readonly ethType: number;
  readonly proto: number;
  readonly tos: number;
  readonly addresses: readonly [number, number];
  readonly ports: readonly [number, number];
}

export function readMatch10(reader: Reader): Match10 {
  const wild = reader.u32();
  const inPort = reader.u16();
  const [ethSrc, ethDst] = [bits(reader.take(6)), bits(reader.take(6))];
  const [vlan, pcp] = [reader.u16(), reader.u8()];
  reader.skip(1);
  const [ethType, tos, proto] = [reader.u16(), reader.u8(), reader.u8()];
  reader.skip(2);
  const raw: Raw = {
    ...{ wild, ethType, proto, tos },
    addresses: [reader.u32(), reader.u32()],
    ports: [reader.u16(), reader.u16()],
  };
  const fields: Field[] = [];
  const add = (name: string, value: number | bigint, mask: bigint | null = null) =>
    fields.push({ name, value: BigInt(value), mask });
  if (!(wild & WILD.inPort)) add("in_port", widePort(inPort));
  if (!(wild & WILD.ethDst)) add("eth_dst", ethDst);
  if (!(wild & WILD.ethSrc)) add("eth_src", ethSrc);
  if (!(wild & WILD.ethType)) {
    if (ethType <= NOT_ETHERNET_TYPE) untranslatable("a match of frames without an Ethernet type");
    add("eth_type", ethType);
  }
  addVlan(add, wild, { vlan, pcp });
  if (!(wild & WILD.ethType) && ethType === IPV4) addIp(add, raw);
  if (!(wild & WILD.ethType) && ethType === ARP) addArp(add, raw);
  return { fields, exact: (wild & WILD_ALL) === 0 };
}

type Add = (name: string, value: number | bigint, mask?: bigint | null) => void;

function addVlan(add: Add, wild: number, { vlan, pcp }: { vlan: number; pcp: number }): void {
  if (wild & WILD.vlan) {
    if (!(wild & WILD_PCP)) untranslatable("a VLAN priority without a VLAN");
    return;
  }
  if (vlan === VLAN_NONE) return add("vlan_vid", 0);
  add("vlan_vid", vlan & 0xfff | VLAN_PRESENT);
  if (!(wild & WILD_PCP)) add("vlan_pcp", pcp & 7);
}

/** How many low bits of an address do not matter: six bits from `shift` on; 32 and more is all. */
function addAddress(add: Add, name: string, [wild, shift, value]: readonly [number, number, number]): void {
  const idle = wild >>> shift & 63;
  if (idle >= 32) return;
  const mask = 0xffffffffn << BigInt(idle) & 0xffffffffn;
  add(name, BigInt(value) & mask, idle === 0 ? null : mask);
}

function addIp(add: Add, { wild, tos, proto, addresses, ports }: Raw): void {
  if (!(wild & WILD_TOS)) add("ip_dscp", tos >> 2);
  if (!(wild & WILD.proto)) add("ip_proto", proto);
  addAddress(add, "ipv4_src", [wild, 8, addresses[0]]);
  addAddress(add, "ipv4_dst", [wild, 14, addresses[1]]);
  const names = wild & WILD.proto ? undefined : PORT_FIELDS[proto];
  if (names === undefined) return;
  const isIcmp = proto === 1;
  if (!(wild & WILD.tpSrc)) add(names[0], isIcmp ? ports[0] & 0xff : ports[0]);
  if (!(wild & WILD.tpDst)) add(names[1], isIcmp ? ports[1] & 0xff : ports[1]);
}

/** By protocol, what the two ports of a match are. */
const PORT_FIELDS: Readonly<Record<number, readonly [string, string]>> = {
  1: ["icmpv4_type", "icmpv4_code"],
  6: ["tcp_src", "tcp_dst"],
  17: ["udp_src", "udp_dst"],
};

function addArp(add: Add, { wild, proto, addresses }: Raw): void {
  if (!(wild & WILD.proto)) add("arp_op", proto);
  addAddress(add, "arp_spa", [wild, 8, addresses[0]]);
  addAddress(add, "arp_tpa", [wild, 14, addresses[1]]);
}
