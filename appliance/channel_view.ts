/** Duty: what the board says of the channel of a remote port, as people see it. Pure. */
import type { Board } from "../filter/board.ts";
import type { ChannelView } from "./view.ts";

const NS_PER_US = 1_000;

/** `i`: number of the port. */
export function readChannel(board: Board, i: number): ChannelView {
  const number = (name: string) => board.number(`channel.${name}`, i);
  return {
    open: number("open") === 1,
    sessions: number("sessions"),
    roundTripUs: Math.round(number("rtt_ns") / NS_PER_US),
    unitBytes: number("unit_bytes"),
    sent: number("sent"),
    sentAgain: number("again"),
    gone: number("gone"),
    shed: number("shed"),
    received: number("received"),
    asked: number("asked"),
    recovered: number("recovered"),
    lost: number("lost"),
    farLost: number("far_lost"),
    beyond: number("beyond"),
    repeated: number("repeated"),
    torn: number("torn"),
    refused: number("refused"),
  };
}
