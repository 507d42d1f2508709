/**
 * One finding of the doctor: a sentence, and one fix where something is to be done.
 *
 * Pure. `fail` keeps the node from running; `warn` does not, but someone will wish to have known.
 */

export interface Finding {
  readonly level: "ok" | "warn" | "fail";
  /** "hugepages", "port upstream". */
  readonly topic: string;
  readonly text: string;
  /** What to do, often a command; null when nothing is to be done. */
  readonly fix: string | null;
}

export function ok(topic: string, text: string): Finding {
  return { level: "ok", topic, text, fix: null };
}

export function warn(topic: string, text: string, fix: string): Finding {
  return { level: "warn", topic, text, fix };
}

export function fail(topic: string, text: string, fix: string): Finding {
  return { level: "fail", topic, text, fix };
}
