/**
 * Keys of state drivers and their repository: `[driver.NAME]` and `[repository]`. Pure; a part of the one table,
 * config_keys.ts.
 */
import type { Setting } from "../drivers/driver.ts";
import { DRIVER_KINDS, driverKind } from "../drivers/registry.ts";
import { type Key, type Keys, pathFault } from "./config_key.ts";
import { parseRedis, REDIS_FORM } from "./repository/redis_address.ts";

function file(absent: string, example: string, help: string) {
  return {
    type: "text",
    default: null,
    absent,
    example,
    form: "an absolute path",
    fault: (text: string) => pathFault(text, 4000),
    help,
  } as const;
}

function count(least: number, most: number, otherwise: number, help: string) {
  return { type: "integer", min: least, max: most, default: otherwise, help } as const;
}

/** "fw, site-b/fw" in its parts. */
export function sourceList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

const SOURCE = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62}\/)?[a-z][a-z0-9-]{0,30}$/;

export const DRIVER_HELP =
  "State drivers, one table each, under a name of your choice: they read the state of one box and write it into another.";

/** Of every driver; the kind has more. */
export const DRIVER = {
  kind: {
    type: "choice",
    choices: DRIVER_KINDS.map(({ kind }) => kind) as readonly string[],
    default: null,
    required: true,
    example: "memory",
    help: "What box it talks to, and how. `remediate drivers` lists the kinds.",
  },
  box: {
    type: "text",
    default: null,
    required: true,
    form: "the name of a box of this file",
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name of a box",
    example: "primary",
    help: "The box whose state it reads or writes.",
  },
  role: {
    type: "choice",
    choices: ["source", "replica"],
    default: null,
    required: true,
    example: "source",
    help:
      "`source` reads the state of its box into the repository; `replica` writes into its box what sources tell.",
  },
  from: {
    type: "text",
    default: null,
    absent: "every source of this file on another box whose records it takes",
    example: "fw-a",
    form: "names of source drivers, separated by commas; those of another node as NODE/DRIVER",
    fault: (text) => sourceList(text).every((name) => SOURCE.test(name)) ? null : "is no list of drivers",
    help: "Of a replica: the sources it reads.",
  },
  reread_ms: count(
    100,
    3_600_000,
    5_000,
    "How often the box is read, of a source that is not told of changes.",
  ),
} as const satisfies Keys;

/** All keys of a driver's table, as far as its kind is known. */
export function driverKeys(table: Readonly<Record<string, unknown>>): Keys {
  const kind = typeof table.kind === "string" ? driverKind(table.kind) : null;
  return { ...DRIVER, ...(kind === null ? {} : settingKeys(kind.settings)) };
}

export function settingKeys(settings: Readonly<Record<string, Setting>>): Keys {
  return Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, keyOf(setting)]));
}

function keyOf(setting: Setting): Key {
  const { help, required } = setting;
  const common = { help, ...(required && { required }) };
  switch (setting.type) {
    case "integer": {
      const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = setting;
      return { ...common, type: "integer", min, max, default: numberOf(setting.default) };
    }
    case "boolean":
      return {
        ...common,
        type: "boolean",
        default: setting.default === undefined ? null : setting.default === true,
      };
    case "choice":
      return { ...common, type: "choice", choices: setting.choices ?? [], default: textOf(setting.default) };
    case "text": {
      const fault = setting.fault ?? ((text: string) => text === "" ? "is empty" : null);
      const form = setting.secret ? "an absolute path of a file with mode 0600" : "a text";
      return { ...common, type: "text", form, fault, default: textOf(setting.default) };
    }
  }
}

const numberOf = (value: Setting["default"]) => value === undefined ? null : Number(value);
const textOf = (value: Setting["default"]) => value === undefined ? null : String(value);

export const REPOSITORY = {
  kind: {
    type: "choice",
    choices: ["embedded", "redis"],
    default: "embedded",
    help:
      "Where records are kept between boxes: in this node, or in Redis or Valkey, for boxes of several nodes.",
  },
  key_file: file(
    "`state.key` in `node.state_directory`, made at the first start; required with `redis`",
    "/etc/remediate/state.key",
    "The secret by which records are sealed, 64 hexadecimal digits, the same on every node. For the node's user alone (0600).",
  ),
  url: {
    type: "text",
    default: "redis://127.0.0.1:6379",
    form: REDIS_FORM,
    fault: (text) => parseRedis(text) === null ? "is no address of Redis" : null,
    help: "Where Redis or Valkey is.",
  },
  prefix: {
    type: "text",
    default: "remediate",
    form: "1 to 63 letters, digits, dots, dashes, colons and underscores",
    fault: (text) => /^[A-Za-z0-9._:-]{1,63}$/.test(text) ? null : "is no prefix",
    help: "Stands in front of every key in Redis.",
  },
  user: {
    type: "text",
    default: null,
    absent: "the default user",
    example: "remediate",
    form: "1 to 63 letters, digits, dots, dashes and underscores",
    fault: (text) => /^[A-Za-z0-9._-]{1,63}$/.test(text) ? null : "is no user",
    help: "A user of Redis's access list (ACL).",
  },
  password_file: file("no password", "/etc/remediate/redis.password", "A file with the password (0600)."),
  ca: file(
    "authorities of the system",
    "/etc/remediate/redis-ca.pem",
    "Who has signed the server's certificate, PEM.",
  ),
  certificate: file("none", "/etc/remediate/redis.pem", "The node's own certificate for Redis, PEM."),
  key: file("none", "/etc/remediate/redis.key", "The key of `certificate`, PEM (0600)."),
  records_max: count(
    100,
    1_000_000,
    100_000,
    "Records kept of each source; beyond it the one that changed longest ago goes, counted as `evicted`.",
  ),
  log_max: count(
    100,
    1_000_000,
    20_000,
    "Changes kept of each source. A replica that is behind by more reads all records anew.",
  ),
  mib: count(1, 65_536, 128, "The embedded repository's size at most."),
  spool_mib: count(
    1,
    65_536,
    256,
    "With `redis`: how much may wait on disk while it is out of reach. An event says when it will not last.",
  ),
  replica_silence_s: count(
    1,
    86_400,
    60,
    "A replica that was not heard of for so long holds no change back from being trimmed.",
  ),
  tombstone_s: count(10, 604_800, 3_600, "How long it is known that a record ended."),
} as const satisfies Keys;
