/**
 * The plane process: makes the board, writes the configuration into it, hands the thread to C, and waits.
 *
 * Nothing here runs per packet. The process lives until it is told to stop: SIGTERM, SIGINT, or the stop word on the board.
 */
import { openNative } from "../filter/dpdk.ts";
import { compileFilter } from "../filter/pcap_filter.ts";
import { writeLeftBoxes, writeReflexes, writeRules, writeSetup } from "./board_command.ts";
import type { Config } from "./config.ts";
import { readMode } from "./learning.ts";
import { readLastPath } from "./last_path.ts";
import { readMembers } from "./members.ts";
import { boardPath, capturePath, recorderPath } from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";
import { VERSION } from "./version.ts";

const EXIT_PLANE = 3;

/** Free 2 MiB pages of the machine. */
async function freeHugepagesMib(): Promise<number> {
  const text = await Deno.readTextFile("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").catch(() =>
    "0"
  );
  return Number(text.trim()) * 2;
}

async function wantsHugepages(config: Config): Promise<boolean> {
  if (config.plane.hugepages === "off") return false;
  const free = await freeHugepagesMib();
  if (free >= config.plane.memoryMib) return true;
  if (config.plane.hugepages === "on") {
    throw new Error(
      `Cannot start the plane: plane.hugepages is "on", but only ${free} MiB of hugepages are free and ` +
        `${config.plane.memoryMib} are needed: echo ${
          Math.ceil(config.plane.memoryMib / 2)
        } > /proc/sys/vm/nr_hugepages`,
    );
  }
  console.error(
    `plane: ${free} MiB of hugepages free, ${config.plane.memoryMib} needed: running without hugepages`,
  );
  return false;
}

/** The board of a new plane, set up and ready to run. @throws Error with one sentence */
async function prepare(config: Config) {
  const huge = await wantsHugepages(config);
  const rules = config.filter.rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
  const directory = config.node.runtimeDirectory;
  await Deno.mkdir(directory, { recursive: true, mode: 0o750 }).catch((error: Error) => {
    throw new Error(`Cannot make the runtime directory ${directory}: ${reasonOf(error)}`, { cause: error });
  });
  const native = openNative();
  const map = native.createBoard(boardPath(config), { slots: config.plane.flowSlots, version: VERSION });
  writeSetup(map.board, config, { huge, firstBox: readLastPath(config) });
  writeReflexes(map.board, config, readMode(config).learning);
  writeLeftBoxes(map.board, readMembers(config).left);
  writeRules(map.board, map.publish, rules, config.filter);
  // Forwarding does without either.
  const spare = (what: string, make: () => void) => {
    try {
      make();
    } catch (error) {
      console.error(`plane: ${error instanceof Error ? error.message : error}: running without ${what}`);
    }
  };
  spare("captures", () => map.makeCapture(capturePath(config), config.plane.cores));
  spare("the flight recorder", () => map.makeRecorder(recorderPath(config), config.plane.cores));
  return map;
}

/**
 * Run the plane until it is stopped.
 * @returns the exit code: 0, or 3 when the plane cannot run; the reason is on stderr, and on the board if there is one
 */
export async function runPlane(config: Config): Promise<number> {
  let map: Awaited<ReturnType<typeof prepare>>;
  try {
    map = await prepare(config);
  } catch (error) {
    // A sentence is for the person; anything else is a fault of ours and keeps its stack.
    if (!(error instanceof Error) || !error.message.startsWith("Cannot ")) throw error;
    console.error(`plane: ${error.message}`);
    return EXIT_PLANE;
  }
  const stop = () => map.publish("command.stop", 1);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);
  const result = await map.run();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, stop);
  // It takes memory. Whoever maps it keeps it, and a plane that was started meanwhile has its own.
  for (const path of [boardPath(config), capturePath(config), recorderPath(config)]) {
    await Deno.remove(path).catch(() => {});
  }
  if (result === 0) return 0;
  console.error(`plane: ${map.board.text("header.error")}`);
  return EXIT_PLANE;
}
