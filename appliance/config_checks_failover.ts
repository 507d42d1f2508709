/**
 * Second pass over a configuration, for what judges boxes: silence, votes, damping, checks.
 *
 * Pure; config_checks.ts calls it.
 */
import type { View } from "./config_checks.ts";
import { CHECKS_MAX } from "./config_keys_check.ts";
import { VOTERS } from "./config_keys_votes.ts";

/** Bounds of learnt silence. A default gives way, so that one key can be changed alone (board_command.ts). */
export function silence(view: View): void {
  const given = (key: string) => view.shape.given.has(`failover.${key}`);
  const at = view.number("failover.silence_ms"), stall = view.number("failover.stall_ms");
  const min = view.number("failover.silence_ms_min"), max = view.number("failover.silence_ms_max");
  if (min && stall !== null && min <= stall && given("silence_ms_min")) {
    const reason =
      `is not longer than failover.stall_ms (${stall}): the node's own stall would pass for a dead box`;
    view.problem("failover.silence_ms_min", reason, `more than ${stall}, or 0 (nothing is learnt)`);
  }
  if (min && at && min > at && given("silence_ms_min")) {
    view.problem(
      "failover.silence_ms_min",
      `is longer than failover.silence_ms (${at})`,
      `at most ${at}, or 0`,
    );
  }
  if (max && at !== null && max < at) {
    view.problem("failover.silence_ms_max", `is shorter than failover.silence_ms (${at})`, `at least ${at}`);
  }
}

/** Votes that nobody has, and damping that never ends or never begins. */
export function votes(view: View): void {
  damping(view);
  const inUse: Readonly<Record<(typeof VOTERS)[number], boolean>> = {
    probe: view.count("probe") > 0,
    bfd: view.count("bfd") > 0,
    grey: view.is("grey.act", true),
    check: view.count("check") > 0,
  };
  const needed = view.number("failover.votes.needed");
  const there = VOTERS.filter((voter) => inUse[voter]);
  const sum = there.reduce((total, voter) => total + (view.number(`failover.votes.${voter}`) ?? 0), 0);
  if (needed !== null && needed > sum && needed > 1) {
    const all = there.length === 0
      ? "no detector with votes is in use"
      : `${there.join(", ")} have ${sum} together`;
    view.problem("failover.votes.needed", `is never reached: ${all}`, `1 to ${Math.max(1, sum)}`);
  }
  for (const voter of VOTERS) {
    const key = `failover.votes.${voter}`;
    if (view.shape.given.has(key) && view.number(key) !== 0 && !inUse[voter]) {
      view.warning(key, "has no effect: the detector is not in use");
    }
  }
}

function damping(view: View): void {
  const above = view.number("failover.damping.suppress_above");
  const below = view.number("failover.damping.reuse_below");
  if (above && below !== null && below >= above) {
    const reason = `is not below failover.damping.suppress_above (${above})`;
    view.problem("failover.damping.reuse_below", reason, `1 to ${above - 1}`);
  }
  const [half, most] = ["half_life_s", "suppress_s_max"].map((key) => view.number(`failover.damping.${key}`));
  if (above && below !== null && below < above && half && most && below * 2 ** (most / half) <= above) {
    const reason = "is so short that no box ever reaches failover.damping.suppress_above";
    view.problem("failover.damping.suppress_s_max", reason, "more, or a shorter half_life_s");
  }
}

/** An alarm that would never clear. */
export function match(view: View): void {
  const below = view.number("match.alarm_below"), from = view.number("match.clear_from");
  if (below && from !== null && from < below) {
    view.problem("match.clear_from", `is below match.alarm_below (${below})`, `${below} to 100`);
  }
}

/** What each kind of check needs and cannot use. */
const NEEDS = {
  icmp: { needs: ["address"], takes: ["address", "interface"] },
  tcp: { needs: ["address", "port"], takes: ["address", "port", "interface"] },
  http: { needs: ["url"], takes: ["url", "server_name"] },
  neighbour: { needs: ["address", "interface"], takes: ["address", "interface"] },
} as const;
const SOME = ["address", "port", "url", "server_name", "interface"] as const;

export function checks(view: View): void {
  if (view.count("check") > CHECKS_MAX) {
    view.problem("check", `are too many: ${view.count("check")}`, `at most ${CHECKS_MAX}`);
  }
  const names = new Map<string, number>();
  for (let index = 0; index < view.count("check"); index++) {
    const path = `check[${index}]`;
    const name = view.text(`${path}.name`);
    if (name !== null && names.has(name)) {
      view.problem(`${path}.name`, `is the name of check[${names.get(name)}] as well`, "a name of its own");
    } else if (name !== null) names.set(name, index);
    checkParts(view, path);
    view.boxIsThere(path);
    const interval = view.number(`${path}.interval_ms`), timeout = view.number(`${path}.timeout_ms`);
    if (interval !== null && timeout !== null && timeout > interval) {
      view.problem(`${path}.timeout_ms`, `is longer than interval_ms (${interval})`, `at most ${interval}`);
    }
  }
}

function checkParts(view: View, path: string): void {
  const kind = view.text(`${path}.kind`) as keyof typeof NEEDS | null;
  if (kind === null) return;
  const { needs, takes } = NEEDS[kind];
  for (const key of SOME) {
    const value = view.shape.values.get(`${path}.${key}`);
    const isGiven = view.shape.given.has(`${path}.${key}`);
    if (needs.some((need) => need === key) && value === null) {
      view.problem(`${path}.${key}`, `is missing: a check of kind "${kind}" needs it`);
    } else if (isGiven && !takes.some((take) => take === key)) {
      view.problem(`${path}.${key}`, `has no use in a check of kind "${kind}"`, `${takes.join(", ")}`);
    }
  }
}
