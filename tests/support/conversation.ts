/**
 * Duty: connections through a box that translates the client's address as a NAT does, frame by frame, for a test that is
 * the client, the server and both boxes.
 */
import type { Role } from "../../appliance/view.ts";
import { type End, ethernet, ip, tcp, type TcpFields } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import type { Bench } from "./bench.ts";

const BOX_IN = [2, 0, 0, 0, 1, 1], BOX_OUT = [2, 0, 0, 0, 2, 1];
const DONT_FRAGMENT = 0x4000;
const CLIENT_SCALE = 7;
export const SERVER_SCALE = 5;
const MSS = [2, 4, 0x05, 0xb4], NOP = 1;

/** The ends of one connection, as each side of the box sees them. */
export interface Scene {
  readonly client: End;
  readonly server: End;
  /** The client as the server sees it. */
  readonly outside: End;
  readonly tags: readonly number[];
  /** Added to all sequence numbers: by them a node tells connections that begin together apart. */
  readonly shift: number;
}

export function scene(client: End, server: End, tags: readonly number[] = [], shift = 0): Scene {
  const address = [...client.ip];
  address[address.length - 1] = 200;
  return { client, server, outside: { mac: BOX_OUT, ip: address, port: 61_000 }, tags, shift };
}

/** Lines for [failover] of a node that moves traffic by order alone. */
export const BY_ORDER = ["silence_ms = 0", "drain_ms = 0"];
/** Lines of a node whose seeds wait for a box that is a test. */
export const PATIENT_SEEDS = ["[seed]", "wait_ms = 1000"];
/** Of a rule by which a standby hears of nothing before it serves. */
export const ONLY_SEEDS = ["[[filter.rules]]", 'name = "test"', "seed = true"];

export type Direction = "up" | "down";
const PLAIN = new Uint8Array(0);

/** A segment on the client side of the box ("in") or on its server side ("out"), sent by client or server. */
export function segment(
  scene: Scene,
  [place, by]: readonly ["in" | "out", "client" | "server"],
  fields: TcpFields,
  payload = PLAIN,
): Uint8Array<ArrayBuffer> {
  const client = place === "in" ? scene.client : scene.outside;
  const server = place === "in" ? { ...scene.server, mac: BOX_IN } : scene.server;
  const ends: [End, End] = by === "client" ? [client, server] : [server, client];
  const fragment = scene.client.ip.length === 4 ? { fragment: DONT_FRAGMENT } : {};
  const ack = fields.ack === undefined ? {} : { ack: fields.ack + scene.shift };
  const shifted = { ...fields, seq: (fields.seq ?? 0) + scene.shift, ...ack };
  const { type, body } = ip(ends, PROTO.tcp, tcp(ends, shifted, payload), fragment);
  return ethernet(ends, type, body, { tags: scene.tags, pad: false });
}

export function synOptions(scale: number): number[] {
  return [...MSS, 4, 2, NOP, 3, 3, scale, NOP, NOP];
}

/** One frame and where the test puts it in. */
export type Step = readonly [Role, Uint8Array];

/** A connection of 100 bytes up and 500 down, and 50 more up that the box takes in and never hands on. */
export function conversation(scene: Scene): Step[] {
  const up = (fields: TcpFields, payload = PLAIN): Step[] => [
    ["upstream", segment(scene, ["in", "client"], fields, payload)],
    ["primary-out", segment(scene, ["out", "client"], fields, payload)],
  ];
  const down = (fields: TcpFields, payload = PLAIN): Step[] => [
    ["downstream", segment(scene, ["out", "server"], fields, payload)],
    ["primary-in", segment(scene, ["in", "server"], fields, payload)],
  ];
  const ack = TCP.ack;
  return [
    ...up({ seq: 1000, flags: TCP.syn, window: 64_000, options: synOptions(CLIENT_SCALE) }),
    ...down({
      seq: 9000,
      ack: 1001,
      flags: TCP.syn | ack,
      window: 65_000,
      options: synOptions(SERVER_SCALE),
    }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 500 }),
    ...up({ seq: 1001, ack: 9001, flags: ack, window: 501 }, new Uint8Array(100)),
    ...down({ seq: 9001, ack: 1101, flags: ack, window: 600 }, new Uint8Array(500)),
    up({ seq: 1101, ack: 9501, flags: ack, window: 502 }, new Uint8Array(50))[0]!,
  ];
}

/** What the node has to play, by the port it enters the redundant box by, in its order. */
export function seeds(scene: Scene): Record<"redundant-in" | "redundant-out", Uint8Array[]> {
  const client = (fields: TcpFields) => segment(scene, ["in", "client"], { window: 65_535, ...fields });
  const server = (fields: TcpFields) => segment(scene, ["out", "server"], { window: 65_535, ...fields });
  return {
    "redundant-in": [
      client({ seq: 1100, flags: TCP.syn, options: synOptions(CLIENT_SCALE) }),
      client({ seq: 1101, ack: 9501, flags: TCP.ack, window: 502 }),
    ],
    "redundant-out": [
      server({ seq: 9500, ack: 1101, flags: TCP.syn | TCP.ack, options: synOptions(SERVER_SCALE) }),
      server({ seq: 9501, ack: 1101, flags: TCP.ack, window: 600 }),
    ],
  };
}

/** What the box makes of the seeds, by the port it leaves by. */
export function translated(scene: Scene): Step[] {
  const syn = { seq: 1100, flags: TCP.syn, options: synOptions(CLIENT_SCALE) };
  const synAck = { seq: 9500, ack: 1101, flags: TCP.syn | TCP.ack, options: synOptions(SERVER_SCALE) };
  return [
    ["redundant-out", segment(scene, ["out", "client"], syn)],
    ["redundant-in", segment(scene, ["in", "server"], synAck)],
    [
      "redundant-out",
      segment(scene, ["out", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 }),
    ],
    ["redundant-in", segment(scene, ["in", "server"], { seq: 9501, ack: 1101, flags: TCP.ack, window: 600 })],
  ];
}

/** The next that client or server has to say in such a connection. */
export function speak(scene: Scene, by: Direction): Step {
  const client = { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 };
  const server = { seq: 9501, ack: 1101, flags: TCP.ack, window: 600 };
  return by === "up"
    ? ["upstream", segment(scene, ["in", "client"], client, new Uint8Array(50))]
    : ["downstream", segment(scene, ["out", "server"], server, new Uint8Array(9))];
}

/** What a role's frames leave by while a box serves. */
export function wayOf(role: Role, box: "primary" | "redundant"): Role {
  if (role === "upstream") return `${box}-in`;
  if (role === "downstream") return `${box}-out`;
  return role.endsWith("-in") ? "upstream" : "downstream";
}

/** Plays steps that pass, each when the one before has come through. */
export async function play(
  bench: Bench,
  box: "primary" | "redundant",
  steps: readonly Step[],
): Promise<void> {
  for (const [role, frame] of steps) {
    const to = wayOf(role, box), text = frame.toHex();
    const arrived = () =>
      bench.arrivals.filter((one) => one.role === to && one.bytes.toHex() === text).length;
    const before = arrived();
    await bench.send(role, frame);
    await bench.until(() => arrived() > before, `a frame at ${to}`);
  }
}

/** Waits until the node has opened its ports and works. */
export const awake = (bench: Bench, box: "primary" | "redundant") =>
  bench.settle([
    ["upstream", `${box}-in`],
    ["downstream", `${box}-out`],
    [`${box}-in`, "upstream"],
    [`${box}-out`, "downstream"],
  ]);
