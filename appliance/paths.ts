/** Files of a node by name, so that every part looks for them in the same place. Pure. */
import type { Config } from "./config.ts";

/**
 * The shared memory of the plane, one per runtime directory. Always in memory: on a disk, writing back the pages
 * that the plane dirties would stop its loop for hundreds of milliseconds.
 */
export function boardPath(config: Config): string {
  // Percent-escapes keep two directories apart that differ only in "-" and "/".
  return `/dev/shm/remediate${
    config.node.runtimeDirectory.replace(/[-%]/g, encodeDash).replaceAll("/", "-")
  }`;
}

/** The ring of captured frames, beside the board. */
export function capturePath(config: Config): string {
  return `${boardPath(config)}.capture`;
}

/** The ring of decisions for the flight recorder, beside it. */
export function recorderPath(config: Config): string {
  return `${boardPath(config)}.recorder`;
}

/** The configuration that the running plane was started with: the last one that was found good. */
export function acceptedConfigPath(config: Config): string {
  return `${config.node.runtimeDirectory}/accepted.toml`;
}

/** Where the plane's own words go, so that it does not depend on the life of control. */
export function planeLogPath(config: Config): string {
  return `${config.node.runtimeDirectory}/plane.log`;
}

/** Why the machine's watchdog is not fed any more. */
export function starvedPath(config: Config): string {
  return `${config.node.runtimeDirectory}/starved`;
}

/** Which box served last, in a word. */
export function lastPathPath(config: Config): string {
  return `${config.node.stateDirectory}/last_path`;
}

/** The node's own key, which signs reports of drills. */
export function drillKeyPath(config: Config): string {
  return `${config.node.stateDirectory}/drill.key`;
}

/** Signed reports of drills, one file each. */
export function drillsPath(config: Config): string {
  return `${config.node.stateDirectory}/drills`;
}

/** Events, one JSON object a line. */
export function journalPath(config: Config): string {
  return `${config.node.stateDirectory}/events.jsonl`;
}

/** The history of matches, and proofs of them, one JSON object a line. */
export function matchPath(config: Config): string {
  return `${config.node.stateDirectory}/match.jsonl`;
}

/** Intents of moves of state, and what was merged, one JSON object a line. */
export function movesPath(config: Config): string {
  return `${config.node.stateDirectory}/moves.jsonl`;
}

export function ledgerPath(config: Config): string {
  return `${config.node.stateDirectory}/merged.jsonl`;
}

/** VNFs that were started; forgotten with the machine's restart, like they. */
export function vnfsPath(config: Config): string {
  return `${config.node.runtimeDirectory}/vnfs.json`;
}

/** Which boxes have left. */
export function membersPath(config: Config): string {
  return `${config.node.stateDirectory}/boxes.json`;
}

/** Whether the node is armed or learns. */
export function modePath(config: Config): string {
  return `${config.node.stateDirectory}/mode.json`;
}

/** Users and tokens. */
export function accountsPath(config: Config): string {
  return `${config.node.stateDirectory}/access.json`;
}

/** The device's own key and certificate. */
export function identityPath(config: Config): string {
  return `${config.node.stateDirectory}/api.pem`;
}

/** The one-time code for the first account. */
export function firstCodePath(config: Config): string {
  return `${config.node.runtimeDirectory}/first-code`;
}

/** Who changed what over the API, one JSON object a line. */
export function auditPath(config: Config): string {
  return `${config.node.stateDirectory}/audit.jsonl`;
}

/** Configurations that were in force. */
export function historyPath(config: Config): string {
  return `${config.node.stateDirectory}/config`;
}

function encodeDash(character: string): string {
  return character === "-" ? "%2d" : "%25";
}
