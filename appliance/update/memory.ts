/**
 * Duty: what the machine remembers of updates on its data partition: what is in the slots, reports, versions that failed.
 *
 * Nothing here decides what starts: a data partition that is lost, full or nonsense costs the history and nothing else. Pure:
 * the text of the file, and how it changes. Every list has a bound.
 */
import { type GateBefore, NOTHING_BEFORE } from "./gate.ts";
import { SLOT_NAMES, type SlotName, type UpdateReport } from "./contract.ts";

const REPORTS_MAX = 50;
const BAD_MAX = 32;

export interface Origin {
  readonly version: string | null;
  /** SHA-256 of the bundle, hexadecimal. */
  readonly digest: string | null;
}

/** A bundle on its way into a slot: kept from before the first byte until a report tells how it ended. */
export interface Intent extends Origin {
  readonly slot: SlotName;
  readonly before: GateBefore;
}

export interface UpdateMemory {
  readonly origins: Readonly<Record<SlotName, Origin>>;
  readonly intent: Intent | null;
  /** The youngest last. */
  readonly reports: readonly UpdateReport[];
  readonly badVersions: readonly string[];
}

const UNKNOWN_ORIGIN: Origin = { version: null, digest: null };

export const NO_MEMORY: UpdateMemory = {
  origins: { A: UNKNOWN_ORIGIN, B: UNKNOWN_ORIGIN },
  intent: null,
  reports: [],
  badVersions: [],
};

export function withReport(memory: UpdateMemory, report: UpdateReport): UpdateMemory {
  return { ...memory, reports: [...memory.reports, report].slice(-REPORTS_MAX) };
}

export function withBad(memory: UpdateMemory, version: string | null): UpdateMemory {
  if (version === null || memory.badVersions.includes(version)) return memory;
  return { ...memory, badVersions: [...memory.badVersions, version].slice(-BAD_MAX) };
}

/** A version that proved itself is bad no longer. */
export function withoutBad(memory: UpdateMemory, version: string | null): UpdateMemory {
  return { ...memory, badVersions: memory.badVersions.filter((bad) => bad !== version) };
}

export function withOrigin(memory: UpdateMemory, slot: SlotName, origin: Origin): UpdateMemory {
  const { version, digest } = origin;
  return { ...memory, origins: { ...memory.origins, [slot]: { version, digest } } };
}

export function memoryText(memory: UpdateMemory): string {
  return `${JSON.stringify(memory, null, 1)}\n`;
}

/** Null: the text is none that `memoryText` made. */
export function parseMemory(text: string): UpdateMemory | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || !isObject(value.origins) || !Array.isArray(value.reports)) return null;
  const { origins, reports, badVersions, intent } = value;
  if (!Array.isArray(badVersions) || !badVersions.every((one) => typeof one === "string")) return null;
  if (!reports.every(isReport) || (intent !== null && !isIntent(intent))) return null;
  const of = (slot: SlotName) => originOf((origins as Record<string, unknown>)[slot]);
  return { origins: { A: of("A"), B: of("B") }, intent: intent as Intent | null, reports, badVersions };
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isText = (value: unknown) => value === null || typeof value === "string";

function isReport(value: unknown): value is UpdateReport {
  return isObject(value) && typeof value.atMs === "number" && typeof value.reason === "string" &&
    isText(value.version) && isText(value.digest) &&
    ["installed", "good", "fell-back", "refused"].includes(String(value.outcome));
}

function isIntent(value: unknown): value is Intent {
  if (!isObject(value) || !SLOT_NAMES.some((name) => name === value.slot)) return false;
  const before = value.before;
  return isText(value.version) && isText(value.digest) && isObject(before) &&
    Object.keys(NOTHING_BEFORE).every((key) => key in before) && Array.isArray(before.links) &&
    Array.isArray(before.peers);
}

function originOf(value: unknown): Origin {
  if (!isObject(value)) return UNKNOWN_ORIGIN;
  const text = (one: unknown) => typeof one === "string" ? one : null;
  return { version: text(value.version), digest: text(value.digest) };
}
