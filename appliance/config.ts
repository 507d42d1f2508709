/**
 * The configuration of a node: one TOML text in, one typed value or every problem out.
 *
 * Pure: reading the file is the caller's. The text is parsed (smol-toml), each key is judged on its own
 * (config_shape.ts), then keys against each other (config_checks.ts). Nothing stops at the first problem, and
 * a configuration is only handed out when there is none.
 */
import { parse, TomlError } from "smol-toml";
import type { BudgetLimits } from "../filter/budget.ts";
import { type FilterRule, filterRule, opensTunnels, type Preset, PRESETS } from "../filter/rule.ts";
import { crossCheck, flowSlots } from "./config_checks.ts";
import { type BfdSession, bfdSession } from "./config_bfd.ts";
import { switchSettings } from "./config_external.ts";
import { type DriverConfig, driversOf, type RepositoryConfig, repositoryConfig } from "./config_state.ts";
import type { Camel, Keys, Values } from "./config_key.ts";
import {
  AGES,
  API,
  BFD,
  CAPACITY,
  CAPTURE,
  CHECK,
  DAMPING,
  DRILL,
  FAILOVER,
  FILTER,
  FLEET,
  GREY,
  LOG,
  MATCH,
  NODE,
  PLANE,
  PROBE,
  RECORDER,
  REDUNDANT,
  REPOSITORY,
  RESTORE,
  RULE,
  SEED,
  SWITCH,
  VOTES,
} from "./config_keys.ts";
import { VNF } from "./config_keys_vnf.ts";
import { SILENCE_MS_MIN } from "./config_keys_votes.ts";
import { placeKeys } from "../filter/toml_places.ts";
import { isPort, parsePort, type Port } from "./config_ports.ts";
import { type Probe, probeOf } from "./config_probes.ts";
import { type Problem, readShape, type Shape } from "./config_shape.ts";
import type { SwitchSettings } from "./failover/external/settings.ts";
import { ALL_ROLES, type BaseRole, type Box, BOXES, type Role, ROLES, rolesOfBox } from "./view.ts";

export type { FilterRule, Port, Probe, Problem };

const BYTES_PER_MBIT = 125_000;

/** Where the API is when the text says nothing of it. */
export const DEFAULT_SOCKET = `${NODE.runtime_directory.default}/control.sock`;

/** Sections and keys as in docs/configuration.md, in camelCase: `failover.silenceMs`. */
export interface Config {
  readonly node: Values<typeof NODE>;
  readonly ports: Readonly<Record<BaseRole, Port>> & Readonly<Partial<Record<Role, Port>>>;
  /** In the order of their numbers on the board: the primary, the redundant box, the further ones. */
  readonly boxes: readonly BoxConfig[];
  readonly plane: Values<typeof PLANE> & {
    /** Places of each side's flow table, a power of two: what `flowsMax` amounts to. */
    readonly flowSlots: number;
  };
  readonly filter: {
    readonly preset: Preset;
    /** Of the mirror: whole units, 0 is no bound. */
    readonly budget: BudgetLimits;
    /** Whether flows inside tunnels are told apart. */
    readonly inner: boolean;
    /** Rules of the file, then those of the preset; the first that matches wins. */
    readonly rules: readonly FilterRule[];
    readonly ages: Values<typeof AGES>;
  };
  readonly failover: Omit<Values<typeof FAILOVER>, "silenceMsMin"> & {
    /** 0: silence is not learnt. */
    readonly silenceMsMin: number;
    readonly votes: Values<typeof VOTES>;
    readonly damping: Values<typeof DAMPING>;
  };
  /** Questions to the boxes themselves, in the order of the file. */
  readonly checks: readonly CheckConfig[];
  readonly bfd: readonly BfdSession[];
  /** External ones. */
  readonly switches: readonly SwitchSettings[];
  readonly probes: readonly Probe[];
  readonly grey: Values<typeof GREY>;
  readonly match: Values<typeof MATCH>;
  readonly seed: Values<typeof SEED>;
  readonly capacity: Values<typeof CAPACITY>;
  readonly restore: Values<typeof RESTORE>;
  readonly capture: Values<typeof CAPTURE> & { readonly directory: string };
  readonly recorder: Values<typeof RECORDER> & { readonly directory: string };
  readonly drill: Values<typeof DRILL>;
  readonly fleet: Values<typeof FLEET>;
  /** Names of the stages behind this one; stages.ts makes their configurations. */
  readonly stages: readonly string[];
  /** Boxes that the node starts itself. */
  readonly vnfs: readonly Values<typeof VNF>[];
  readonly api: Values<typeof API> & { readonly socket: string };
  /** In the order of the file. */
  readonly drivers: readonly DriverConfig[];
  readonly repository: RepositoryConfig;
  readonly log: Values<typeof LOG>;
}

