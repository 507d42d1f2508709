/**
 * The one table of subcommands.
 *
 * Parsing (arguments.ts) and every help page (help.ts) are derived from it, so that nothing is accepted that
 * the help does not tell, and nothing is told that is not accepted.
 */

import { boxCommands } from "./commands_box.ts";
import { accessCommands, configCommands } from "./commands_manage.ts";
import { captureCommands } from "./commands_capture.ts";
import { drillCommands } from "./commands_drill.ts";
import { fleetCommands } from "./commands_fleet.ts";
import { driversTryCommands } from "./commands_drivers_try.ts";
import { farCommand } from "./commands_far.ts";
import { layerCommands } from "./commands_layer.ts";
import { completionCommand } from "./commands_completion.ts";
import { matchCommand } from "./commands_match.ts";
import { modeCommands } from "./commands_mode.ts";
import { mirrorCommands } from "./commands_mirror.ts";
import { probeCommand } from "./commands_probe.ts";
import { recorderCommands, replayCommand } from "./commands_recorder.ts";
import { resetCommand } from "./commands_reset.ts";
import { updateCommands } from "./commands_update.ts";
import { vnfCommands } from "./commands_vnf.ts";
import { supportCommand } from "./commands_support.ts";
import { stateCommands } from "./commands_state.ts";
import { EXPORT_FORMATS } from "../filter/export.ts";

