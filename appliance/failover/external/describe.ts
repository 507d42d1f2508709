/**
 * What people are told of an external switch: its view for status, and the words of its events. Pure.
 */
import type { GroupCounts } from "../../../drivers/openflow/multipart.ts";
import type { CounterView, EventView, ExternalSwitchView, Light } from "../../view.ts";
import { toldOf } from "./diff.ts";
import { deliverGroup, type Judgement } from "./plan.ts";
import { boxLive, type PortLight } from "./ports.ts";
import type { Session } from "./session.ts";
import { boxName, type SwitchSettings } from "./settings.ts";

/** An event without what the node adds: time, plane, number. */
export interface Told {
  readonly cause: EventView["cause"];
  readonly subject: string;
  readonly before: string;
  readonly after: string;
  readonly text: string;
}

export interface Sight {
  readonly settings: SwitchSettings;
  readonly address: string;
  readonly session: Session | null;
  readonly judgement: Judgement;
  readonly connectedMs: number | null;
  /** Why there is no session, as the end of a sentence. */
  readonly reason: string;
  readonly repairs: number;
}

export function viewOf(sight: Sight): ExternalSwitchView {
  const { settings, session, judgement } = sight;
  const lights = session?.lights ?? [];
  const { light, reason } = lightOf(sight);
  return {
    name: settings.name,
    address: sight.address,
    datapath: session?.datapath?.toString(16).padStart(16, "0") ?? "",
    software: session?.software ?? "",
    light,
    reason,
    connectedMs: session === null ? null : sight.connectedMs,
    verifiedMs: session?.verifiedMs ?? null,
    serving: lights.length === 0 ? "" : servingOf(settings, judgement, lights),
    groups: session?.held.groups ?? 0,
    flows: session?.held.flows ?? 0,
    repairs: sight.repairs,
    delivered: session === null ? [] : deliveredOf(settings, judgement, session.counts),
    ports: lights.map(({ role, written, number, live }) => ({ role, port: written, number, live })),
  };
}

/** The bucket that the switch's own ladder comes to. */
export function servingOf(
  settings: SwitchSettings,
  { order, out }: Judgement,
  lights: readonly PortLight[],
): string {
  const box = order.find((one) => !out.includes(one) && boxLive(lights, one));
  if (box !== undefined) return boxName(box);
  const both = settings.client !== null && settings.server !== null;
  return settings.deadPolicy === "forward" && (both || settings.bypass !== null) ? "wire" : "block";
}

function lightOf({ session, reason, settings, judgement }: Sight): { light: Light; reason: string } {
  if (session === null) return { light: "red", reason };
  if (session.trouble !== null) return { light: "red", reason: session.trouble };
  if (session.verifiedMs === null) return { light: "yellow", reason: session.reason };
  const lights = session.lights;
  const serving = servingOf(settings, judgement, lights);
  if (serving === "wire") return { light: "red", reason: "no box is live: traffic passes around them" };
  if (serving === "block") return { light: "red", reason: "no box is live: traffic is blocked" };
  const down = lights.filter(({ live }) => !live).map(({ role }) => role);
  if (down.length > 0) return { light: "yellow", reason: `${serving} serves; ${down.join(", ")} down` };
  return { light: "green", reason: `${serving} serves; ${session.reason}` };
}

/**
 * Of the ladders' first groups, both directions: what entered each bucket. A bucket is a box in the order of those that
 * may serve, and the last one may be the way around.
 */
function deliveredOf(
  settings: SwitchSettings,
  { order, out }: Judgement,
  counts: readonly GroupCounts[],
): CounterView[] {
  const names = [...order.filter((box) => !out.includes(box)).map(boxName), "wire"];
  const sides = (["client", "server"] as const).filter((side) => settings[side] !== null);
  const heads = sides.map((side) => deliverGroup(settings, side));
  const found = counts.filter(({ group }) => heads.includes(group));
  return names.map((name, at) => {
    const buckets = found.flatMap(({ buckets }) => buckets[at] ?? []);
    const sum = (of: "packets" | "bytes") => Number(buckets.reduce((total, one) => total + one[of], 0n));
    return { name, packets: sum("packets"), bytes: sum("bytes") };
  });
}

export const TELL = {
  connected: (name: string, peer: string, datapath: string): Told => ({
    cause: "connected",
    subject: name,
    before: "",
    after: "connected",
    text: `switch ${name}: connected to ${peer}, datapath ${datapath}`,
  }),
  lost: (name: string, reason: string): Told => ({
    cause: "lost",
    subject: name,
    before: "connected",
    after: "lost",
    text: `switch ${name}: not connected: ${reason}; it goes on with what it holds`,
  }),
  refused: (name: string, reason: string): Told => ({
    cause: "refused",
    subject: name,
    before: "",
    after: "refused",
    text: `Cannot drive switch ${name}: ${reason}; it goes on with what it holds`,
  }),
  programmed: (name: string, changed: number): Told => ({
    cause: "start",
    subject: name,
    before: "",
    after: "verified",
    text: `switch ${name}: holds what it should${changed === 0 ? " already" : `, after ${changed} changes`}`,
  }),
  repaired: (name: string, what: readonly string[]): Told => ({
    cause: "repaired",
    subject: name,
    before: "changed",
    after: "verified",
    text: `switch ${name}: put right what others had changed: ${toldOf(what)}`,
  }),
  port: (name: string, { role, port, live }: { role: string; port: string; live: boolean }): Told => ({
    cause: "link",
    subject: `${name} ${role}`,
    before: live ? "down" : "up",
    after: live ? "up" : "down",
    text: `switch ${name}: ${role} (${port}) is ${live ? "up" : "down"}`,
  }),
  moved: (from: number, to: number, cause: "link" | "left" | "return" | "order"): Told => {
    const why = {
      link: `the ${boxName(from)} is not live`,
      left: `the ${boxName(from)} has left`,
      return: `the ${boxName(to)} has been live for long enough`,
      order: "by order",
    }[cause];
    return {
      cause: cause === "left" ? "order" : cause,
      subject: "switches",
      before: boxName(from),
      after: boxName(to),
      text: `external switches: traffic moved from ${boxName(from)} to ${boxName(to)}: ${why}`,
    };
  },
} as const;
