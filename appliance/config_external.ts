/**
 * External switches in the configuration: keys against each other, and the settings that come of them. Pure.
 */
import { parseAddress } from "../drivers/openflow/where.ts";
import type { View } from "./config_checks.ts";
import type { Values } from "./config_key.ts";
import { portList, type SWITCH } from "./config_keys_external.ts";
import { GROUPS, PRIORITIES } from "./failover/external/plan.ts";
import { BOXES_MAX, type SwitchSettings } from "./failover/external/settings.ts";

const SIDES = {
  client: ["upstream", "primary_in", "redundant_in"],
  server: ["downstream", "primary_out", "redundant_out"],
} as const;
const PORT_KEYS = [...SIDES.client, ...SIDES.server, "bypass"] as const;
const TLS_KEYS = ["ca", "certificate", "key"] as const;

/** Settings out of values without problems. */
export function switchSettings(
  values: Values<typeof SWITCH>,
  deadPolicy: SwitchSettings["deadPolicy"],
): SwitchSettings {
  const address = parseAddress(values.address ?? values.listen ?? "");
  if (address === null) throw new TypeError(`Cannot build switch "${values.name}": it has no address`);
  const { ca, certificate, key } = values;
  const side = (outer: string | null, primary: string | null, redundant: string | null) =>
    outer === null || primary === null || redundant === null
      ? null
      : { outer, boxes: [primary, ...portList(redundant)] };
  return {
    name: values.name,
    by: values.address === null ? "listen" : "connect",
    address,
    tls: address.scheme === "tls" && ca !== null && certificate !== null && key !== null
      ? { ca, certificate, key }
      : null,
    datapath: values.datapath?.toLowerCase() ?? null,
    client: side(values.upstream, values.primaryIn, values.redundantIn),
    server: side(values.downstream, values.primaryOut, values.redundantOut),
    bypass: values.bypass,
    deadPolicy: values.deadPolicy ?? deadPolicy,
    mirror: values.mirror,
    table: values.table,
    priority: values.priority,
    groupFirst: values.groupFirst,
    verifyMs: values.verifyMs,
  };
}

/** All tables `[[switch]]`. */
export function switches(view: View): void {
  const count = view.shape.lists.get("switch") ?? 0;
  const paths = Array.from({ length: count }, (_, index) => `switch[${index}]`);
  for (const path of paths) {
    connection(view, path);
    sides(view, path);
    around(view, path);
    ports(view, path);
    numbers(view, path);
  }
  apart(view, paths);
  sameBoxes(view, paths);
  known(view, paths);
  if (count > 0 && view.is("failover.automatic", false)) {
    const reason =
      "is false, and fast-failover groups of external switches switch by themselves all the same";
    view.warning("failover.automatic", reason);
  }
}

function connection(view: View, path: string): void {
  const [address, listen] = [view.text(`${path}.address`), view.text(`${path}.listen`)];
  const has = (key: string) => view.shape.given.has(`${path}.${key}`);
  if (has("address") && has("listen")) {
    view.problem(`${path}.listen`, "stands beside address: either end dials, not both", "one of the two");
  }
  if (!has("address") && !has("listen")) {
    view.problem(path, "has neither address nor listen", "one of the two");
  }
  const parsed = parseAddress(address ?? listen ?? "");
  if (parsed === null) return;
  for (const key of TLS_KEYS) {
    if (parsed.scheme === "tls" && !has(key)) view.problem(`${path}.${key}`, "is missing, and tls needs it");
    if (parsed.scheme === "tcp" && has(key)) {
      view.problem(`${path}.${key}`, "has no effect without tls", "tls: in front of the address");
    }
  }
}

/** A side is there whole or not at all, and one is there. */
function sides(view: View, path: string): void {
  const has = (key: string) => view.shape.given.has(`${path}.${key}`);
  for (const keys of Object.values(SIDES)) {
    const given = keys.filter(has);
    const [first] = given;
    if (first === undefined || given.length === keys.length) continue;
    for (const key of keys.filter((one) => !has(one))) {
      view.problem(`${path}.${key}`, `is missing beside ${first}`, `${keys.join(", ")}, all or none`);
    }
  }
  if (![...SIDES.client, ...SIDES.server].some(has)) {
    view.problem(
      path,
      "has no ports",
      `${SIDES.client.join(", ")}, or ${SIDES.server.join(", ")}, or all six`,
    );
  }
}

