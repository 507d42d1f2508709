/**
 * Duty: the whole command of a configuration but its rules, written to the board of a plane. An edge: it reads members and
 * frames of probes from files.
 */
import type { MappedBoard } from "../filter/dpdk.ts";
import { writeBfd } from "./bfd_command.ts";
import type { BfdKeys } from "./bfd_keys.ts";
import { writeLeftBoxes, writeReflexes } from "./board_command.ts";
import type { Config } from "./config.ts";
import { readMembers } from "./members.ts";
import { writeGrey, writeProbes } from "./probe_command.ts";
import { readProbeFrame } from "./probe_files.ts";

export interface Commanded {
  readonly config: Config;
  readonly learning: boolean;
  readonly bfdKeys: BfdKeys;
}

/** @returns a sentence for each probe that cannot be sent; the rest is in force */
export function writeCommand(
  { board, publish }: MappedBoard,
  { config, learning, bfdKeys }: Commanded,
): readonly string[] {
  writeReflexes(board, config, learning);
  writeLeftBoxes(board, readMembers(config).left);
  writeBfd(board, publish, config.bfd, bfdKeys);
  writeGrey(board, config.grey);
  return writeProbes(board, publish, config.probes, readProbeFrame);
}
