/**
 * Duty: the process beside a remote redundant box: makes a board, writes ports into it, hands the thread to C, and tells
 * what changes.
 *
 * It has no configuration file and no API: the node at the other end is where people look. The board is the plane's own.
 */
import { openNative } from "../filter/dpdk.ts";
import { tellFar } from "./far_view.ts";
import { VERSION } from "./version.ts";

const EXIT_PLANE = 3;
const NO_CORE = 0xffffffff;
const FLOW_SLOTS = 1024;
const LOOK_MS = 100;

export interface FarOptions {
  /** Four ports as the plane takes them: client side and server side of the channel, then those of the box. */
  readonly specs: readonly [string, string, string, string];
  readonly frameBytesMax: number;
  readonly memoryMib: number;
  readonly spinUs: number;
  /** The CPU it stays on; null: not pinned. */
  readonly core: number | null;
  /** Of the board; its lock keeps a second one away. */
  readonly board: string;
}

/**
 * Run the far end until SIGTERM or SIGINT. `say` gets a line for each change of a link or session, and for losses.
 * @returns the exit code: 0, or 3 when it cannot run
 */
export async function runFar(options: FarOptions, say: (line: string) => void): Promise<number> {
  const native = openNative();
  const map = native.createBoard(options.board, { slots: FLOW_SLOTS, version: VERSION });
  const { board } = map;
  options.specs.forEach((spec, i) => board.setText("setup.spec", spec, i));
  board.setNumber("setup.frame_bytes_max", options.frameBytesMax);
  board.setNumber("setup.memory_mib", options.memoryMib);
  board.setNumber("setup.core", options.core ?? NO_CORE);
  board.setNumber("setup.cores", 1);
  board.setNumber("setup.spin_us", options.spinUs);
  const stop = () => map.publish("command.stop", 1);
  const tell = tellFar();
  const look = () => tell(board).forEach(say);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);
  const timer = setInterval(look, LOOK_MS);
  const result = await map.runFar();
  clearInterval(timer);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, stop);
  if (result === 0) look();
  else say(board.text("header.error"));
  for (const path of [options.board, `${options.board}.lock`]) await Deno.remove(path).catch(() => {});
  return result === 0 ? 0 : EXIT_PLANE;
}
