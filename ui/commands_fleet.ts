/** The commands of the fleet, a part of the table in commands.ts: the node's side, then the controller's. */
import { COMMAND_KINDS } from "../appliance/fleet/kinds.ts";
import type { Argument, Command, Option } from "./commands.ts";
import { rolloutCommands } from "./commands_rollout.ts";

interface Shared {
  readonly config: Option;
  readonly json: Option;
}

const SOCKET: Option = {
  name: "socket",
  value: "PATH",
  default: "/run/remediate-fleet/control.sock",
  help: "The controller on this machine.",
};
const NODE: Argument = { name: "NODE", help: "Its id, or its name where only one has it." };
const DONE = { 0: "done", 1: "no controller answers, or it refuses", 2: "bad arguments" } as const;

/** The longer names first: the first that fits is taken. */
export function fleetCommands(shared: Shared): readonly Command[] {
  const rollouts = rolloutCommands({ socket: SOCKET, json: shared.json, exits: DONE });
  return [...ofNode(shared), serve(), ...views(shared), ...order(shared), ...changes(shared), ...rollouts];
}

function ofNode({ config, json }: Shared): readonly Command[] {
  return [
    {
      name: "fleet agent",
      summary: "Report to the controller, and do what it says; a process beside `run`",
      text:
        "Runs in the foreground, until SIGTERM or SIGINT. It connects to the controller of `[fleet]` and asks the " +
        "node by its socket. Whatever becomes of it, or of the controller, forwarding does not know.",
      arguments: [],
      options: [config],
      examples: [{ line: "remediate fleet agent", help: "As the service does." }],
      exits: { 0: "stopped as asked", 1: "failed", 2: "bad arguments or bad configuration" },
    },
    {
      name: "fleet status",
      summary: "Show whether this node is connected to its controller",
      text: "As the agent wrote it last. Ends with 4 if it is not connected.",
      arguments: [],
      options: [config, json],
      examples: [{ line: "remediate fleet status", help: "Is it known there?" }],
      exits: {
        0: "connected",
        1: "there is no agent",
        2: "bad arguments or configuration",
        4: "not connected",
      },
    },
    {
      name: "fleet enrol",
      summary: "Give the agent a one-time token to enrol with",
      text:
        "The token is read from standard input, so that it is in no list of processes. The agent takes it at its next " +
        "try. It is worth nothing when it was used.",
      arguments: [],
      options: [config],
      examples: [{ line: "remediate fleet enrol < token", help: "Then look at `fleet status`." }],
      exits: { 0: "the agent has it", 1: "failed", 2: "bad arguments or configuration" },
    },
    {
      name: "fleet leave",
      summary: "Leave the fleet: the key of this node is removed",
      text:
        "The controller is not told: `fleet revoke` there does the rest. A new token makes it known again.",
      arguments: [],
      options: [config],
      examples: [{ line: "remediate fleet leave", help: "Before the machine goes elsewhere." }],
      exits: { 0: "it has left", 1: "it belonged to none", 2: "bad arguments or configuration" },
    },
  ];
}

const SERVE_BOUNDS: readonly Option[] = [
  {
    name: "heartbeat-s",
    value: "SECONDS",
    min: 1,
    max: 600,
    default: 30,
    help: "How often nodes are asked whether they are there.",
  },
  {
    name: "connections",
    value: "N",
    min: 10,
    max: 200_000,
    default: 20_000,
    help: "At most, of agents and people together.",
  },
  {
    name: "mirrors",
    value: "URLS",
    help:
      "Where nodes fetch bundles from before they ask the controller, with commas between them: directories of " +
      "DIGEST.bundle and DIGEST.bundle.index. What they give is compared with the digest of the roll-out.",
  },
  {
    name: "transfer-kib-s",
    value: "N",
    min: 1,
    max: 2 ** 30,
    help: "How fast a node may fetch a bundle, in KiB a second; without it as fast as it can.",
  },
];