export type CheckConfig = Values<typeof CHECK>;

export interface BoxConfig {
  readonly box: Box;
  /** As people call it. */
  readonly name: string;
  /** The lowest of those alive takes over. */
  readonly rank: number;
  /** With `failover.choose = "weight"`. */
  readonly weight: number;
}

export interface Parsed {
  /** Absent if and only if there are problems. */
  readonly config?: Config;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /**
   * Socket of the API as far as the text says, even when other keys are wrong. Absent: the text is no TOML.
   */
  readonly socket?: string;
  /** The runtime directory likewise. */
  readonly runtime?: string;
}

/**
 * The configuration in `text`, or every problem with it. `file` only names the text in messages. Expressions
 * of rules are only judged where `matchFault` (config_match.ts) is given, for it needs libpcap.
 */
export function parseConfig(
  text: string,
  file: string,
  judges: { readonly matchFault?: (expression: string) => string | null } = {},
): Parsed {
  let root: Record<string, unknown>;
  try {
    root = parse(text, { integersAsBigInt: true });
  } catch (error) {
    if (error instanceof TomlError) return { problems: [syntaxProblem(error, file)], warnings: [] };
    throw error;
  }
  const shape = readShape(root, placeKeys(text), file);
  const checked = crossCheck(shape, judges.matchFault ?? (() => null));
  const problems = [...shape.problems, ...checked.problems].sort(byPlace);
  const warnings = [...checked.warnings].sort(byPlace);
  const told = { problems, warnings, socket: socketOf(shape), runtime: runtimeOf(shape) };
  return problems.length > 0 ? told : { ...told, config: build(shape) };
}

/** The ports there are, in the order of their numbers on the board. */
export function configuredRoles(config: Pick<Config, "ports">): Role[] {
  return ALL_ROLES.filter((role) => config.ports[role] !== undefined);
}

/** One line for people: place, key, reason, what was found, what is accepted. */
export function describeProblem(problem: Problem): string {
  const { file, line, column, key, reason, found, accepted } = problem;
  const place = [file, line, key === "" ? column : null].filter((part) => part !== null).join(":");
  const head = key === "" ? place : `${place}: ${key}`;
  const tail = [found === null ? "" : `; found ${found}`, accepted === null ? "" : `; accepted: ${accepted}`];
  return key === "" ? `${head}: ${reason}${tail.join("")}` : `${head} ${reason}${tail.join("")}`;
}

function syntaxProblem(error: TomlError, file: string): Problem {
  const said = error.message.replace(/^Invalid TOML document: /, "").split("\n")[0] ?? "";
  const reason = `Cannot read TOML: ${said}`;
  return { file, line: error.line, column: error.column, key: "", reason, found: null, accepted: null };
}

/** In the order of the text; what stands nowhere comes last. */
function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? Infinity) - (b.line ?? Infinity) || (a.column ?? 0) - (b.column ?? 0) || 0;
}

/** Only for a shape without problems: every path holds a value of its key's type. */
function build(shape: Shape): Config {
  const node = section(shape, "node", NODE);
  const plane = section(shape, "plane", PLANE);
  const filter = section(shape, "filter", FILTER);
  const { deadPolicy } = section(shape, "failover", FAILOVER);
  const own = elements(shape, "filter.rules").map((path) => ruleAt(shape, path));
  const boxes = boxesOf(shape), there = boxes.map(({ box }) => box);
  return {
    node,
    ports: portsOf(shape),
    boxes,
    plane: { ...plane, flowSlots: flowSlots(plane.flowsMax) },
    filter: {
      preset: filter.preset,
      budget: { bytesPerSecond: filter.budgetMbit * BYTES_PER_MBIT, packetsPerSecond: filter.budgetPps },
      inner: filter.inner ?? opensTunnels(filter.preset),
      rules: [...own, ...PRESETS[filter.preset]],
      ages: section(shape, "filter.ages", AGES),
    },
    failover: failoverOf(shape),
    checks: elements(shape, "check").map((path) => section(shape, path, CHECK)),
    bfd: elements(shape, "bfd").map((path) => bfdSession(section(shape, path, BFD))),
    switches: elements(shape, "switch").map((path) =>
      switchSettings(section(shape, path, SWITCH), deadPolicy)
    ),
    probes: elements(shape, "probe").map((path) => probeOf(section(shape, path, PROBE), there)),
    grey: section(shape, "grey", GREY),
    match: section(shape, "match", MATCH),
    seed: section(shape, "seed", SEED),
    capacity: section(shape, "seed.capacity", CAPACITY),
    restore: section(shape, "restore", RESTORE),
    capture: captureOf(shape, node.stateDirectory),
    recorder: recorderOf(shape, node.stateDirectory),
    drill: section(shape, "drill", DRILL),
    fleet: section(shape, "fleet", FLEET),
    stages: elements(shape, "stage").map((path) => String(shape.values.get(`${path}.name`))),
    vnfs: elements(shape, "vnf").map((path) => section(shape, path, VNF)),
    api: { ...section(shape, "api", API), socket: socketOf(shape) },
    drivers: driversOf(shape),
    repository: repositoryConfig(section(shape, "repository", REPOSITORY), node.stateDirectory),
    log: section(shape, "log", LOG),
  };
}

