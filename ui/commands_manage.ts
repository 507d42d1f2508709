/** The commands on configuration, users and tokens, a part of the table in commands.ts. */
import type { Command, Option } from "./commands.ts";

interface Shared {
  /** How to find the node; the first stage speaks for all. */
  readonly remote: readonly Option[];
  readonly json: Option;
  readonly exits: Command["exits"];
}

const CONFIRM: Option = {
  name: "confirm-s",
  value: "SECONDS",
  min: 0,
  max: 3600,
  default: 90,
  help: "The one before comes back after so long unless you confirm; 0: at once for good.",
};
const ROLE: Option = {
  name: "role",
  value: "ROLE",
  choices: ["viewer", "operator", "admin"],
  default: "viewer",
  help: "viewer looks, operator moves traffic, admin changes the configuration and who may come in.",
};
const USER = { name: "NAME", help: "Letters, digits, dots, dashes and underscores." } as const;

/** The longer names first: the first that fits is taken. */
export function configCommands(shared: Shared): readonly Command[] {
  return [...configChanges(shared), ...configBack(shared)];
}

function configChanges({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "config show",
      summary: "Print the configuration in force",
      text: "The text as it is, and nothing else.",
      arguments: [],
      options: remote,
      examples: [{ line: "remediate config show > new.toml", help: "To change it." }],
      exits,
    },
    {
      name: "config diff",
      summary: "Show how a file differs from the configuration in force",
      text: "A unified diff, and every problem with the file. Changes nothing.",
      arguments: [{ name: "FILE", help: "A configuration." }],
      options: [...remote, json],
      examples: [{ line: "remediate config diff new.toml", help: "What would change?" }],
      exits: { ...exits, 2: "bad arguments, or problems in the file" },
    },
    {
      name: "config apply",
      summary: "Put a configuration in force until you confirm it",
      text:
        "The file is checked, written over the node's own and taken over. Unless it is confirmed in time the one " +
        "before comes back by itself, also when control is started again meanwhile. With any problem the one before stays.",
      arguments: [{ name: "FILE", help: "A configuration." }],
      options: [...remote, CONFIRM, { name: "note", value: "TEXT", help: "Why, for the history." }],
      examples: [
        {
          line: "remediate config apply new.toml && remediate config confirm",
          help: "If you can still type it.",
        },
      ],
      exits: { ...exits, 2: "bad arguments, or problems in the file" },
    },
  ];
}

function configBack({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "config confirm",
      summary: "Keep the configuration that waits to be confirmed",
      text: "After `config apply` or `config rollback`.",
      arguments: [],
      options: remote,
      examples: [{ line: "remediate config confirm", help: "It works." }],
      exits,
    },
    {
      name: "config rollback",
      summary: "Undo the configuration that waits, or go back to an older one",
      text: "Without ID: to the one before. An older one has to be confirmed like any other.",
      arguments: [{ name: "ID", optional: true, help: "As `remediate config history` tells it." }],
      options: [...remote, CONFIRM],
      examples: [{ line: "remediate config rollback 7", help: "It was good then." }],
      exits,
    },
    {
      name: "config history",
      summary: "List the configurations that were in force, the newest first",
      text: "The last 50, with who put them in force and what became of them.",
      arguments: [{ name: "ID", optional: true, help: "Show what this one changed." }],
      options: [...remote, json],
      examples: [{ line: "remediate config history 7", help: "What was changed then?" }],
      exits,
    },
  ];
}

export function accessCommands(shared: Shared): readonly Command[] {
  return [...userCommands(shared), ...tokenCommands(shared)];
}

function userCommands({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "user add",
      summary: "Let somebody in over the network",
      text: "Asks for the password, or reads it from standard input. Takes effect at once.",
      arguments: [USER],
      options: [...remote, ROLE],
      examples: [{ line: "remediate user add ann --role admin", help: "The first one, by root." }],
      exits,
    },
    {
      name: "user remove",
      summary: "Remove a user",
      text: "Sessions of that user end. The only admin cannot be removed.",
      arguments: [USER],
      options: remote,
      examples: [{ line: "remediate user remove ann", help: "She has left." }],
      exits,
    },
    {
      name: "user list",
      summary: "List the users and their roles",
      text: "Nothing is told of passwords.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate user list", help: "Who may come in?" }],
      exits,
    },
    {
      name: "user role",
      summary: "Give a user another role",
      text: "Sessions of that user end. The only admin stays one.",
      arguments: [USER],
      options: [...remote, ROLE],
      examples: [{ line: "remediate user role bob --role operator", help: "He may switch now." }],
      exits,
    },
    {
      name: "user password",
      summary: "Give a user another password",
      text: "Asks for it, or reads it from standard input. Sessions of that user end.",
      arguments: [USER],
      options: remote,
      examples: [{ line: "remediate user password ann", help: "She forgot hers." }],
      exits,
    },
  ];
}

function tokenCommands({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "token add",
      summary: "Make a token for a machine, and show it this once",
      text: "For the header `Authorization: Bearer`.",
      arguments: [{ name: "NAME", help: "What it is for." }],
      options: [...remote, ROLE, {
        name: "days",
        value: "N",
        min: 0,
        max: 3650,
        default: 365,
        help: "How long it lives; 0: until it is revoked.",
      }],
      examples: [{ line: "remediate token add prometheus", help: "To read /metrics." }],
      exits,
    },
    {
      name: "token list",
      summary: "List the tokens, without their secrets",
      text: "Nothing is kept that would let a token be shown again.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate token list", help: "Which live, and until when?" }],
      exits,
    },
    {
      name: "token revoke",
      summary: "Revoke a token",
      text: "Takes effect at once.",
      arguments: [{ name: "ID", help: "As `remediate token list` tells it." }],
      options: remote,
      examples: [{ line: "remediate token revoke 0123456789ab", help: "It has leaked." }],
      exits,
    },
  ];
}
