/**
 * What of a configuration cannot change while something lives: a plane, or the process that serves the API.
 *
 * Pure. Each difference is named by its key, so that a person finds it in the file.
 */
import type { Config } from "./config.ts";
import { ALL_ROLES, type Role, ROLES } from "./view.ts";

/** Keys in which a running plane would have to be another one. */
export function planeFixed(before: Config, after: Config): string[] {
  const ports = ALL_ROLES.filter((role) => before.ports[role]?.spec !== after.ports[role]?.spec);
  // What is derived from a key is no key.
  const keys = changed(before.plane, after.plane).filter((key) => key !== "flowSlots");
  const memory = changed(before.capture, after.capture).filter((key) => CAPTURE_MEMORY.includes(key));
  const recorder = changed(before.recorder, after.recorder).filter((key) =>
    key === "snapBytes" || (key === "mib" && (before.recorder.mib === 0 || after.recorder.mib === 0))
  );
  return [
    ...ports.map(portKey),
    ...keys.map((key) => `plane.${snake(key)}`),
    ...memory.map((key) => `capture.${snake(key)}`),
    ...recorder.map((key) => `recorder.${snake(key)}`),
  ];
}

/** "ports.primary_in", "redundant[0].out". */
export function portKey(role: Role): string {
  const place = ALL_ROLES.indexOf(role) - ROLES.length;
  if (place < 0) return `ports.${role.replace("-", "_")}`;
  return `redundant[${Math.floor(place / 2)}].${role.endsWith("-in") ? "in" : "out"}`;
}

/** Of the section [capture], what the plane takes its memory by. */
const CAPTURE_MEMORY: readonly string[] = ["bufferMib", "snapBytes"];

/** Ports of boxes that come after those there were before. */
export function addedRoles(before: Config, after: Config): Role[] {
  return ALL_ROLES.filter((role) => before.ports[role] === undefined && after.ports[role] !== undefined);
}

function changed<T extends object>(before: T, after: T): string[] {
  return (Object.keys(before) as (keyof T & string)[]).filter((key) => before[key] !== after[key]);
}

/** Keys that a running node cannot change: those of its plane, and where its own files and socket are. */
export function nodeFixed(before: Config, after: Config): string[] {
  const places: [string, unknown, unknown][] = [
    ["node.state_directory", before.node.stateDirectory, after.node.stateDirectory],
    ["node.runtime_directory", before.node.runtimeDirectory, after.node.runtimeDirectory],
    ...(["socket", "listen", "tls", "certificate", "key"] as const).map((
      key,
    ): [string, unknown, unknown] => [`api.${key}`, before.api[key], after.api[key]]),
  ];
  return [...planeFixed(before, after), ...places.filter(([, a, b]) => a !== b).map(([key]) => key)];
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Why a running node cannot take over this configuration, which has `added` ports; null: it can. */
export function reloadFault(before: Config, config: Config, added: readonly Role[]): string | null {
  const fixed = nodeFixed(before, config).filter((key) => !added.some((role) => portKey(role) === key));
  if (fixed.length > 0) {
    return `${fixed.join(", ")} cannot change while the node runs: stop it and start it again`;
  }
  const others = added.filter((role) => config.ports[role]?.kind !== "af_packet").map(portKey);
  if (others.length === 0) return null;
  return `${others.join(", ")} cannot be opened while the node runs: only af_packet ports can`;
}
