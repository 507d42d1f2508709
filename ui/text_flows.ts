/** Flows as text for people: one line each, with what standbys made of it. Pure. */
import type { FlowView, TwinView } from "../appliance/view.ts";
import { byteSize, count, duration, table } from "./paint.ts";

const TWIN_TEXT = { equal: "same", different: "another binding", dropped: "dropped it" } as const;

function standbysText(standbys: FlowView["standbys"]): string {
  const one = ({ box, verdict, binding }: TwinView) =>
    `${box}: ${binding === "" ? TWIN_TEXT[verdict] : binding}`;
  return standbys.length === 0 ? "-" : standbys.map(one).join("; ");
}

function bindingText({ binding, unsure }: FlowView): string {
  if (binding !== "") return binding;
  return unsure === "" ? "-" : `cannot be inferred: ${unsure}`;
}

export function renderFlows(flows: readonly FlowView[]): string {
  if (flows.length === 0) return "No flows.\n";
  const compared = flows.some(({ standbys }) => standbys.length > 0);
  const head = [
    "SIDE",
    "PROTO",
    "OUTER",
    "INNER",
    "AGE",
    "IDLE",
    "PACKETS",
    "BYTES",
    "COPIED",
    "RULE",
    "BINDING",
    ...(compared ? ["STANDBY"] : []),
  ];
  const rows = flows.map((flow) => [
    flow.side,
    flow.vlan === 0 ? flow.protocol : `${flow.protocol} vlan ${flow.vlan}`,
    flow.outer,
    flow.inner,
    flow.age,
    duration(flow.idleMs),
    count(flow.packets[0] + flow.packets[1]),
    byteSize(flow.bytes[0] + flow.bytes[1]),
    count(flow.mirrored),
    flow.rule === "" ? "-" : flow.rule,
    bindingText(flow),
    ...(compared ? [standbysText(flow.standbys)] : []),
  ]);
  return table([head, ...rows], [5, 6, 7, 8]).join("\n") + "\n";
}