function serve(): Command {
  const path = (name: string, value: string, help: string): Option => ({
    name,
    value: "PATH",
    default: value,
    help,
  });
  return {
    name: "fleet serve",
    summary: "Run a controller, that nodes report to",
    text:
      "Runs in the foreground, until SIGTERM or SIGINT. One port for agents, API and pages, by TLS. It needs no " +
      "rights of root beyond its directories. Its certificate's fingerprint, which nodes are given, is told at the start.",
    arguments: [],
    options: [
      {
        name: "listen",
        value: "ADDRESS",
        default: "0.0.0.0:8444",
        help: "An address and a port.",
      },
      { name: "name", value: "NAME", default: "controller", help: "Of this controller among others." },
      path("state", "/var/lib/remediate-fleet", "The directory for what must survive a restart."),
      path("runtime", "/run/remediate-fleet", "The directory for the socket."),
      { name: "certificate", value: "PATH", help: "The operator's own certificate, as PEM." },
      { name: "key", value: "PATH", help: "Its private key, as PEM." },
      {
        name: "redis",
        value: "URL",
        help:
          "Share the load with other controllers, each with a --name of its own: where their registry is, such as " +
          "redis://HOST:PORT. The password is read from REMEDIATE_REDIS_PASSWORD.",
      },
      ...SERVE_BOUNDS,
    ],
    examples: [{ line: "remediate fleet serve --listen 192.0.2.1:8444", help: "On the management network." }],
    exits: { 0: "stopped as asked", 1: "failed", 2: "bad arguments" },
  };
}

function views({ json }: Shared): readonly Command[] {
  return [
    {
      name: "fleet nodes",
      summary: "List the nodes of the fleet",
      text: "With who is connected, what each runs, and how it is.",
      arguments: [],
      options: [
        SOCKET,
        json,
        { name: "search", value: "TEXT", help: "Only those with this in name or id." },
        { name: "connected", help: "Only those that are connected." },
      ],
      examples: [{ line: "remediate fleet nodes --search berlin", help: "Some of them." }],
      exits: { ...DONE, 0: "listed" },
    },
    {
      name: "fleet show",
      summary: "Show a node: health, slots, findings, last commands",
      text: "As it was last reported.",
      arguments: [NODE],
      options: [SOCKET, json],
      examples: [{ line: "remediate fleet show berlin-1", help: "All that is known of it." }],
      exits: { ...DONE, 0: "shown" },
    },
    {
      name: "fleet events",
      summary: "List what has happened in the fleet",
      text: "Of all nodes, or of one, oldest first; with who was refused and why.",
      arguments: [{ ...NODE, optional: true }],
      options: [
        SOCKET,
        json,
        { name: "limit", value: "N", min: 1, max: 1000, default: 50, help: "Only the last so many." },
      ],
      examples: [{ line: "remediate fleet events", help: "The last fifty." }],
      exits: { ...DONE, 0: "listed" },
    },
  ];
}

function order({ json }: Shared): readonly Command[] {
  return [
    {
      name: "fleet order",
      summary: "Give a node a command",
      text:
        `KIND is one of ${
          COMMAND_KINDS.join(", ")
        }. What it takes, ARGUMENTS as JSON, stands in docs/fleet.md. It is ` +
        "done once or never, when the node is connected; --wait waits for what came of it.",
      arguments: [NODE, { name: "KIND", help: "What is to be done." }, {
        name: "ARGUMENTS",
        optional: true,
        help: "JSON; @FILE reads it from a file.",
      }],
      options: [
        SOCKET,
        json,
        { name: "wait", help: "Until it has ended." },
        {
          name: "output",
          value: "FILE",
          help: "Where the file that comes with the result goes; with --wait.",
        },
      ],
      examples: [{ line: "remediate fleet order berlin-1 drill --wait", help: "A drill from afar." }],
      exits: { ...DONE, 0: "given; with --wait: done", 1: "refused, or it did not succeed" },
    },
  ];
}

function changes({ json }: Shared): readonly Command[] {
  return [
    {
      name: "fleet tokens",
      summary: "List one-time tokens",
      text: "Without their secrets, with the node that used each.",
      arguments: [],
      options: [SOCKET, json],
      examples: [{ line: "remediate fleet tokens", help: "Which wait?" }],
      exits: { ...DONE, 0: "listed" },
    },
    {
      name: "fleet token",
      summary: "Make a one-time token to enrol a node with",
      text: "It is printed once, and kept as a digest.",
      arguments: [],
      options: [
        SOCKET,
        { name: "note", value: "TEXT", help: "What it is for." },
        { name: "hours", value: "N", min: 1, max: 8760, default: 24, help: "How long it is good." },
      ],
      examples: [{
        line: "remediate fleet token --note berlin-1",
        help: "Then `remediate fleet enrol` there.",
      }],
      exits: { ...DONE, 0: "printed" },
    },
    {
      name: "fleet revoke",
      summary: "Revoke a node, or a token that was not used",
      text: "A node's connection ends and its key is worth nothing any more.",
      arguments: [{ name: "NODE", help: "A node's id or name, or a token's id." }],
      options: [SOCKET],
      examples: [{ line: "remediate fleet revoke berlin-1", help: "It was stolen." }],
      exits: DONE,
    },
  ];
}
