/** BFD sessions from the board to what people see. Pure. */
import type { Board } from "../filter/board.ts";
import { BFD_DIAG, BFD_DISCARD, BFD_STATE, BOX, LIGHT, SIDE } from "../filter/names.ts";
import { addressText } from "./address.ts";
import type { BfdSessionView, BfdView, CounterView } from "./view.ts";

const NS_PER_MS = 1e6;
const US_PER_MS = 1000;

/** RFC 5880, 4.1. */
const DIAGNOSTIC: Readonly<Record<(typeof BFD_DIAG)[number], string>> = {
  none: "no diagnostic",
  detection: "control detection time expired",
  echo: "echo function failed",
  neighbour: "neighbour signaled session down",
  forwarding: "forwarding plane reset",
  path: "path down",
  concatenated: "concatenated path down",
  admin: "administratively down",
  reverse: "reverse concatenated path down",
};

/** A diagnostic in words; a peer may send one that has none. */
export function diagnostic(number: number): string {
  const name = BFD_DIAG[number];
  return name === undefined ? `diagnostic ${number}` : DIAGNOSTIC[name];
}

/** What the detector says of a box: number of the session, its state, its diagnostic and the peer's, a byte each. */
export function bfdReason(detail: number, light: "green" | "yellow" | "red", board: Board): string {
  const [i, state, diag, remote] = [detail & 255, detail >> 8 & 255, detail >> 16 & 255, detail >>> 24];
  const name = i < board.number("command.bfd_count") ? board.text("bfd_order.name", i) : `number ${i}`;
  if (light === "green") return `the session "${name}" is up`;
  const is = `the session "${name}" is ${BFD_STATE[state]?.replace("_", " ") ?? state}`;
  if (light === "yellow") {
    return state === BFD_STATE.indexOf("down") && diagnostic(diag) === DIAGNOSTIC.neighbour && remote === 1
      ? `${is}: the node itself sent too late`
      : `${is}: the peer has shut it down`;
  }
  const peer = diagnostic(diag) === DIAGNOSTIC.neighbour ? `, because of ${diagnostic(remote)}` : "";
  return `${is}: ${diagnostic(diag)}${peer}`;
}

function readSession(board: Board, i: number, monoNs: number): BfdSessionView {
  const number = (field: string) => board.number(`bfd.${field}`, i);
  const order = (field: string) => board.number(`bfd_order.${field}`, i);
  const ago = (field: string) => {
    const at = number(field);
    return at === 0 ? null : Math.max(0, (monoNs - at) / NS_PER_MS);
  };
  const mac = [...board.bytes("bfd.mac", i).subarray(0, 6)].map((b) => b.toString(16).padStart(2, "0"));
  return {
    name: board.text("bfd_order.name", i),
    box: BOX[order("box")] ?? "primary",
    side: SIDE[order("side")] ?? "up",
    peer: addressText(board.bytes("bfd_order.peer", i)),
    local: addressText(board.bytes("bfd_order.local", i)),
    vlan: order("vlan"),
    multihop: order("multihop") === 1,
    light: LIGHT[number("light")] ?? "off",
    state: BFD_STATE[number("state")] ?? "down",
    remoteState: BFD_STATE[number("remote_state")] ?? "down",
    diagnostic: diagnostic(number("diag")),
    remoteDiagnostic: diagnostic(number("remote_diag")),
    mac: number("found") === 1 ? mac.join(":") : null,
    localDiscriminator: number("local_discr"),
    remoteDiscriminator: number("remote_discr"),
    txMs: number("tx_us") / US_PER_MS,
    detectMs: number("detect_us") / US_PER_MS,
    echoMs: number("echo_us") / US_PER_MS,
    polling: number("polling") === 1,
    demand: number("demand") === 1,
    sinceMs: ago("changed_ns"),
    heardMs: ago("heard_ns"),
    echoHeardMs: ago("echo_heard_ns"),
    ups: number("ups"),
    downs: number("downs"),
    sent: number("sent"),
    taken: number("taken"),
    echoesSent: number("echoes_sent"),
    echoesBack: number("echoes_back"),
    echoesReturned: number("echoes_returned"),
    late: number("late"),
    excusedMs: number("excused_ns") / NS_PER_MS,
    discards: readDiscards(board, i),
  };
}

/** Packets of one session that were not taken, by reason; those that are none are left out. */
function readDiscards(board: Board, i: number): CounterView[] {
  const counts = new DataView(board.bytes("bfd.discard", i).buffer);
  return BFD_DISCARD.flatMap((name, why) => {
    const packets = Number(counts.getBigUint64(8 * why, true));
    return packets === 0 ? [] : [{ name, packets, bytes: 0 }];
  });
}

export function readBfd(board: Board, now: { readonly monoNs: number }): BfdView {
  const count = Math.min(board.number("command.bfd_count"), board.count("bfd.state"));
  const done = board.number("live.bfd_done") === board.number("command.bfd_generation");
  const discards = BFD_DISCARD.flatMap((name, i) => {
    const packets = board.number("bfd_discard.packets", i);
    return packets === 0 ? [] : [{ name, packets, bytes: 0 }];
  });
  const sessions = done ? Array.from({ length: count }, (_, i) => readSession(board, i, now.monoNs)) : [];
  return { sessions, discards };
}
