/** Routes that look: health, status, flows, events and how far they are known, match, probes. A part of the table in routes.ts. */
import { BOXES, type NodeControl } from "../appliance/view.ts";
import { healthFault, readyFault } from "./health.ts";
import { Refused } from "./refused.ts";
import { type Asked, gives, LIMIT, LIST, OBJECT, type Route, TEXT, YES_NO } from "./route.ts";
import { members } from "../appliance/schema.ts";

const FLAG = { type: "boolean", default: false } as const;
const AFTER = {
  type: "integer",
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  default: 0,
  description: "Only events with a higher sequence.",
} as const;
/** Far below what a number holds exactly, so that many events have place above. */
const KNOWN = { type: "integer", minimum: 0, maximum: 2 ** 50 } as const;

/** Strangers are told that something is wrong, not what. */
function health(fault: string | null, { visitor }: Asked): object {
  if (fault === null) return { ok: true };
  throw new Refused(503, "Not now", visitor === null ? "Log in to see why" : fault);
}

const HEALTHY = gives("It does.", { ok: YES_NO });

export const HEALTH_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/healthz",
    name: "health",
    summary: "Whether the node does its work",
    role: null,
    answers: HEALTHY,
    work: (asked, { control }) => health(healthFault(control.status()), asked),
  },
  {
    method: "GET",
    path: "/readyz",
    name: "ready",
    summary: "Whether it is safe to fail over now",
    role: null,
    answers: HEALTHY,
    work: (asked, { control }) => health(readyFault(control.status()), asked),
  },
];

export const VIEW_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/status",
    name: "status",
    summary: "The ports, the boxes, who serves, what is mirrored",
    role: "viewer",
    answers: gives("The status; `freshMs` is its age.", {
      name: TEXT,
      version: TEXT,
      light: { type: "string", enum: ["green", "yellow", "red"] },
      reason: TEXT,
      path: TEXT,
      freshMs: { type: "number" },
      plane: OBJECT,
      boxes: LIST,
      ports: LIST,
      flows: OBJECT,
      mirror: OBJECT,
      counters: LIST,
    }),
    work: (_, { control }) => control.status(),
  },
  {
    method: "GET",
    path: "/api/v1/flows",
    name: "flows",
    summary: "Flows, the busiest first",
    role: "viewer",
    query: {
      limit: LIMIT,
      side: { type: "string", enum: ["upstream", "downstream"] },
      search: { type: "string", maxLength: 256, description: "at most 256 characters" },
      unlike: { ...FLAG, description: "Only flows that a standby would not carry on." },
    },
    answers: gives("At most `limit` of them.", { flows: LIST }),
    work: ({ query }, { control }) => flows(query, control),
  },
  {
    method: "GET",
    path: "/api/v1/events",
    name: "events",
    summary: "What has happened, oldest first",
    role: "viewer",
    query: { after: AFTER, limit: LIMIT },
    answers: gives("At most `limit` of them.", { events: LIST }),
    work: ({ query }, { control }) => ({
      events: control.events({ after: Number(query.after), limit: Number(query.limit) }),
    }),
  },
  {
    method: "POST",
    path: "/api/v1/events/known",
    name: "eventsKnown",
    summary: "Tell the node up to which event its reader knows; one that has lost some of them goes on above",
    role: "admin",
    idempotent: true,
    body: members({ sequence: KNOWN }, ["sequence"]),
    answers: gives("It is noted.", { ok: YES_NO }),
    work: ({ body }, { control }) => {
      control.eventsKnown?.({ sequence: Number(body.sequence) });
      return { ok: true };
    },
  },
  {
    method: "GET",
    path: "/api/v1/match",
    name: "match",
    summary: "What standbys would carry on, what was proven, and why not all",
    role: "viewer",
    query: { history: { ...FLAG, description: "With a row for each minute." } },
    answers: gives("The report.", { standbys: LIST, alarmBelow: { type: "number" } }),
    work: ({ query }, { control }) => control.match({ history: query.history === true }),
  },
  {
    method: "GET",
    path: "/api/v1/probes",
    name: "probes",
    summary: "Probes through the boxes, and what real traffic shows",
    role: "viewer",
    answers: gives("All of them.", { probes: LIST, traffic: LIST }),
    work: (_, { control }) => control.probes(),
  },
  {
    method: "GET",
    path: "/api/v1/boxes",
    name: "boxes",
    summary: "The boxes",
    role: "viewer",
    answers: gives("All of them.", { boxes: LIST }),
    work: (_, { control }) => ({ boxes: control.status().boxes }),
  },
  {
    method: "GET",
    path: "/api/v1/drills",
    name: "drills",
    summary: "Drills whose reports are kept, oldest first",
    role: "viewer",
    answers: gives("All of them.", { drills: LIST }),
    work: (_, { control }) => ({ drills: control.drills.list() }),
  },
  {
    method: "POST",
    path: "/api/v1/drill",
    name: "drill",
    summary: "Canaries through a box that stands by",
    role: "operator",
    body: members({ box: { type: "string", enum: BOXES } }),
    idempotent: true,
    answers: { 200: { description: "The signed report.", schema: OBJECT } },
    work: async ({ body }, { control }) => {
      const answer = await control.drills.run(BOXES.find((box) => box === body.box) ?? null);
      if (!answer.ok) throw new Refused(409, "There was no drill", answer.text);
      return answer.signed;
    },
  },
];

function flows({ limit, side, search, unlike }: Asked["query"], control: NodeControl): object {
  return {
    flows: control.flows({
      limit: Number(limit),
      ...(unlike === true && { unlike }),
      ...((side === "upstream" || side === "downstream") && { side }),
      ...(typeof search === "string" && search !== "" && { text: search }),
    }),
  };
}
