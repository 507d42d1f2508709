/** Whether the node does its work, and whether it is safe to fail over: a reason in words, or null. Pure. */
import type { NodeStatus } from "../appliance/view.ts";

/** A status older than this is history: control has lost sight of the plane. */
export const FRESH_MS_MAX = 1000;

/** Why the node does not do its work; null: it does. */
export function healthFault(status: NodeStatus): string | null {
  if (status.plane.state !== "running") return `the plane is ${status.plane.state}`;
  if (status.freshMs > FRESH_MS_MAX) return `control has not seen the plane for ${status.freshMs} ms`;
  return status.path === "block" ? "traffic is blocked, no box is alive" : null;
}

/** Why it is not safe to fail over now; null: it is. */
export function readyFault(status: NodeStatus): string | null {
  const ill = healthFault(status);
  if (ill !== null) return ill;
  if (status.path === "wire") return "traffic passes by both boxes";
  const unfit = status.external.find(({ light }) => light !== "green");
  if (unfit) return `switch ${unfit.name}: ${unfit.reason}`;
  const serving = status.boxes.find((box) => box.serving),
    spares = status.boxes.filter((box) => !box.serving);
  const dead = [serving, ...spares].find((box) => box?.light === "red");
  const ready = serving?.light !== "red" &&
    spares.some((box) => box.light !== "red" && box.member && !box.match?.alarm);
  if (ready) return null;
  const unlike = spares.find((box) => box.match?.alarm);
  if (unlike && serving?.light !== "red") return `${unlike.box}: ${unlike.reason}`;
  return dead ? `the ${dead.box} is not alive: ${dead.reason}` : "there is no second box";
}
