/** Probes of a configuration: what is wrong with them together, and what they come to. Pure. */
import type { View } from "./config_checks.ts";
import type { Values } from "./config_key.ts";
import { PACE_MS, PROBE, PROBES_MAX } from "./config_keys_probe.ts";
import { BOX, LIMIT, PROBE_EXPECT } from "../filter/names.ts";
import { parseIpAddress } from "../filter/ip_address.ts";
import type { Box } from "./view.ts";

export type Probe = Values<typeof PROBE> & {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Those of this node that `box` means. */
  readonly boxes: readonly Box[];
};

/** With the pace filled in, on a node with these boxes. */
export function probeOf(given: Values<typeof PROBE>, there: readonly Box[]): Probe {
  const { interval, timeout } = PACE_MS[given.expect];
  const meant = (box: Box) =>
    given.box === "all" || (given.box === "both" ? BOX.indexOf(box) < 2 : given.box === box);
  const boxes = there.filter(meant);
  return { ...given, boxes, intervalMs: given.intervalMs ?? interval, timeoutMs: given.timeoutMs ?? timeout };
}

/** Probes of a track that are looked back at are 64; a bound below leaves room for stalls. */
const TIMEOUT_INTERVALS_MAX = 50;

export function probeChecks(view: View): void {
  const count = view.shape.lists.get("probe") ?? 0;
  if (count > PROBES_MAX) view.problem("probe", `are too many: ${count}`, `at most ${PROBES_MAX}`);
  const names = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const path = `probe[${index}]`;
    const name = view.text(`${path}.name`);
    const first = name === null ? undefined : names.get(name);
    if (first !== undefined) {
      view.problem(`${path}.name`, `is the name of probe[${first}] as well`, "a name of its own");
    } else if (name !== null) names.set(name, index);
    view.boxIsThere(path, ["both", "all"]);
    ends(view, path);
    times(view, path);
  }
  bars(view);
}

function ends(view: View, path: string): void {
  const raw = view.is(`${path}.kind`, "raw");
  if (raw) {
    if (view.shape.values.get(`${path}.file`) === null) {
      view.problem(`${path}.file`, "is missing: the kind is raw");
    }
    if (view.is(`${path}.expect`, "answered")) {
      view.problem(`${path}.expect`, "cannot be known of a raw frame", '"seen" or "blocked"');
    }
    return;
  }
  const at = (key: "from" | "to") => {
    const value = view.shape.values.get(`${path}.${key}`);
    if (value === null) view.problem(`${path}.${key}`, "is missing", PROBE[key].form);
    return typeof value === "string" ? parseIpAddress(value) : null;
  };
  const [from, to] = [at("from"), at("to")];
  if (from !== null && to !== null && from.length !== to.length) {
    view.problem(`${path}.to`, "is of another IP version than from", "two IPv4 or two IPv6 addresses");
  }
  const up = view.is(`${path}.direction`, "up");
  const last = 65_536 - 2 * LIMIT.probe_ports, first = view.number(`${path}.from_port`) ?? 0;
  if (view.is(`${path}.expect`, "answered") && view.is(`${path}.kind`, "tcp") && first > last) {
    view.problem(`${path}.from_port`, "leaves no room for 64 ports", `at most ${last}`);
  }
  if (view.is(`${path}.expect`, "answered") && !up) {
    view.problem(
      `${path}.direction`,
      "has no host to answer on the client side",
      '"up" where it is to be answered',
    );
  }
}

function times(view: View, path: string): void {
  const expect = PROBE_EXPECT.find((one) => view.is(`${path}.expect`, one));
  if (expect === undefined) return;
  const of = (key: "interval_ms" | "timeout_ms", absent: number) =>
    view.shape.values.get(`${path}.${key}`) === null ? absent : view.number(`${path}.${key}`);
  const interval = of("interval_ms", PACE_MS[expect].interval),
    timeout = of("timeout_ms", PACE_MS[expect].timeout);
  if (interval !== null && timeout !== null && timeout > TIMEOUT_INTERVALS_MAX * interval) {
    const most = `${TIMEOUT_INTERVALS_MAX * interval} at most`;
    view.problem(`${path}.timeout_ms`, `is more than ${TIMEOUT_INTERVALS_MAX} times interval_ms`, most);
  }
  const stale = view.number("failover.votes.probe_stale_ms");
  if (interval !== null && stale !== null && interval >= stale) {
    const reason =
      `is not below failover.votes.probe_stale_ms (${stale}): what a probe said would not last to the next`;
    view.problem(`${path}.interval_ms`, reason, `less than ${stale}`);
  }
  const stall = view.number("failover.stall_ms");
  if (timeout !== null && stall !== null && timeout < stall) {
    const reason =
      `is shorter than failover.stall_ms (${stall}): the node's own stall would pass for a lost probe`;
    view.warning(`${path}.timeout_ms`, reason, `${stall} or more`);
  }
}

function bars(view: View): void {
  const keys = ["loss_low_percent", "loss_percent", "loss_high_percent"];
  keys.slice(1).forEach((key, i) => {
    const low = view.number(`grey.${keys[i]}`), high = view.number(`grey.${key}`);
    if (low !== null && high !== null && high <= low) {
      view.problem(`grey.${key}`, `is not above grey.${keys[i]} (${low})`, `more than ${low}`);
    }
  });
}
