/**
 * Second pass over a configuration: keys against each other.
 *
 * Pure. Each check looks only at values that passed the first pass, so one wrong key is reported once and
 * does not hide the others.
 */
import { BOX, FLOW_BYTES } from "../filter/names.ts";
import { checkBfd } from "./config_bfd.ts";
import { drill } from "./config_checks_drill.ts";
import { fleet } from "./config_keys_fleet.ts";
import { rules } from "./config_checks_rules.ts";
import { api } from "./config_keys_api.ts";
import { FAILOVER, PORTS, REDUNDANT_MAX, RULE, STAGES_MAX } from "./config_keys.ts";
import { checks, match, silence, votes } from "./config_checks_failover.ts";
import { switches } from "./config_external.ts";
import { vnfs } from "./config_checks_vnf.ts";
import { stateDrivers } from "./config_state.ts";
import { isPort, parsePort, type Port, SOCKET_BYTES_MAX } from "./config_ports.ts";
import { probeChecks } from "./config_probes.ts";
import { type Problem, problemAt, type Shape, showValue } from "./config_shape.ts";

export interface Checked {
  readonly problems: Problem[];
  readonly warnings: Problem[];
}

/** Problems and warnings that only show when keys are seen together, or when an expression is compiled. */
export function crossCheck(shape: Shape, matchFault: (expression: string) => string | null): Checked {
  const checked: Checked = { problems: [], warnings: [] };
  const view = new View(shape, checked);
  const all = [
    portsApart,
    boxes,
    remote,
    stages,
    directories,
    cores,
    failover,
    silence,
    votes,
    checks,
    match,
    memory,
    capture,
    drill,
    fleet,
    api,
    rules,
    switches,
    vnfs,
    stateDrivers,
    probeChecks,
  ];
  for (const check of all) {
    check(view);
  }
  checkBfd(view.list("bfd"));
  for (let index = 0; index < view.count("bfd"); index++) view.boxIsThere(`bfd[${index}]`);
  for (let index = 0; index < view.count("filter.rules"); index++) {
    const path = `filter.rules[${index}].match`;
    const match = view.text(path);
    const fault = match === null ? null : matchFault(match);
    if (fault !== null) view.problem(path, `cannot be compiled: ${fault}`, RULE.match.form);
  }
  return checked;
}

/** What one check sees and where it says what it found. */
export class View {
  constructor(readonly shape: Shape, readonly out: Checked) {}

  number(path: string): number | null {
    const value = this.shape.values.get(path);
    return typeof value === "number" ? value : null;
  }

  text(path: string): string | null {
    const value = this.shape.values.get(path);
    return typeof value === "string" ? value : null;
  }

  /** Tables of a list. */
  count(path: string): number {
    return this.shape.lists.get(path) ?? 0;
  }

  /** Paths of the keys that hold ports. */
  ports(): string[] {
    const each = (list: string, keys: readonly string[]) =>
      Array.from({ length: this.count(list) }, (_, i) => keys.map((key) => `${list}[${i}].${key}`)).flat();
    return [
      ...Object.keys(PORTS).map((key) => `ports.${key}`),
      ...each("redundant", ["in", "out"]),
      ...each("stage", ["primary_in", "primary_out", "redundant_in", "redundant_out"]),
    ];
  }

  is(path: string, value: string | boolean | number): boolean {
    return this.shape.values.get(path) === value;
  }

  /** A table's `box` has to be one that the file has ports for, or one of the `other` words. */
  boxIsThere(path: string, other: readonly string[] = []): void {
    const word = this.text(`${path}.box`);
    const there: readonly string[] = BOX.slice(0, 2 + this.count("redundant"));
    if (word === null || there.includes(word) || other.includes(word)) return;
    this.problem(`${path}.box`, "is no box of this node", `one of ${[...there, ...other].join(", ")}`);
  }

  /** The same with the number of a list's tables. */
  list(path: string): View & { readonly count: number } {
    return Object.assign(new View(this.shape, this.out), { count: this.shape.lists.get(path) ?? 0 });
  }

  problem(key: string, reason: string, accepted?: string): void {
    this.#say(this.out.problems, key, reason, accepted);
  }

