/** The commands of a controller's roll-outs, a part of those of the fleet (commands_fleet.ts). */
import type { Argument, Command, Option } from "./commands.ts";

interface Shared {
  readonly socket: Option;
  readonly json: Option;
  readonly exits: Command["exits"];
}

const STATE: Option = {
  name: "state",
  value: "STATE",
  help: "Only nodes that are so: failed, waiting, left, good.",
};
const ID: Argument = { name: "ROLLOUT", help: "Its id." };

export function rolloutCommands({ socket, json, exits }: Shared): readonly Command[] {
  const simple = (verb: string, summary: string, text: string): Command => ({
    name: `fleet rollout ${verb}`,
    summary,
    text,
    arguments: [ID],
    options: [socket],
    examples: [{ line: `remediate fleet rollout ${verb} spring`, help: "The one that is called spring." }],
    exits,
  });
  return [
    {
      name: "fleet rollout list",
      summary: "List roll-outs, with how far they are",
      text: "All that are kept: those that go on, and the youngest of those that are over.",
      arguments: [],
      options: [socket, json],
      examples: [{ line: "remediate fleet rollout list", help: "What is going on?" }],
      exits,
    },
    {
      name: "fleet rollout show",
      summary: "Show a roll-out: its stages, and why each node is where it is",
      text: "Those nodes first that something is the matter with. Ends with 4 if it is halted.",
      arguments: [ID],
      options: [
        socket,
        json,
        STATE,
        { name: "limit", value: "N", min: 1, max: 1000, default: 20, help: "At most so many nodes." },
      ],
      examples: [{ line: "remediate fleet rollout show spring --state failed", help: "Where did it fail?" }],
      exits: { ...exits, 4: "it is halted" },
    },
    makeCommand(socket, exits),
    simple("start", "Start a roll-out, or go on with it", "What failed so far is forgiven then."),
    simple(
      "pause",
      "Offer nothing more for now",
      "What is under way goes on to its end, but nobody restarts.",
    ),
    simple("abort", "End a roll-out for good", "What has restarted is watched to its end."),
    {
      name: "fleet rollout allow",
      summary: "Let a node try again what failed or fell back there",
      text: "Without it a version that fell back on a node is never offered there again.",
      arguments: [ID, { name: "NODE", help: "Its id, or its name where only one has it." }],
      options: [socket],
      examples: [{ line: "remediate fleet rollout allow spring berlin-1", help: "Its disk was replaced." }],
      exits,
    },
    bundleCommand(json),
  ];
}

function bundleCommand(json: Option): Command {
  return {
    name: "fleet bundle",
    summary: "Put a bundle where nodes can fetch it",
    text: "On the controller's machine. Its digest, which a roll-out names, is printed.",
    arguments: [{ name: "FILE", help: "The bundle." }],
    options: [json, {
      name: "state",
      value: "PATH",
      default: "/var/lib/remediate-fleet",
      help: "The directory of the controller.",
    }],
    examples: [{ line: "remediate fleet bundle remediate-1.1.0.raucb", help: "Before the roll-out." }],
    exits: { 0: "it is there", 1: "failed", 2: "bad arguments" },
  };
}

function makeCommand(socket: Option, exits: Command["exits"]): Command {
  return {
    name: "fleet rollout make",
    summary: "Make a roll-out from a file",
    text: "JSON as in docs/fleet.md. Nothing is offered before it is started.",
    arguments: [{ name: "FILE", help: "The roll-out; - is standard input." }],
    options: [socket],
    examples: [{ line: "remediate fleet rollout make spring.json", help: "Then start it." }],
    exits,
  };
}
