/** The command for the archive for whoever is to help: a part of the table in commands.ts. */
import type { Command, Option } from "./commands.ts";

export function supportCommand(config: Option): Command {
  return {
    name: "support",
    summary: "Write an archive, without secrets, for somebody who is to help",
    text:
      "Configuration, events, audit, the plane's and the service's log, what a running node says of itself, doctor, " +
      "interfaces and versions. Passwords, keys, tokens and codes are taken out; captures and state are not in it. " +
      "Works without a running node. Look at it before you send it.",
    arguments: [],
    options: [config, {
      name: "output",
      value: "FILE",
      help: "Where to; else support-NAME-TIME.tar.gz in the directory where you are.",
    }],
    examples: [{
      line: "remediate support --output /tmp/support.tar.gz",
      help: "Then `tar tzf` shows what is in it.",
    }],
    exits: { 0: "written", 1: "it cannot be written", 2: "bad arguments or configuration" },
  };
}