export const EXIT = { ok: 0, failed: 1, input: 2, plane: 3, degraded: 4 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** What the exit codes mean wherever a command does not say it more exactly. */
export const EXIT_MEANING: Readonly<Record<Exit, string>> = {
  0: "done",
  1: "failed",
  2: "bad arguments or bad configuration",
  3: "the plane cannot run",
  4: "degraded: the node is not green",
};

export interface Option {
  /** Without dashes. */
  readonly name: string;
  readonly help: string;
  /** Placeholder of its value; absent: the option is a flag. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** The value is an integer within these bounds. */
  readonly min?: number;
  readonly max?: number;
  readonly default?: string | number;
}

export interface Argument {
  readonly name: string;
  /** It may be left out, with all behind it. */
  readonly optional?: true;
  readonly help: string;
}

export interface Example {
  readonly line: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** More, for the command's own page. */
  readonly text: string;
  readonly arguments: readonly Argument[];
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
  /** Codes it may end with, and what each means here. */
  readonly exits: Readonly<Partial<Record<Exit, string>>>;
}

export const DEFAULT_CONFIG = "/etc/remediate/remediate.toml";

const CONFIG: Option = {
  name: "config",
  value: "FILE",
  default: DEFAULT_CONFIG,
  help: "The configuration.",
};
const SOCKET: Option = {
  name: "socket",
  value: "PATH",
  help: "The API of the node to talk to, instead of the one that --config names.",
};
const JSON_OPTION: Option = { name: "json", help: "Print JSON for machines instead of text for people." };
const STAGE: Option = {
  name: "stage",
  value: "NAME",
  help:
    "The stage of the chain to talk to. Without it the first; of text `status`, `box list` and `reload` all.",
};
const REMOTE = [CONFIG, SOCKET, STAGE];
const FORCE: Option = {
  name: "force",
  help: "Do it although the other box is not known to be alive, or would not carry on enough of the flows.",
};
const INPUT = { 2: "bad arguments" } as const;
const UNREACHABLE = { 1: "no node answers, or it refuses", ...INPUT } as const;

const SHARED = { remote: REMOTE, json: JSON_OPTION, exits: { 0: "done", ...UNREACHABLE } } as const;

/** For what belongs to the whole chain. */
const FIRST = { ...SHARED, remote: [CONFIG, SOCKET] } as const;

export const COMMANDS: readonly Command[] = [
  {
    name: "run",
    summary: "Run the node: starts the plane, or takes over one that is running",
    text: "Runs in the foreground. The configuration is checked first, and before a plane is started so is " +
      "the machine, as by `doctor`. The plane is a process of its own: SIGTERM ends this one and leaves " +
      "the plane forwarding, for the next `run` to take over; SIGINT (Ctrl-C) ends both.",
    arguments: [],
    options: [CONFIG, {
      name: "force",
      help: "Start although doctor finds a fault with the machine or a port.",
    }],
    examples: [{
      line: "remediate run --config /etc/remediate/remediate.toml",
      help: "As the service does.",
    }],
    exits: {
      0: "stopped as asked",
      1: "failed",
      2: "bad arguments or bad configuration",
      3: "the plane cannot run",
    },
  },
  {
    name: "plane",
    summary: "The packet process; started by `run`, not by people",
    text: "Owns the ports and moves the packets, as the board tells it. Ends on SIGTERM or SIGINT.",
    arguments: [],
    options: [CONFIG],
    examples: [],
    exits: { 0: "stopped as asked", 2: "bad arguments or bad configuration", 3: "the plane cannot run" },
  },
  farCommand,
  {
    name: "check",
    summary: "Check a configuration and tell every problem at once",
    text: "Touches nothing and needs no rights: the same check as before `run` and `reload`. What the " +
      "machine makes of the configuration is for `doctor`.",
    arguments: [],
    options: [CONFIG, JSON_OPTION],
    examples: [{ line: "remediate check --config new.toml", help: "Before it replaces the old one." }],
    exits: { 0: "no problem; there may be warnings", 2: "problems, one per line" },
  },
  {
    name: "status",
    summary: "Show the ports, the boxes, who serves and what is mirrored",
    text: "Rates are those of a short moment; counts are since the start of the plane.",
    arguments: [],
    options: [
      ...REMOTE,
      JSON_OPTION,
      { name: "watch", help: "Show it again and again, until interrupted." },
      {
        name: "interval",
        value: "MS",
        min: 100,
        max: 60000,
        default: 1000,
        help: "Time between two showings.",
      },
    ],
    examples: [
      { line: "remediate status", help: "A picture of now." },
      { line: "remediate status --json | jq .light", help: "For a script; the exit code says it too." },
    ],
    exits: { 0: "green", 1: "no node answers", 2: "bad arguments", 4: "yellow or red" },
  },
  {
    name: "flows",
    summary: "List flows, the busiest first",
    text:
      "A flow stands twice where the box rewrites it: as seen from upstream, and as seen from downstream. Packets and " +
      "bytes of a flow of which nothing more is copied stand still, unless its rule seeds or keeps windows: its " +
      'packets pass at a look. A rule "?" was replaced; the next packet chooses another.',
    arguments: [],
    options: [
      ...REMOTE,
      JSON_OPTION,
      { name: "limit", value: "N", min: 1, max: 10000, default: 50, help: "At most so many." },
      {
        name: "side",
        value: "SIDE",
        choices: ["upstream", "downstream"],
        help: "Only flows seen on this side.",
      },
      { name: "search", value: "TEXT", help: "Only flows with this in an address, port, protocol or rule." },
      { name: "unlike", help: "Only flows that a standby would not carry on, with what it made of them." },
    ],
    examples: [
      { line: "remediate flows --side upstream --search 10.1.0.11", help: "Flows of one client." },
      { line: "remediate flows --unlike", help: "What would be lost if the standby took over now." },
    ],
    exits: { 0: "listed", ...UNREACHABLE },
  },
  {
    name: "events",
    summary: "List what has happened: switches, links, boxes, stalls, planes",
    text: "Oldest first. Each has its cause and, for a switch, how long the box was silent and what was " +
      "lost at most.",
    arguments: [],
    options: [
      ...REMOTE,
      JSON_OPTION,
      { name: "limit", value: "N", min: 1, max: 10000, default: 50, help: "Only the last so many." },
    ],
    examples: [{ line: "remediate events --limit 5", help: "The last five." }],
    exits: { 0: "listed", ...UNREACHABLE },
  },
  matchCommand(SHARED),
  probeCommand({ remote: REMOTE, json: JSON_OPTION, exits: { 0: "listed", ...UNREACHABLE } }),
  {
    name: "bfd",
    summary: "Show the BFD sessions with the boxes",
    text:
      "State and diagnostics of both ends, negotiated times, the last packet, and every reason for which a " +
      "packet was not taken.",
    arguments: [],
    options: [...REMOTE, JSON_OPTION],
    examples: [{ line: "remediate bfd", help: "All sessions." }],
    exits: { 0: "every session is up", ...UNREACHABLE, 4: "a session is not up" },
  },
  {
    name: "switchover",
    summary: "Move the traffic to a redundant box",
    text:
      "Without BOX to the first alive, by `order`. Refused, unless forced, where it is not or would lose flows.",
    arguments: [{ name: "BOX", optional: true, help: "By either of its names: `remediate box list`." }],
    options: [...REMOTE, FORCE],
    examples: [
      { line: "remediate switchover", help: "Before the primary is maintained." },
      { line: "remediate switchover redundant-2", help: "To a box of your choice." },
    ],
    exits: { 0: "the traffic is there", ...UNREACHABLE },
  },
  {
    name: "failback",
    summary: "Move the traffic back to the primary",
    text:
      "Refused when the primary is not alive, or its match is below `[match] alarm_below`, unless forced.",
    arguments: [],
    options: [...REMOTE, FORCE],
    examples: [{ line: "remediate failback", help: "After the primary has returned." }],
    exits: { 0: "the traffic is there", ...UNREACHABLE },
  },
  ...modeCommands(SHARED),
  ...boxCommands({ remote: REMOTE, json: JSON_OPTION, exits: { 0: "done", ...UNREACHABLE } }),
  {
    name: "reload",
    summary: "Make the node take over its changed configuration",
    text: "With any problem in it the old one stays in force. Ports, directories and what is in " +
      "[plane] cannot be changed that way, but a further [[redundant]] box with af_packet ports can come.",
    arguments: [],
    options: REMOTE,
    examples: [{ line: "remediate check && remediate reload", help: "Check, then take over." }],
    exits: { 0: "taken over", ...UNREACHABLE },
  },
  {
    name: "doctor",
    summary: "Look for what would keep the node from running, and name the fix",
    text:
      "Looks at rights, CPUs, hugepages, memory, kernel, IOMMU, libraries, disk, clock, each configured port with its driver and " +
      "firmware, and whoever the configuration names. Changes nothing.",
    arguments: [],
    options: [CONFIG, JSON_OPTION],
    examples: [{ line: "remediate doctor", help: "On a new machine, before the first run." }],
    exits: {
      0: "nothing would keep it from running",
      1: "something would",
      2: "bad arguments or configuration",
    },
  },
  {
    name: "bind",
    summary: "Give the configured PCI ports to the driver that the plane needs",
    text:
      "Binds each to vfio-pci, or to uio_pci_generic where there is no IOMMU, until the machine restarts. Does nothing " +
      "at all where one of them carries the default route or your session. Ports of other kinds need it not.",
    arguments: [],
    options: [CONFIG, JSON_OPTION],
    examples: [{
      line: "remediate bind",
      help: "Before `run`, on a machine whose cards the kernel still has.",
    }],
    exits: { 0: "they are bound", 1: "one cannot be", 2: "bad arguments or configuration" },
  },
  {
    name: "filter export",
    summary: "Write the configured rules as a program for another packet processor",
    text: "The rules of the configuration, those of the preset included, as C for eBPF (tc), as a Click " +
      "configuration, or as P4_16 for v1model. What the target means differently stands at the head of the " +
      "output; a rule that it cannot express is refused by name.",
    arguments: [],
    options: [
      CONFIG,
      {
        name: "format",
        value: "FORMAT",
        choices: EXPORT_FORMATS,
        default: "ebpf",
        help: "The target.",
      },
      { name: "output", value: "FILE", help: "Write to this file instead of standard output." },
      {
        name: "partial",
        help: "Leave out what the target cannot express, and say so in the output, instead of refusing.",
      },
    ],
    examples: [
      { line: "remediate filter export --output filter.c", help: "How to compile and attach stands in it." },
      { line: "remediate filter export --format click --partial", help: "As much as Click can do." },
    ],
    exits: {
      0: "written",
      1: "the target cannot express a rule, or the file cannot be written",
      2: "bad arguments or configuration",
    },
  },
  ...driversTryCommands(SHARED),
  ...mirrorCommands(SHARED),
  ...captureCommands(SHARED),
  ...recorderCommands(SHARED),
  replayCommand(SHARED),
  ...drillCommands(SHARED),
  ...layerCommands(SHARED),
  ...vnfCommands(SHARED),
  ...stateCommands(SHARED),
  ...fleetCommands({ config: CONFIG, json: JSON_OPTION }),
  ...updateCommands(SHARED),
  {
    name: "config example",
    summary: "Print a commented configuration with every key and its default",
    text: "A start for your own file.",
    arguments: [],
    options: [],
    examples: [{ line: `remediate config example > ${DEFAULT_CONFIG}`, help: "Then fill in the ports." }],
    exits: { 0: "printed", ...INPUT },
  },
  ...configCommands(FIRST),
  ...accessCommands(FIRST),
  completionCommand,
  supportCommand(CONFIG),
  resetCommand(FIRST),
  {
    name: "version",
    summary: "Print the version",
    text: "Of this program, and what it runs on.",
    arguments: [],
    options: [JSON_OPTION],
    examples: [],
    exits: { 0: "printed", ...INPUT },
  },
];
