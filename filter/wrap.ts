/**
 * Builder of tunnels and of payloads that say what they are, for generators and tests: the counterparts of tunnel.ts and
 * nature.ts.
 */
import { type End, ethernet, ip, udp } from "./frame.ts";
import { ETHERTYPE, PROTO } from "./packet.ts";

export const TUNNELS = ["gre", "greEthernet", "ipip", "vxlan", "gtp", "mpls", "pseudowire", "pppoe"] as const;
export type Tunnel = (typeof TUNNELS)[number];

/** What goes into a tunnel: an IP packet with its EtherType. */
export interface Content {
  readonly type: number;
  readonly body: Uint8Array;
}

const join = (...parts: readonly (readonly number[] | Uint8Array)[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const u16 = (value: number) => [(value >> 8) & 255, value & 255];

/** The frame that carries the packet through this tunnel between the ends of `way`. */
export function wrap(tunnel: Tunnel, way: readonly [End, End], content: Content): Uint8Array<ArrayBuffer> {
  const { type, body } = content;
  const frame = ethernet(way, type, body, { pad: false });
  const carried = (proto: number, segment: Uint8Array) => {
    const outer = ip(way, proto, segment);
    return ethernet(way, outer.type, outer.body);
  };
  const inUdp = (port: number, payload: Uint8Array<ArrayBuffer>) =>
    carried(PROTO.udp, udp([way[0], { ...way[1], port }], payload));
  switch (tunnel) {
    case "gre":
      return carried(PROTO.gre, join([0xb0, 0], u16(type), [1, 2, 0, 0], [0, 0, 0, 5], [0, 0, 0, 6], body));
    case "greEthernet":
      return carried(PROTO.gre, join([0x20, 0, 0x65, 0x58], [0, 0, 0, 5], frame));
    case "ipip":
      return carried(type === ETHERTYPE.ipv4 ? 4 : 41, body);
    case "vxlan":
      return inUdp(4789, join([8, 0, 0, 0, 0, 0, 7, 0], frame));
    case "gtp":
      return inUdp(
        2152,
        join([0x34, 255], u16(body.length + 8), [0, 0, 0, 9], [0, 0, 0, 0x85], [1, 0, 0, 0], body),
      );
    case "mpls":
      return ethernet(way, 0x8847, join([0, 1, 0, 64], [0, 2, 1, 64], body));
    case "pseudowire":
      return ethernet(way, 0x8847, join([0, 2, 1, 64], [0, 0, 0, 0], frame));
    case "pppoe": {
      const protocol = type === ETHERTYPE.ipv4 ? 0x0021 : 0x0057;
      return ethernet(way, 0x8864, join([0x11, 0, 0, 3], u16(body.length + 2), u16(protocol), body));
    }
  }
}

export const SPEECHES = ["plain", "tls", "dtls", "ssh", "quic"] as const;
export type Speech = (typeof SPEECHES)[number];

const HELLO: Readonly<Record<Speech, readonly number[]>> = {
  plain: [71, 69, 84, 32, 47],
  tls: [0x16, 3, 1, 0, 40, 1],
  dtls: [0x16, 0xfe, 0xfd, 0, 0, 0],
  ssh: [83, 83, 72, 45, 50, 46, 48],
  quic: [0xc3, 0, 0, 0, 1, 8, 1, 2],
};
const SECRET: Readonly<Record<Speech, readonly number[]>> = {
  plain: [72, 84, 84, 80, 47],
  tls: [0x17, 3, 3, 0, 40, 9],
  dtls: [0x17, 0xfe, 0xfd, 0, 1, 0],
  ssh: [0, 0, 0, 12, 10, 21, 0],
  quic: [0x43, 1, 2, 3, 4, 5, 6, 7],
};

/** The payload with its first bytes as one who speaks this way has them: of the handshake, or encrypted. */
export function spoken(
  speech: Speech,
  payload: Uint8Array<ArrayBuffer>,
  isSecret: boolean,
): Uint8Array<ArrayBuffer> {
  const said = payload.slice();
  said.set((isSecret ? SECRET : HELLO)[speech].slice(0, said.length));
  return said;
}