function around(view: View, path: string): void {
  const has = (key: string) => view.shape.given.has(`${path}.${key}`);
  const both = has("upstream") && has("downstream");
  if (both && has("bypass")) {
    view.problem(`${path}.bypass`, "has no effect: this switch joins upstream and downstream itself");
  }
  const policy = view.text(`${path}.dead_policy`) ?? view.text("failover.dead_policy");
  if (policy !== "forward" || both || has("bypass") || !(has("upstream") || has("downstream"))) return;
  const reason = "is forward, and this switch has one side and no way around the boxes";
  view.problem(`${path}.dead_policy`, reason, 'bypass = a port, or dead_policy = "block"');
}

function ports(view: View, path: string): void {
  const holders = new Map<string, string>();
  for (const key of PORT_KEYS) {
    const text = view.text(`${path}.${key}`);
    for (const port of text === null ? [] : portList(text)) {
      const holder = holders.get(port);
      if (holder !== undefined) {
        view.problem(`${path}.${key}`, `holds ${port}, which is already ${holder}`, "a port for each role");
      }
      holders.set(port, key);
    }
  }
  const [near, far] = [view.text(`${path}.redundant_in`), view.text(`${path}.redundant_out`)];
  if (near === null || far === null || portList(near).length === portList(far).length) return;
  const reason = `names ${portList(far).length} boxes, and redundant_in ${portList(near).length}`;
  view.problem(`${path}.redundant_out`, reason, "as many");
}

function numbers(view: View, path: string): void {
  const first = view.number(`${path}.group_first`);
  if (first !== null && first + GROUPS > 0xffffff00) {
    view.problem(`${path}.group_first`, `leaves no room for ${GROUPS} groups`);
  }
  const priority = view.number(`${path}.priority`);
  if (priority !== null && priority + PRIORITIES - 1 > 0xffff) {
    view.problem(`${path}.priority`, `leaves no room for ${PRIORITIES} priorities`);
  }
}

/** What no two switches may share. */
function apart(view: View, paths: readonly string[]): void {
  for (const key of ["name", "address", "datapath"] as const) {
    const holders = new Map<string, string>();
    for (const path of paths) {
      const text = view.text(`${path}.${key}`)?.toLowerCase();
      if (text === undefined) continue;
      const holder = holders.get(text);
      if (holder !== undefined) {
        view.problem(`${path}.${key}`, `is that of ${holder} as well`, `${key} of its own`);
      }
      holders.set(text, path);
    }
  }
  listeners(view, paths);
}

/** Who shares a socket shares its secrets, and has to tell which it is. */
function listeners(view: View, paths: readonly string[]): void {
  for (const [index, path] of paths.entries()) {
    const listen = view.text(`${path}.listen`);
    const others = paths.filter((other) => other !== path && view.text(`${other}.listen`) === listen);
    if (listen === null || others.length === 0) continue;
    if (view.shape.values.get(`${path}.datapath`) === null) {
      view.problem(
        `${path}.datapath`,
        `is missing, and ${others[0]} shares ${listen}`,
        "16 hexadecimal digits",
      );
    }
    const first = paths.slice(0, index).find((other) => others.includes(other));
    if (first === undefined) continue;
    for (const key of TLS_KEYS) {
      const [own, its] = [view.text(`${path}.${key}`), view.text(`${first}.${key}`)];
      if (own !== its) view.problem(`${path}.${key}`, `is not that of ${first}, which shares ${listen}`);
    }
  }
}

/** Commands know a box by the tables of this file. */
function known(view: View, paths: readonly string[]): void {
  const boxes = 1 + view.count("redundant");
  for (const path of paths) {
    const keys = [`${path}.redundant_in`, `${path}.redundant_out`];
    const key = keys.find((one) => portList(view.text(one) ?? "").length > boxes);
    if (key === undefined) continue;
    const reason = `names more redundant boxes than this file (${boxes}), so commands cannot name the others`;
    view.warning(key, reason, 'a table [[redundant]] with in = "null" and out = "null" for each');
  }
}

/** All switches stand around the same boxes. */
function sameBoxes(view: View, paths: readonly string[]): void {
  let first: { readonly key: string; readonly count: number } | null = null;
  for (const path of paths) {
    const key = [`${path}.redundant_in`, `${path}.redundant_out`].find((one) => view.text(one) !== null);
    if (key === undefined) continue;
    const count = portList(view.text(key) ?? "").length;
    first ??= { key, count };
    if (count === first.count) continue;
    const reason =
      `names ${count} boxes, and ${first.key} ${first.count}: all switches stand around the same boxes`;
    view.problem(key, reason, `at most ${BOXES_MAX - 1}, the same number everywhere`);
  }
}
