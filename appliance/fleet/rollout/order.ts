/**
 * Duty: a roll-out as a person writes it, in JSON, to an order; or every fault of it, with place and value.
 */
import type { Choice, HourWindow, RolloutOrder, Stage } from "./contract.ts";
import { parseWindow } from "../../failover/window.ts";

export const STAGES_MAX = 16;
export const NAMES_MAX = 1000;
const WINDOWS_MAX = 8;
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;
const DAY_S = 86_400;

export const ORDER_DEFAULTS = {
  concurrentMax: 50,
  haltPercent: 5,
  quorumPercent: 90,
  deadlineS: 3600,
  observeS: 300,
  soakS: 3600,
} as const;

type Fields = Readonly<Record<string, unknown>>;

/** What is wrong is collected, so that a person hears all at once. */
class Faults {
  readonly list: string[] = [];

  add(place: string, value: unknown, wanted: string): void {
    this.list.push(`${place} = ${JSON.stringify(value) ?? "nothing"}: ${wanted}`);
  }

  number(fields: Fields, name: keyof typeof ORDER_DEFAULTS, min: number, max: number): number {
    const value = fields[name] ?? ORDER_DEFAULTS[name];
    if (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    this.add(name, value, `must be a whole number from ${min} to ${max}`);
    return min;
  }

  text(place: string, value: unknown, shape: RegExp, wanted: string): string {
    if (typeof value === "string" && shape.test(value)) return value;
    this.add(place, value, wanted);
    return "";
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function labels(place: string, value: unknown, faults: Faults): Record<string, string> {
  if (isFields(value) && Object.values(value).every((one) => typeof one === "string")) {
    return { ...value } as Record<string, string>;
  }
  faults.add(place, value, 'must be labels, as {"site": "north"}');
  return {};
}

function choiceOf(place: string, value: unknown, faults: Faults): Choice {
  const [kind, ...more] = isFields(value) ? Object.keys(value) : [];
  const wanted = 'must be one of {"nodes": [...]}, {"percent": 10} and {"labels": {...}}';
  if (!isFields(value) || more.length > 0) {
    faults.add(place, value, wanted);
    return { nodes: [] };
  }
  const { nodes, percent } = value;
  if (kind === "labels") return { labels: labels(`${place}.labels`, value.labels, faults) };
  if (kind === "percent" && typeof percent === "number" && percent > 0 && percent <= 100) return { percent };
  const areNames = Array.isArray(nodes) && nodes.length > 0 && nodes.length <= NAMES_MAX &&
    nodes.every((name) => typeof name === "string");
  if (kind === "nodes" && areNames) return { nodes: nodes as string[] };
  faults.add(place, value, `${wanted}; up to ${NAMES_MAX} names, and a percentage above 0 up to 100`);
  return { nodes: [] };
}

function stagesOf(value: unknown, faults: Faults): Stage[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > STAGES_MAX) {
    faults.add("stages", value, `must be a list of 1 to ${STAGES_MAX} stages`);
    return [];
  }
  const stages = value.map((one: unknown, index): Stage => {
    const place = `stages[${index}]`, fields = isFields(one) ? one : {};
    if (!isFields(one)) faults.add(place, one, "must be a stage");
    const { name = `stage ${index + 1}`, ...choice } = fields;
    return {
      name: faults.text(`${place}.name`, name, /^[ -~]{1,64}$/, "must be a short text"),
      choice: choiceOf(place, choice, faults),
    };
  });
  let before = 0;
  stages.forEach(({ choice }, index) => {
    if (!("percent" in choice)) return;
    if (choice.percent <= before) {
      faults.add(
        `stages[${index}].percent`,
        choice.percent,
        `must grow: ${before} came before, and is part of it`,
      );
    }
    before = choice.percent;
  });
  return stages;
}

function windowsOf(value: unknown, faults: Faults): HourWindow[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > WINDOWS_MAX) {
    faults.add("windows", value, `must be a list of up to ${WINDOWS_MAX} windows`);
    return [];
  }
  return value.flatMap((one: unknown, index) => {
    const window = typeof one === "string" ? parseWindow(one) : null;
    if (window === null) faults.add(`windows[${index}]`, one, 'must be hours in UTC, as "02:00-04:30"');
    return window === null ? [] : [window];
  });
}

const KNOWN = [
  "id",
  "bundle",
  "scope",
  "stages",
  "windows",
  ...Object.keys(ORDER_DEFAULTS),
];

/** @returns the order, or every fault, one sentence each */
export function parseOrder(value: unknown): RolloutOrder | readonly string[] {
  if (!isFields(value)) return [`${JSON.stringify(value) ?? "nothing"}: must be a roll-out, as an object`];
  const faults = new Faults();
  for (const name of Object.keys(value)) {
    if (!KNOWN.includes(name)) faults.add(name, value[name], `is not known; known are ${KNOWN.join(", ")}`);
  }
  const bundle = isFields(value.bundle) ? value.bundle : {};
  const bytes = Number(bundle.bytes);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    faults.add("bundle.bytes", bundle.bytes, "must be its size in bytes");
  }
  const order: RolloutOrder = {
    id: faults.text("id", value.id, NAME, "must be a name of letters, digits, dots and dashes, up to 64"),
    bundle: {
      digest: faults.text(
        "bundle.digest",
        bundle.digest,
        /^[0-9a-f]{64}$/,
        "must be a SHA-256 in hexadecimal",
      ),
      version: faults.text("bundle.version", bundle.version, /^[0-9A-Za-z.+_-]{1,64}$/, "must be a version"),
      bytes,
    },
    scope: labels("scope", value.scope ?? {}, faults),
    stages: stagesOf(value.stages, faults),
    windows: windowsOf(value.windows, faults),
    concurrentMax: faults.number(value, "concurrentMax", 1, 100_000),
    haltPercent: faults.number(value, "haltPercent", 0, 100),
    quorumPercent: faults.number(value, "quorumPercent", 1, 100),
    deadlineMs: 1000 * faults.number(value, "deadlineS", 1, 7 * DAY_S),
    observeMs: 1000 * faults.number(value, "observeS", 0, 7 * DAY_S),
    soakMs: 1000 * faults.number(value, "soakS", 0, 30 * DAY_S),
  };
  return faults.list.length === 0 ? order : faults.list;
}