/** Paths of a list's tables. */
function elements(shape: Shape, list: string): string[] {
  return Array.from({ length: shape.lists.get(list) ?? 0 }, (_, index) => `${list}[${index}]`);
}

function section<T extends Keys>(shape: Shape, path: string, keys: T): Values<T> {
  const entries = Object.keys(keys).map((key) => [camel(key), shape.values.get(`${path}.${key}`)]);
  return Object.fromEntries(entries) as Values<T>;
}

function runtimeOf({ values }: Shape): string {
  return String(values.get("node.runtime_directory") ?? NODE.runtime_directory.default);
}

function socketOf(shape: Shape): string {
  return String(shape.values.get("api.socket") ?? `${runtimeOf(shape)}/control.sock`);
}

function failoverOf(shape: Shape): Config["failover"] {
  const failover = section(shape, "failover", FAILOVER);
  const least = shape.given.has("failover.silence_ms") ? 0 : SILENCE_MS_MIN;
  return {
    ...failover,
    silenceMsMin: failover.silenceMsMin ?? least,
    votes: section(shape, "failover.votes", VOTES),
    damping: section(shape, "failover.damping", DAMPING),
  };
}

function captureOf(shape: Shape, stateDirectory: string): Config["capture"] {
  const capture = section(shape, "capture", CAPTURE);
  return { ...capture, directory: capture.directory ?? `${stateDirectory}/capture` };
}

function recorderOf(shape: Shape, stateDirectory: string): Config["recorder"] {
  const recorder = section(shape, "recorder", RECORDER);
  return { ...recorder, directory: recorder.directory ?? `${stateDirectory}/recorder` };
}

const RANK_STEP = 100;
const WEIGHT = 100;

function boxesOf(shape: Shape): BoxConfig[] {
  const further = BOXES.slice(2, 2 + (shape.lists.get("redundant") ?? 0)).map((box, index) => {
    const { name, order, weight } = section(shape, `redundant[${index}]`, REDUNDANT);
    return { box, name: name ?? box, rank: order ?? RANK_STEP * (index + 2), weight };
  });
  return [
    { box: "primary", name: "primary", rank: 0, weight: WEIGHT },
    { box: "redundant", name: "redundant", rank: RANK_STEP, weight: WEIGHT },
    ...further,
  ];
}

function portsOf(shape: Shape): Config["ports"] {
  const base = ROLES.map((role) => [role, portAt(shape, `ports.${role.replace("-", "_")}`)] as const);
  const further = boxesOf(shape).slice(2).flatMap(({ box }, index) => {
    const [inside, outside] = rolesOfBox(box);
    return [
      [inside, portAt(shape, `redundant[${index}].in`)] as const,
      [outside, portAt(shape, `redundant[${index}].out`)] as const,
    ];
  });
  return Object.fromEntries([...base, ...further]) as unknown as Config["ports"];
}

function portAt(shape: Shape, path: string): Port {
  const port = parsePort(String(shape.values.get(path)));
  if (!isPort(port)) throw new TypeError(`Cannot build ports: ${path} ${port.reason}`);
  return port;
}

function ruleAt(shape: Shape, path: string): FilterRule {
  const { name, match, preset, keepaliveS, firstBytes, ...settings } = section(shape, path, RULE);
  const base = preset === null ? undefined : PRESETS[preset][0];
  const set = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
  const keepalive = keepaliveS === null ? {} : { keepaliveMs: keepaliveS * 1000 };
  const both = firstBytes === null ? {} : { firstBytesUp: firstBytes, firstBytesDown: firstBytes };
  return filterRule({ ...base, ...both, ...set, ...keepalive, name, match: match ?? "" });
}

function camel<K extends string>(key: K): Camel<K> {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) as Camel<K>;
}
