/**
 * Duty: what can be done from the pages: each action with who may, what is asked before, and how the node is told.
 *
 * Pure but for the calls of the control that is handed in. The one table behind buttons, questions and requests: what is
 * not in it cannot be done.
 */
import type { Box, NodeControl, NodeStatus } from "../../appliance/view.ts";
import { BOXES } from "../../appliance/view.ts";
import type { Outcome } from "./means.ts";
import { sparesOf } from "./state.ts";
import type { AccessRole } from "../session.ts";

export type Given = Readonly<Record<string, string>>;

export interface Action {
  /** On the button. */
  readonly label: string;
  readonly role: AccessRole;
  /** Fields that it takes; `force` is offered as a box to tick. */
  readonly fields: readonly ("box" | "force")[];
  /** What happens if it is done, in one sentence or two. */
  readonly question: (given: Given, status: NodeStatus) => string;
  readonly run: (control: NodeControl, given: Given) => Promise<Outcome>;
}

const boxOf = (given: Given) => given.box ?? "";
const called = (given: Given, status: NodeStatus) =>
  status.boxes.find(({ box }) => box === given.box)?.name ?? (boxOf(given) || "the box");
const forced = (given: Given) => given.force === "true";

export const ACTIONS = {
  switchover: {
    label: "Switch over",
    role: "operator",
    fields: ["box", "force"],
    question: (given, status) => {
      const to = given.box ? called(given, status) : sparesOf(status)[0]?.name ?? "a standby";
      return `All traffic moves to ${to} at once. Flows that it does not know may break.`;
    },
    run: (control, given) =>
      control.switchover({ force: forced(given), ...(given.box ? { box: given.box } : {}) }),
  },
  failback: {
    label: "Fail back",
    role: "operator",
    fields: ["force"],
    question: () => "All traffic moves back to the primary at once. Flows that it does not know may break.",
    run: (control, given) => control.failback({ force: forced(given) }),
  },
  resync: {
    label: "Resync",
    role: "operator",
    fields: ["box"],
    question: (given, status) =>
      `The node plays the openings of all live connections into ${
        called(given, status)
      }, the busiest first. ` +
      "No packet of theirs is held up.",
    run: (control, given) => control.resync({ box: given.box ?? null, stop: false }),
  },
  "resync-stop": {
    label: "Stop the resync",
    role: "operator",
    fields: ["box"],
    question: (given, status) => `No further connections are played into ${called(given, status)}.`,
    run: (control, given) => control.resync({ box: given.box ?? null, stop: true }),
  },
  "maintenance-on": {
    label: "Begin maintenance",
    role: "operator",
    fields: ["box"],
    question: (given, status) =>
      `${
        called(given, status)
      } leaves so that it can be worked on. If it serves, the best other box takes over first.`,
    run: (control, given) => control.maintain({ box: boxOf(given), on: true }),
  },
  "maintenance-off": {
    label: "End maintenance",
    role: "operator",
    fields: ["box"],
    question: (given, status) => `${called(given, status)} joins again: it gets copies, and may take over.`,
    run: (control, given) => control.maintain({ box: boxOf(given), on: false }),
  },
  drill: {
    label: "Run a drill",
    role: "operator",
    fields: ["box"],
    question: (given, status) =>
      `Connections of the node's own go through ${called(given, status)}, to prove that it would serve. ` +
      "Users' traffic stays where it is.",
    run: drill,
  },
  arm: {
    label: "Arm",
    role: "operator",
    fields: ["force"],
    question: (_, status) => {
      const would = status.learning?.would ?? null;
      const now = would === null ? "" : ` It would move it to ${would.path} at once (${would.cause}).`;
      return `From then on the node moves the traffic by itself when a box dies.${now}`;
    },
    run: (control, given) => control.arm({ force: forced(given) }),
  },
  disarm: {
    label: "Disarm",
    role: "operator",
    fields: [],
    question: () =>
      "The node goes on copying, comparing and judging, and moves nothing by itself any more: when a box dies, " +
      "its traffic waits for a person.",
    run: (control) => control.disarm({}),
  },
  "recorder-on": {
    label: "Turn the recorder on",
    role: "operator",
    fields: [],
    question: () => "The flight recorder keeps decisions on disk again, within its bounds.",
    run: (control) => Promise.resolve(control.recorder.set({ on: true })),
  },
  "recorder-off": {
    label: "Turn the recorder off",
    role: "operator",
    fields: [],
    question: () => "Nothing that is decided from now on can be replayed later, until it is turned on again.",
    run: (control) => Promise.resolve(control.recorder.set({ on: false })),
  },
  reload: {
    label: "Reload",
    role: "admin",
    fields: [],
    question: () =>
      "The node reads its configuration file again. With any problem the old one stays in force.",
    run: (control) => control.reload(),
  },
} as const satisfies Readonly<Record<string, Action>>;

export type ActionName = keyof typeof ACTIONS;

export function actionOf(name: string): Action | null {
  return Object.hasOwn(ACTIONS, name) ? ACTIONS[name as ActionName] : null;
}

/** What is wrong with the fields; null: nothing. */
export function givenFault(action: Action, given: Given, status: NodeStatus): string | null {
  const takes: readonly string[] = action.fields;
  const stranger = Object.keys(given).find((name) => !takes.includes(name));
  if (stranger !== undefined) return `There is no field "${stranger}" here`;
  if (given.box !== undefined && !status.boxes.some(({ box }) => box === given.box)) {
    const known = status.boxes.map(({ box }) => box).join(", ");
    return `There is no box "${given.box}"; there are ${known === "" ? "none" : known}`;
  }
  if (given.force === undefined || given.force === "true" || given.force === "false") return null;
  return `"force" is "${given.force}"; accepted: true or false`;
}

async function drill(control: NodeControl, given: Given): Promise<Outcome> {
  const box: Box | null = BOXES.find((name) => name === given.box) ?? null;
  const answer = await control.drills.run(box);
  if (!answer.ok) return { ok: false, text: answer.text };
  const { report } = answer.signed;
  return { ok: report.ok, text: `The drill was ${report.ok ? "good" : "no good"}: ${report.text}` };
}
