/**
 * State drivers and their repository in the configuration: keys against each other, and what comes of them. Pure.
 */
import type { DriverKind, Settings } from "../drivers/driver.ts";
import { canBe, driverKind, takes } from "../drivers/registry.ts";
import type { View } from "./config_checks.ts";
import type { Values } from "./config_key.ts";
import { type REPOSITORY, sourceList } from "./config_keys_state.ts";
import type { Shape } from "./config_shape.ts";
import { parseRedis } from "./repository/redis_address.ts";
import { BOXES } from "./view.ts";

export interface DriverConfig {
  readonly name: string;
  readonly kind: string;
  readonly box: string;
  readonly role: "source" | "replica";
  /** Of a replica: names of sources, "DRIVER" of this node or "NODE/DRIVER". */
  readonly from: readonly string[];
  readonly pollMs: number;
  /** Of the kind. */
  readonly settings: Settings;
}

export interface RepositoryConfig extends Values<typeof REPOSITORY> {
  readonly keyFile: string;
  /** The key's file is the node's own to make. */
  readonly makesKey: boolean;
  readonly directory: string;
}

const namesOf = ({ names }: Shape) => names.get("driver") ?? [];
const at = (shape: Shape, name: string, key: string) => shape.values.get(`driver.${name}.${key}`);

/** Only for a shape without problems. */
export function driversOf(shape: Shape): DriverConfig[] {
  return namesOf(shape).map((name) => {
    const kind = driverKind(String(at(shape, name, "kind")))!;
    const from = at(shape, name, "from");
    return {
      name,
      kind: kind.kind,
      box: boxNamed(shape, String(at(shape, name, "box"))) ?? "",
      role: at(shape, name, "role") as DriverConfig["role"],
      from: from === null ? sourcesFor(shape, name) : sourceList(String(from)),
      pollMs: Number(at(shape, name, "reread_ms")),
      settings: settingsOf(shape, name, kind),
    };
  });
}

/** Those of the kind; what is absent without a default is left out. */
function settingsOf(shape: Shape, name: string, { settings }: DriverKind): Settings {
  const given = Object.keys(settings).map((key) => [key, at(shape, name, key) ?? null] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== null)) as Settings;
}

/** Sources of this file on other boxes, with a codec in common. */
function sourcesFor(shape: Shape, replica: string): string[] {
  if (at(shape, replica, "role") !== "replica") return [];
  const own = driverKind(String(at(shape, replica, "kind")));
  return namesOf(shape).filter((name) => {
    const kind = driverKind(String(at(shape, name, "kind")));
    const isOther = at(shape, name, "role") === "source" &&
      boxNamed(shape, String(at(shape, name, "box"))) !== boxNamed(shape, String(at(shape, replica, "box")));
    if (!isOther || kind === null || own === null) return false;
    // One that only reads its box need not say what of others it would take.
    return kind.abilities.codecs.length === 0 ||
      kind.abilities.codecs.some((codec) => codec === "*" || takes(own.abilities, codec));
  });
}

/** A box by either of its names; null: there is none. */
function boxNamed({ lists, values }: Shape, name: string): string | null {
  const boxes = BOXES.slice(0, 2 + (lists.get("redundant") ?? 0));
  const index = boxes.findIndex((box, place) =>
    box === name || (place >= 2 && values.get(`redundant[${place - 2}].name`) === name)
  );
  return boxes[index] ?? null;
}

/** All tables `[driver.NAME]`, and `[repository]` where there are any. */
export function stateDrivers(view: View): void {
  const { shape } = view;
  for (const name of namesOf(shape)) driver(view, name);
  repository(view, namesOf(shape).length > 0);
}

function driver(view: View, name: string): void {
  const { shape } = view, path = `driver.${name}`;
  const box = view.text(`${path}.box`), role = view.text(`${path}.role`);
  if (box !== null && boxNamed(shape, box) === null) {
    view.problem(`${path}.box`, "is no box of this file", "the name of a box, as in `remediate box list`");
  }
  const kind = driverKind(view.text(`${path}.kind`) ?? "");
  if (kind !== null && (role === "source" || role === "replica") && !canBe(role, kind.abilities)) {
    const why = role === "source" ? "cannot read its box" : "cannot write into its box";
    view.problem(`${path}.role`, `is ${role}, and kind ${kind.kind} ${why}`);
  }
  // Of settings that are wrong each by itself that has been told.
  const isGood = shape.problems.every(({ key }) => !key.startsWith(`${path}.`));
  const fault = kind !== null && isGood ? kind.fault?.(settingsOf(shape, name, kind)) ?? null : null;
  if (fault !== null) view.problem(`${path}.${fault.key}`, fault.reason);
  const from = view.text(`${path}.from`);
  if (role === "source" && from !== null) {
    view.problem(`${path}.from`, "has no effect: the driver is a source");
  }
  if (role !== "replica") return;
  for (const source of from === null ? [] : sourceList(from)) {
    if (source.includes("/") || at(shape, source, "role") === "source") continue;
    view.problem(`${path}.from`, `names "${source}", which is no source of this file`);
  }
  if (from === null && sourcesFor(shape, name).length === 0) {
    view.warning(`${path}.from`, "is left out, and this file has no source for it: nothing will be written");
  }
}

function repository(view: View, used: boolean): void {
  const redis = view.is("repository.kind", "redis");
  const address = parseRedis(view.text("repository.url") ?? "");
  const has = (key: string) => view.shape.given.has(`repository.${key}`);
  const only = ["url", "prefix", "user", "password_file", "ca", "certificate", "key", "spool_mib"];
  for (const key of redis ? [] : only.filter(has)) {
    view.problem(`repository.${key}`, "has no effect: the repository is embedded", 'kind = "redis"');
  }
  if (!redis) return;
  for (const key of ["ca", "certificate", "key"].filter(has)) {
    if (address?.tls === false) {
      view.problem(`repository.${key}`, "has no effect without TLS", "rediss: in front of url");
    }
  }
  if (has("certificate") !== has("key")) {
    const [missing, other] = has("key") ? ["certificate", "key"] : ["key", "certificate"];
    view.problem(`repository.${missing}`, `is missing beside ${other}`);
  }
  if (used && !has("key_file")) {
    view.problem(
      "repository.key_file",
      "is missing: nodes that share a Redis share a secret",
      "an absolute path",
    );
  }
}

export function repositoryConfig(
  values: Values<typeof REPOSITORY>,
  stateDirectory: string,
): RepositoryConfig {
  return {
    ...values,
    keyFile: values.keyFile ?? `${stateDirectory}/state.key`,
    makesKey: values.keyFile === null,
    directory: stateDirectory,
  };
}
