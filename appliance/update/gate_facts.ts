/** Duty: what the gate looks at, out of what a node says of itself. Pure. */
import type { NodeStatus } from "../view.ts";
import type { GateBefore, GateFacts } from "./gate.ts";

export function nodeFacts(status: NodeStatus): NonNullable<GateFacts["node"]> {
  return {
    plane: status.plane.state,
    freshMs: status.freshMs,
    path: status.path,
    links: status.ports.filter(({ link }) => link === "up").map(({ role }) => role),
    peers: [
      ...status.boxes.filter(({ light }) => light === "green").map(({ name }) => name),
      ...status.external.filter(({ light }) => light === "green").map(({ name }) => name),
    ],
  };
}

/** What the next version has to be able to do as well. Null: no node answers. */
export function beforeOf(status: NodeStatus | null): GateBefore {
  if (status === null) return { configured: false, forwarded: false, links: [], peers: [] };
  const { links, peers, path, plane } = nodeFacts(status);
  return { configured: true, forwarded: plane === "running" && path !== "block", links, peers };
}
