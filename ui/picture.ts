/**
 * The node as a drawing: its ports, its boxes, and which way the traffic goes.
 *
 * Pure, ASCII, 80 columns: it has to read the same on a serial console. `=` and `#` carry traffic, `:`
 * carries copies to the standby, `-` and `|` carry nothing.
 */
import type { Box, BoxView, NodeStatus, Role } from "../appliance/view.ts";
import type { Painter } from "./paint.ts";

const INNER = ["primary-in", "primary-out", "redundant-in", "redundant-out"] as const;
/** Columns, counted from inside the left edge, at which the inner ports leave the node. */
const LEGS = [7, 20, 35, 49] as const;
const INSIDE = 57;
/** Boxes in the drawing itself. */
const DRAWN = 2;
const MARGIN = " ".repeat(11);

export function drawNode(status: NodeStatus, paint: Painter): string[] {
  const legs = INNER.map((role) => carries(status, boxOf(role)));
  const through = status.path === "block" ? "--" : "==";
  const red = (line: string) => line.replaceAll("DOWN", paint.light("red", "DOWN"));
  return [
    `${MARGIN}+${titled(status.name.slice(0, INSIDE - 6))}+`,
    red(` clients ${through}|${outerPorts(status)}|${through} servers`),
    `${MARGIN}|${atLegs(INNER, " ")}|`,
    red(`${MARGIN}|${atLegs(INNER.map((role) => linkOf(status, role)), " ")}|`),
    `${MARGIN}+${atLegs(legs, "-")}+`,
    `${MARGIN} ${atLegs(legs, " ").trimEnd()}`,
    `${MARGIN} ${boxes(legs)}`,
    captions(status, paint),
    ...further(status, paint),
  ];
}

/** Boxes for which there is no room beside the two. */
function further(status: NodeStatus, paint: Painter): string[] {
  return status.boxes.slice(DRAWN).map((view) =>
    `${MARGIN} ${" ".repeat(LEGS[0])}${view.box}: ${paint.light(view.light, `${duty(view)}, ${view.light}`)}`
  );
}

/** What the legs of a box carry: "#" traffic, ":" copies, "|" nothing. */
function carries(status: NodeStatus, box: Box): string {
  if (status.path === box) return "#";
  const serves = status.boxes.some((one) => one.serving);
  const view = viewOf(status, box);
  return serves && view?.member && view.light !== "red" ? ":" : "|";
}

function outerPorts(status: NodeStatus): string {
  const left = ` upstream ${linkOf(status, "upstream")} `;
  const right = ` ${linkOf(status, "downstream")} downstream `;
  const between = status.path === "wire" ? "=" : " ";
  return left + between.repeat(INSIDE - left.length - right.length) + right;
}

function boxes(legs: readonly string[]): string {
  const line = (leg: string | undefined) => leg === "#" ? "=" : leg === ":" ? "." : "-";
  const between = (text: string, from: number, to: number, fill: string) => {
    const room = to - from - 1;
    const before = Math.floor((room - text.length) / 2);
    return `+${fill.repeat(before)}${text}${fill.repeat(room - text.length - before)}+`;
  };
  const primary = between("[ primary ]", LEGS[0], LEGS[1], line(legs[0]));
  const redundant = between("[redundant]", LEGS[2], LEGS[3], line(legs[2]));
  return `${" ".repeat(LEGS[0])}${primary}${" ".repeat(LEGS[2] - LEGS[1] - 1)}${redundant}`;
}

function captions(status: NodeStatus, paint: Painter): string {
  let line = `${MARGIN} `;
  let columns = line.length;
  for (const [box, leg] of [["primary", LEGS[0]], ["redundant", LEGS[2]]] as const) {
    const view = viewOf(status, box);
    if (view === undefined) continue;
    const text = `${duty(view)}, ${view.light}`;
    const gap = MARGIN.length + 1 + leg - columns;
    line += " ".repeat(gap) + paint.light(view.light, text);
    columns += gap + text.length;
  }
  return line.trimEnd();
}

/** What a box does now, in a word. */
export function duty(view: BoxView): string {
  if (view.serving) return "serving";
  if (!view.member) return "away";
  return view.light === "red" ? "out" : "standby";
}

function titled(name: string): string {
  const title = ` ${name} `;
  const before = Math.floor((INSIDE - title.length) / 2);
  return "-".repeat(before) + title + "-".repeat(INSIDE - title.length - before);
}

/** Each text centred on its leg, with `fill` in between. */
function atLegs(texts: readonly string[], fill: string): string {
  let line = "";
  texts.forEach((text, index) => {
    const start = (LEGS[index] ?? 0) - Math.floor(text.length / 2);
    line = line.padEnd(start, fill) + text;
  });
  return line.padEnd(INSIDE, fill);
}

function linkOf(status: NodeStatus, role: Role): string {
  const port = status.ports.find((port) => port.role === role);
  return port === undefined ? "?" : port.link === "up" ? "up" : "DOWN";
}

function viewOf(status: NodeStatus, box: Box): BoxView | undefined {
  return status.boxes.find((view) => view.box === box);
}

function boxOf(role: (typeof INNER)[number]): Box {
  return role.startsWith("primary") ? "primary" : "redundant";
}
