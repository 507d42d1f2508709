/**
 * Duty: the kinds of commands that a controller may give a node, what each takes, and who may give it. Pure.
 *
 * There is no command that runs a program of the sender's choice, and none opens a shell. Who adds a kind writes it
 * here and gives the agent an executor of that name.
 */
import type { AccessRole } from "../roles.ts";
import { faultIn, type ObjectSchema } from "../schema.ts";
import { choice, count, DIGEST, FLAG, form, list, type Of, record, text } from "./shape.ts";

interface Kind {
  readonly arguments: ObjectSchema;
  readonly role: AccessRole;
  readonly summary: string;
  /** Carried out beside what is under way; others wait for their turn, in order. */
  readonly beside?: true;
}

const CONFIG_LENGTH_MAX = 128 * 1024;

export const KINDS = {
  "config.push": {
    arguments: record({
      text: text(CONFIG_LENGTH_MAX, "the text of a configuration, at most 128 KiB"),
      /** Seconds in which the node has to reach the controller again with it; else the old one comes back. */
      confirmS: count(3600, 10),
    }),
    role: "admin",
    summary: "Take over a configuration, and keep it only if the controller can still be reached with it",
  },
  "drill": {
    arguments: record({ box: choice(["primary", "redundant", "redundant-2", "redundant-3"]) }, ["box"]),
    role: "operator",
    summary: "Canaries through a box that stands by; the signed report comes back",
  },
  "support": {
    arguments: record({}),
    role: "operator",
    summary: "Fetch what helps to find a fault: status, events, match, doctor",
  },
  "capture": {
    arguments: record({ lastS: count(3600, 1), filter: text(512) }),
    role: "operator",
    summary: "Fetch captured frames of the last seconds, as pcapng",
  },
  "key.rotate": {
    arguments: record({}),
    role: "admin",
    summary: "Make another device key, and forget the old one",
  },
  "update.offer": {
    arguments: record({
      version: text(64),
      digest: DIGEST,
      bytes: count(2 ** 40, 1),
      /** Where it may be fetched; tried in order. */
      sources: list(
        form("^(https?://[^\\s]{1,500}|/[^\\s]{1,500})$", "a URL, or a path at the controller"),
        8,
      ),
      /** An older version, or one known as bad, is taken too: a person asked for it. */
      force: FLAG,
      /** Of the transfer. */
      bytesPerSecondMax: count(2 ** 40, 1),
    }, ["bytesPerSecondMax"]),
    role: "admin",
    summary: "Fetch a bundle and install it into the slot that is not running",
  },
  "update.cancel": {
    arguments: record({ command: count() }),
    role: "operator",
    summary: "Stop a transfer of an update; what was fetched stays for the next try",
    beside: true,
  },
  "update.restart": {
    arguments: record({ digest: DIGEST }),
    role: "admin",
    summary: "Restart into the slot on trial, if it holds this bundle",
  },
  "update.roll-back": {
    arguments: record({}),
    role: "admin",
    summary: "Start the other slot next, if it was good",
  },
} as const satisfies Readonly<Record<string, Kind>>;

export type CommandKind = keyof typeof KINDS;
export type CommandArguments<K extends CommandKind> = Of<(typeof KINDS)[K]["arguments"]>;
export const COMMAND_KINDS = Object.keys(KINDS) as readonly CommandKind[];

export function isKind(name: string): name is CommandKind {
  return Object.hasOwn(KINDS, name);
}

/** Whether it is carried out beside what is under way. */
export function isBeside(kind: CommandKind): boolean {
  const declared: Kind = KINDS[kind];
  return declared.beside === true;
}

/** What is wrong with a command's arguments, in one sentence; null: nothing. */
export function argumentsFault(kind: CommandKind, given: unknown): string | null {
  return faultIn(KINDS[kind].arguments, given, "arguments");
}
