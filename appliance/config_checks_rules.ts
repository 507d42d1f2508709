/** Cross-checks of the filter's rules: what contradicts, what could never act. Pure. */
import { type FilterRule, PRESETS } from "../filter/rule.ts";
import type { View } from "./config_checks.ts";
import { RULE, RULES_MAX } from "./config_keys.ts";

export function rules(view: View): void {
  const preset = view.text("filter.preset");
  const own = preset === null ? 0 : presetRules(preset).length;
  if (view.count("filter.rules") + own > RULES_MAX) {
    const reason = `are too many: ${view.count("filter.rules")}, and ${own} of the preset`;
    view.problem("filter.rules", reason, `at most ${RULES_MAX - own}`);
  }
  const names = new Map<string, number>();
  let open: number | null = null;
  for (let index = 0; index < view.count("filter.rules"); index++) {
    const path = `filter.rules[${index}]`;
    const name = view.text(`${path}.name`);
    if (name !== null) ruleName(view, path, { name, first: names.get(name), preset });
    if (name !== null && !names.has(name)) names.set(name, index);
    ruleEffect(view, path);
    if (open !== null) {
      view.warning(path, `is never reached: filter.rules[${open}] has no match and takes every flow`);
    }
    if (open === null && view.shape.values.get(`${path}.match`) === null) open = index;
  }
}

function presetRules(preset: string): readonly FilterRule[] {
  return Object.entries(PRESETS).find(([name]) => name === preset)?.[1] ?? [];
}

function ruleName(
  view: View,
  path: string,
  of: { name: string; first: number | undefined; preset: string | null },
) {
  if (of.first !== undefined) {
    view.problem(`${path}.name`, `is the name of filter.rules[${of.first}] as well`, "a name of its own");
  } else if (of.preset !== null && presetRules(of.preset).some((rule) => rule.name === of.name)) {
    view.problem(`${path}.name`, `is the name of a rule of the preset "${of.preset}"`, "a name of its own");
  }
}

/** A rule that contradicts itself, or does nothing. */
function ruleEffect(view: View, path: string): void {
  const settings = Object.keys(RULE).filter((key) => !["name", "match"].includes(key));
  if (view.is(`${path}.none`, true)) {
    for (const key of settings.filter((key) => !["preset", "none", "seed"].includes(key))) {
      const value = view.shape.values.get(`${path}.${key}`);
      if (value) view.problem(`${path}.${key}`, "contradicts none = true of the same rule", "one of the two");
    }
    return;
  }
  const effect = settings.some((key) => {
    const value = view.shape.values.get(`${path}.${key}`);
    // A value that failed the first pass was meant to do something.
    return value === undefined || Boolean(value);
  });
  if (!effect) {
    view.warning(path, "copies and seeds nothing", "none = true where that is meant, or a setting");
  }
  ruleConflicts(view, path);
}

/** Settings that cannot be meant together, the preset's included. */
function ruleConflicts(view: View, path: string): void {
  const base: Partial<FilterRule> = presetRules(view.text(`${path}.preset`) ?? "")[0] ?? {};
  const of = (key: string, inBase: keyof FilterRule) =>
    Number(view.shape.values.get(`${path}.${key}`) ?? base[inBase] ?? 0);
  const both = of("first_bytes", "firstBytesUp");
  const [up, down] = [of("turn_bytes_up", "turnBytesUp"), of("turn_bytes_down", "turnBytesDown")];
  const most = of("turn_bytes_max", "turnBytesMax");
  const first = both + of("first_bytes_up", "firstBytesUp") + of("first_bytes_down", "firstBytesDown");
  const content = first + up + down > 0;
  const given = (key: string) => Boolean(view.shape.values.get(`${path}.${key}`));
  const refuse = (key: string, isWrong: boolean, reason: string, accepted: string) => {
    if (given(key) && isWrong) view.problem(`${path}.${key}`, reason, accepted);
  };
  const everything = of("all", "all") > 0;
  refuse("sample", everything, "contradicts all = true of the same rule", "one of the two");
  refuse(
    "turn_bytes_max",
    up + down === 0,
    "bounds turns, and the rule has none",
    "turn_bytes_up or turn_bytes_down too",
  );
  const room = "at least one turn, or no bound (0)";
  refuse("turn_bytes_max", up + down > 0 && most < Math.max(up, down), "is less than one turn", room);
  const nothing = "has nothing to end: the rule copies no bytes";
  refuse(
    "plaintext",
    !content || everything,
    everything ? "contradicts all = true of the same rule" : nothing,
    "first_bytes or turn_bytes_up too",
  );
  const copied = content || ["first_packets", "first_payload_packets", "sample"].some(given) ||
    of("first_packets", "firstPackets") > 0;
  refuse(
    "acks",
    !copied && !everything,
    "has nothing to acknowledge: the rule copies no payload",
    "first_bytes or first_packets too",
  );
  const unlearnt =
    "needs the handshake: the window's scale is learnt from it, and a box without it has no window";
  refuse("keepalive_window", of("handshake", "handshake") === 0 && !everything, unlearnt, "handshake = true");
}