  warning(key: string, reason: string, accepted?: string): void {
    this.#say(this.out.warnings, key, reason, accepted);
  }

  #say(list: Problem[], key: string, reason: string, accepted?: string): void {
    const value = this.shape.values.get(key);
    const found = value === undefined || value === null ? {} : { found: showValue(value) };
    list.push(problemAt(this.shape, key, { reason, ...found, ...(accepted && { accepted }) }));
  }
}

function portsApart(view: View): void {
  const holder = new Map<string, string>();
  for (const key of view.ports()) {
    const port = portOf(view.text(key));
    if (port === null) continue;
    // Files may be read twice, so a reading pcap port claims only its own text; what is not there belongs to nobody.
    const claims = port.kind === "null" || port.kind === "gen"
      ? []
      : port.claims.length > 0
      ? port.claims
      : [port.spec];
    for (const claim of claims) {
      const other = holder.get(claim);
      if (other === undefined) holder.set(claim, key);
      else {view.problem(
          key,
          `holds ${claim}, which is already ${other}`,
          "a port of its own",
        );}
    }
    if (port.kind === "pci" && view.is("plane.hugepages", "off")) {
      view.warning(
        key,
        "is a PCI port, which rarely works without hugepages",
        'hugepages = "auto"',
      );
    }
  }
}

/** A far end stands beside a box: what comes from outside comes to the node itself. */
function remote(view: View): void {
  for (const key of ["ports.upstream", "ports.downstream"]) {
    if (portOf(view.text(key))?.kind !== "remote") continue;
    view.problem(key, "is remote, which only ports of boxes can be", "a port of this machine");
  }
}

function stages(view: View): void {
  const tables = view.count("stage"), cores = view.number("plane.cores") ?? 1;
  if (tables > STAGES_MAX) view.problem("stage", `are too many: ${tables}`, `at most ${STAGES_MAX}`);
  if (tables > 0 && cores > 2) {
    view.problem("plane.cores", "is more than 2, and stages are joined by ports with one queue", "1 or 2");
  }
  const taken = new Map<string, number>();
  for (let index = 0; index < tables; index++) {
    const name = view.text(`stage[${index}].name`);
    const first = name === null ? undefined : taken.get(name);
    if (first !== undefined) {
      view.problem(`stage[${index}].name`, `is the name of stage[${first}] as well`, "a name of its own");
    } else if (name === "capture" || name === "recorder") {
      view.problem(`stage[${index}].name`, "is a directory of the node's own", "another name");
    }
    if (name !== null && first === undefined) taken.set(name, index);
  }
}

/** Names of boxes, which commands take beside those they have by their place. */
function boxes(view: View): void {
  const tables = view.count("redundant");
  if (tables > REDUNDANT_MAX) {
    view.problem("redundant", `are too many: ${tables}`, `at most ${REDUNDANT_MAX}`);
  }
  const taken = new Map<string, string>(BOX.map((box) => [box, "the name of a box by its place"]));
  for (let index = 0; index < tables; index++) {
    const path = `redundant[${index}].name`, name = view.text(path);
    const holder = name === null || name === BOX[index + 2] ? undefined : taken.get(name);
    if (holder !== undefined) view.problem(path, `is ${holder}`, "a name of its own");
    if (name !== null) taken.set(name, `the name of redundant[${index}] as well`);
  }
}

function directories(view: View): void {
  const runtime = view.text("node.runtime_directory");
  const state = view.text("node.state_directory");
  if (runtime !== null && runtime === state) {
    view.problem("node.runtime_directory", "is the state directory as well", "two different directories");
  }
  const socket = view.text("api.socket");
  if (socket !== null && socket === state) view.problem("api.socket", "is the state directory");
  if (socket !== null && socket === runtime) {
    view.problem(
      "api.socket",
      "is the runtime directory itself",
      `a file, such as "${runtime}/control.sock"`,
    );
  }
  for (const key of view.ports()) {
    const port = portOf(view.text(key));
    if (port?.kind === "memif" && port.target === socket) {
      view.problem(
        key,
        "holds the socket of the API",
        `a socket of at most ${SOCKET_BYTES_MAX} bytes`,
      );
    }
  }
}

