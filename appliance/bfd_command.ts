/**
 * BFD sessions of a configuration onto the board. Pure but for the memory it writes.
 *
 * Bracketed by an odd and an even generation, as rules are. The plane wipes the keys as soon as it has them.
 */
import type { Board } from "../filter/board.ts";
import { BOX, LIMIT, SIDE } from "../filter/names.ts";
import { addressBytes, macBytes } from "./address.ts";
import type { BfdKeys } from "./bfd_keys.ts";
import type { Publish } from "./board_command.ts";
import type { BfdSession } from "./config_bfd.ts";

const US_PER_MS = 1000;
/** Types of authentication sections (RFC 5880, 4.1). */
const AUTH: Readonly<Record<BfdSession["auth"], number>> = { none: 0, sha1: 4, "meticulous-sha1": 5 };

/** All sessions as one change. Returns the generation that `live.bfd_done` reaches with it. */
export function writeBfd(
  board: Board,
  publish: Publish,
  sessions: readonly BfdSession[],
  keys: BfdKeys,
): number {
  if (sessions.length > LIMIT.bfd_sessions) {
    throw new RangeError(`Cannot use ${sessions.length} BFD sessions: at most ${LIMIT.bfd_sessions} fit`);
  }
  // Odd from here on; a control that died while writing may have left it odd already.
  const odd = board.number("command.bfd_generation") | 1;
  publish("command.bfd_generation", odd);
  board.setNumber("command.bfd_count", sessions.length);
  sessions.forEach((session, i) => writeSession(board, i, session, keys.get(session.name)));
  const generation = (odd + 1) >>> 0;
  publish("command.bfd_generation", generation);
  return generation;
}

function writeSession(board: Board, i: number, session: BfdSession, key: Uint8Array | undefined): void {
  const numbers: Readonly<Record<string, number>> = {
    box: BOX.indexOf(session.box),
    side: SIDE.indexOf(session.side),
    vlan: session.vlan,
    multihop: session.multihop ? 1 : 0,
    passive: session.passive ? 1 : 0,
    min_tx_us: session.minTxMs * US_PER_MS,
    min_rx_us: session.minRxMs * US_PER_MS,
    multiplier: session.multiplier,
    echo_us: session.echoMs * US_PER_MS,
    auth: AUTH[session.auth],
    key_id: session.keyId,
    key_bytes: key?.length ?? 0,
  };
  board.setText("bfd_order.name", session.name, i);
  for (const [field, value] of Object.entries(numbers)) board.setNumber(`bfd_order.${field}`, value, i);
  const bytes = (field: string, value: Uint8Array | null | undefined, length: number) => {
    const all = new Uint8Array(length);
    if (value) all.set(value);
    board.setBytes(board.offset(`bfd_order.${field}`, i), all);
  };
  bytes("peer", addressBytes(session.peer), 16);
  bytes("local", addressBytes(session.local), 16);
  bytes("gateway", addressBytes(session.gateway), 16);
  bytes("mac", session.mac === null ? null : macBytes(session.mac), 8);
  bytes("key", key, LIMIT.bfd_key_bytes);
}
