/**
 * Duty: what each role of the program may do, as flags of Deno.
 *
 * The first line is for every command that has none of its own: those that only talk to a running node. A surprise: what
 * lies in /proc and /sys Deno shows only to a program that may do everything, and who may use pointers into a library can
 * do everything anyway. So roles that load the plane are held by systemd's units, not from here.
 */
const USUAL = "--allow-read --allow-write --allow-env --allow-sys";
/** Loads the filter or libpcap; looks at nothing of the kernel's. */
const OFFLINE = `${USUAL} --allow-ffi`;
const EVERYTHING = "--allow-all";

const RIGHTS: Readonly<Record<string, string>> = {
  "": `${USUAL} --allow-net`,
  run: EVERYTHING,
  plane: EVERYTHING,
  far: EVERYTHING,
  doctor: EVERYTHING,
  bind: EVERYTHING,
  /** The agent looks at the machine as `doctor` does. */
  fleet: EVERYTHING,
  update: EVERYTHING,
  version: "--allow-env",
  check: OFFLINE,
  config: `${OFFLINE} --allow-net`,
  filter: OFFLINE,
  replay: OFFLINE,
  capture: `${OFFLINE} --allow-net`,
  mirror: `${OFFLINE} --allow-run`,
};

const ALWAYS = "run --quiet --no-prompt --no-config --no-lock --cached-only --unstable-net";

/** Lines of a command and its arguments for Deno. */
export function rightsText(): string {
  return Object.entries(RIGHTS).map(([command, rights]) => `${command || "*"} ${ALWAYS} ${rights}\n`).join(
    "",
  );
}

/** For one file with one set of rights for all commands: `deno compile` knows no more. */
export const WIDEST = EVERYTHING;
