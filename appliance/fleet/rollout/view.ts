/**
 * Duty: the fleet as roll-outs see it, made of what the registry knows. Pure.
 *
 * Two nodes are a pair when they have the same label `pair`. Labels that people gave at the controller hold over those that
 * a node claims.
 */
import type { NodeRecord } from "../contract.ts";
import type { Report } from "../messages.ts";
import type { SlotName, UpdateView } from "../../update/contract.ts";
import { type Changed, Changes } from "./changes.ts";
import type { Fleet, FleetNode } from "./contract.ts";

export const PAIR_LABEL = "pair";

type Update = Report["update"];

function updateOf(update: Update): UpdateView | null {
  if (update.without !== null) return null;
  const { installing, reports, badVersions } = update;
  const slots = update.slots.map((slot) => ({ ...slot, name: slot.name as SlotName }));
  return { slots, installing, reports, badVersions } as UpdateView;
}

export class FleetMap implements Fleet {
  readonly #nodes = new Map<string, FleetNode>();
  readonly #reports = new Map<string, Report>();
  readonly #pairs = new Map<string, Set<string>>();
  readonly #changes = new Changes();

  node(id: string): FleetNode | undefined {
    return this.#nodes.get(id);
  }

  nodes(): Iterable<FleetNode> {
    return this.#nodes.values();
  }

  changed(mark: number): Changed {
    return this.#changes.since(mark);
  }

  #set(node: FleetNode): void {
    this.#nodes.set(node.id, node);
    this.#changes.note(node.id);
  }

  /** What the registry knows of a node; one that was revoked is none. */
  put({ id, name, labels, revokedMs, controller, report }: NodeRecord): void {
    const before = this.#nodes.get(id);
    const all = { ...report?.node.labels, ...labels },
      pair = revokedMs === null ? all[PAIR_LABEL] : undefined;
    this.#leave(id, before?.labels[PAIR_LABEL], pair);
    if (revokedMs !== null) {
      this.#nodes.delete(id);
      this.#reports.delete(id);
      this.#changes.note(id);
      return;
    }
    if (report !== null) this.#reports.set(id, report);
    const known = this.#reports.get(id);
    this.#set({
      ...{ id, name, labels: all, partner: null, connected: controller !== null },
      health: known?.health.light ?? "unknown",
      onRedundant: known?.health.path.startsWith("redundant") ?? false,
      update: known === undefined ? null : updateOf(known.update),
    });
    this.#join(id, pair);
  }

  report(id: string, report: Report): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    const before = this.#reports.get(id);
    this.#reports.set(id, report);
    // Most reports are of what roll-outs do not ask for.
    const isSame = before?.health === report.health && before?.update === report.update;
    if (isSame && node.connected) return;
    this.#set({
      ...node,
      connected: true,
      health: report.health.light,
      onRedundant: report.health.path.startsWith("redundant"),
      update: updateOf(report.update),
    });
  }

  #leave(id: string, before: string | undefined, now: string | undefined): void {
    if (before === undefined || before === now) return;
    this.#pairs.get(before)?.delete(id);
    this.#couple(before);
  }

  #join(id: string, pair: string | undefined): void {
    if (pair === undefined) return;
    const members = this.#pairs.get(pair) ?? new Set();
    this.#pairs.set(pair, members.add(id));
    this.#couple(pair);
  }

  /** With any other number than two, nobody can tell who would carry on: then no partner is known. */
  #couple(pair: string): void {
    const members = [...this.#pairs.get(pair) ?? []];
    for (const id of members) {
      const other = members.length === 2 ? members.find((one) => one !== id)! : `of pair "${pair}"`;
      const node = this.#nodes.get(id);
      if (node !== undefined && node.partner !== other) this.#set({ ...node, partner: other });
    }
  }
}