function failover(view: View): void {
  const silence = view.number("failover.silence_ms");
  const stall = view.number("failover.stall_ms");
  if (silence && stall !== null && silence < stall) {
    const reason =
      `is shorter than failover.stall_ms (${stall}): the node's own stall would pass for a dead box`;
    view.problem("failover.silence_ms", reason, `${stall} to ${FAILOVER.silence_ms.max}, or 0 (off)`);
  }
  const automatic = view.shape.values.get("failover.automatic");
  if (silence === 0 && automatic === true) {
    view.warning("failover.silence_ms", "is off: a box that dies with its links up will not be noticed");
  }
  if (automatic === false && view.is("failover.failback", "automatic")) {
    view.problem("failover.failback", "is automatic while failover.automatic is false", '"manual"');
  }
  if (view.is("failover.failback", "manual") && view.shape.given.has("failover.failback_after_s")) {
    view.warning("failover.failback_after_s", 'has no effect while failover.failback is "manual"');
  }
  if (view.is("failover.failback", "manual") && view.shape.given.has("failover.failback_window")) {
    view.warning("failover.failback_window", 'has no effect while failover.failback is "manual"');
  }
  if (view.is("failover.bypass", "on_failure") && view.is("failover.dead_policy", "block")) {
    const reason = 'would pass traffic around the boxes, which failover.dead_policy = "block" forbids';
    view.problem("failover.bypass", reason, '"off"');
  }
  const hold = view.number("failover.hold_ring_ms");
  if (hold !== null && hold > 0 && silence !== null && hold <= silence) {
    const reason =
      `is not longer than failover.silence_ms (${silence}): what a silent box swallowed first is lost`;
    view.warning("failover.hold_ring_ms", reason);
  }
  const after = view.number("failover.failback_after_s");
  const holdUp = view.number("failover.hold_up_ms");
  const backByItself = view.is("failover.failback", "automatic");
  if (backByItself && after !== null && holdUp !== null && after * 1000 < holdUp) {
    const reason =
      `is shorter than failover.hold_up_ms (${holdUp} ms): the primary does not even count as alive by then`;
    view.problem("failover.failback_after_s", reason, `at least ${Math.ceil(holdUp / 1000)}`);
  }
}

/** Flows are halved between workers, and again; beyond one worker a side, by the queues of its ports. */
function cores(view: View): void {
  const cores = view.number("plane.cores");
  if (cores === null) return;
  if (!Number.isInteger(Math.log2(cores))) {
    return view.problem("plane.cores", "is no power of two", "1, 2, 4, 8 or 16");
  }
  if (cores <= 2) return;
  for (const key of view.ports()) {
    const port = portOf(view.text(key));
    if (port === null || ["af_packet", "pci", "null"].includes(port.kind)) continue;
    const reason = `has one receive queue, and plane.cores = ${cores} needs ${cores / 2}`;
    view.problem(key, reason, "an af_packet port, a NIC by PCI address, or plane.cores = 2");
  }
}

function memory(view: View): void {
  const flows = view.number("plane.flows_max");
  if (flows === null) return;
  const gib = tablesBytes(flowSlots(flows)) / 2 ** 30;
  if (gib > 1) view.warning("plane.flows_max", `takes ${gib} GiB of memory for the two flow tables`);
}

function capture(view: View): void {
  if (view.is("capture.buffer_mib", 0) && (view.number("capture.ring_mib") ?? 0) > 0) {
    view.problem("capture.ring_mib", "needs frames from the plane, and capture.buffer_mib is 0", "0 (off)");
  }
}

/** Places of a flow table for `flows` flows: a power of two, at most half full. */
export function flowSlots(flows: number): number {
  return 2 ** Math.ceil(Math.log2(flows * 2));
}

/** Of the flow tables of both sides. */
export function tablesBytes(slots: number): number {
  return 2 * slots * FLOW_BYTES;
}

function portOf(spec: string | null): Port | null {
  const port = spec === null ? null : parsePort(spec);
  return port !== null && isPort(port) ? port : null;
}
