/** Routes that hand out frames and recordings. A part of the table in routes.ts. */
import { ALL_ROLES, type CaptureAnswer, type Role, type SaveRequest } from "../appliance/view.ts";
import { bad, Refused } from "./refused.ts";
import { type Asked, gives, LIST, type Route, TEXT, YES_NO } from "./route.ts";
import { members } from "../appliance/schema.ts";

/** A year. */
const SECONDS = { type: "integer", minimum: 1, maximum: 366 * 86_400 } as const;
const FILTER = {
  type: "string",
  default: "",
  maxLength: 2048,
  description: "a pcap-filter(7) expression of at most 2048 characters",
} as const;
const SPAN = {
  last_s: { ...SECONDS, description: "Of the last so many seconds." },
  around_s: { ...SECONDS, description: "So many before and after a moment; 60 unless told." },
  at_ms: {
    type: "integer",
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "The moment, in milliseconds since the epoch; the last switch unless told.",
  },
} as const;
const PCAPNG = { 200: { description: "A pcapng file, as it comes.", type: "application/x-pcapng" } } as const;

/** A capture on its way, or why there is none. */
function file(answer: CaptureAnswer): Response {
  if (answer.ok) return new Response(answer.stream, { headers: { "content-type": "application/x-pcapng" } });
  if (answer.fault === "request") throw bad(answer.text);
  throw new Refused(409, "There is no capture", answer.text);
}

function spanOf({ last_s, around_s, at_ms }: Asked["query"]): SaveRequest {
  if (last_s !== undefined && (around_s !== undefined || at_ms !== undefined)) {
    throw bad('There is "last_s" or "around_s", not both');
  }
  return {
    lastS: last_s === undefined ? null : Number(last_s),
    aroundS: Number(around_s ?? 60),
    ...(at_ms !== undefined && { atMs: Number(at_ms) }),
  };
}

function portsOf(text: string): Role[] {
  return text.split(",").filter((name) => name !== "").map((name) => {
    const role = ALL_ROLES.find((known) => known === name);
    if (role !== undefined) return role;
    throw bad(`The parameter "ports" has "${name}"; accepted: of ${ALL_ROLES.join(", ")}`);
  });
}

export const CAPTURE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/capture",
    name: "captureLive",
    summary: "What is mirrored from now on",
    role: "operator",
    query: {
      filter: FILTER,
      ports: {
        type: "string",
        default: "",
        maxLength: 256,
        description: "ports by name, with commas between",
      },
      seconds: SECONDS,
      packets: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    },
    answers: PCAPNG,
    work: ({ query: { filter, ports, seconds, packets } }, { control }) =>
      file(control.captures.live({
        filter: String(filter),
        ports: portsOf(String(ports)),
        seconds: seconds === undefined ? null : Number(seconds),
        packets: packets === undefined ? null : Number(packets),
      })),
  },
  {
    method: "GET",
    path: "/api/v1/capture/kept",
    name: "captureKept",
    summary: "What the ring of captured frames holds of a time",
    role: "operator",
    query: { filter: FILTER, ...SPAN },
    answers: PCAPNG,
    work: ({ query }, { control }) =>
      file(control.captures.kept({ filter: String(query.filter), ...spanOf(query) })),
  },
  {
    method: "GET",
    path: "/api/v1/capture/files",
    name: "captureFiles",
    summary: "The files of that ring",
    role: "viewer",
    answers: gives("The ring.", { directory: TEXT, files: LIST }),
    work: (_, { control }) => control.captures.list(),
  },
  {
    method: "GET",
    path: "/api/v1/recorder",
    name: "recorder",
    summary: "The flight recorder",
    role: "viewer",
    answers: gives("Its state.", { on: YES_NO, directory: TEXT }),
    work: (_, { control }) => control.recorder.status(),
  },
  {
    method: "POST",
    path: "/api/v1/recorder",
    name: "recorderSet",
    summary: "Turn the flight recorder on or off, for as long as control lives",
    role: "operator",
    body: members({ on: { type: "boolean" } }, ["on"]),
    idempotent: true,
    answers: gives("It is.", { ok: YES_NO, text: TEXT }),
    work: ({ body }, { control }) => {
      const result = control.recorder.set({ on: body.on === true });
      if (!result.ok) throw new Refused(409, "The recorder was not turned on", result.text);
      return result;
    },
  },
  {
    method: "GET",
    path: "/api/v1/recorder/saved",
    name: "recorderSaved",
    summary: "A recording of a time",
    role: "operator",
    query: SPAN,
    answers: PCAPNG,
    work: ({ query }, { control }) => file(control.recorder.save(spanOf(query))),
  },
];
