/** Routes for machines that watch: streams and metrics. A part of the table in routes.ts. */
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import { bad, have, Refused } from "./refused.ts";
import type { Route } from "./route.ts";

const SSE = "text/event-stream";

function stream(body: ReadableStream<Uint8Array> | null): Response {
  if (body === null) {
    throw new Refused(503, "Not now", "Too many read streams already").with({ "retry-after": "10" });
  }
  return new Response(body, { headers: { "content-type": SSE, "cache-control": "no-store" } });
}

const SEQUENCE = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

export const STREAM_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/events/stream",
    name: "eventsStream",
    summary: "Events as they come, each with its sequence as its id",
    role: "viewer",
    query: { after: { ...SEQUENCE, description: "Those above this first. `Last-Event-ID` goes before it." } },
    headers: { "Last-Event-ID": "Where a reader goes on that was cut off." },
    answers: {
      200: {
        description:
          "`event`; `gap` where some are kept no more; `end` with the reason before the stream ends.",
        type: SSE,
      },
    },
    work: ({ query, headers }, { streams }) => {
      const last = headers.get("last-event-id");
      if (last !== null && !/^\d{1,15}$/.test(last)) {
        throw bad(`The header "Last-Event-ID" is ${JSON.stringify(last.slice(0, 40))}; accepted: a sequence`);
      }
      const after = last ?? query.after;
      return stream(have(streams, "streams").events(after === undefined ? null : Number(after)));
    },
  },
  {
    method: "GET",
    path: "/api/v1/live",
    name: "live",
    summary: "The status again and again",
    role: "viewer",
    query: { per_second: { type: "integer", minimum: 1, maximum: 10, default: 2 } },
    answers: {
      200: {
        description:
          "`status` with all, then `change` with the members that changed; `end` with the reason before the stream ends.",
        type: SSE,
      },
    },
    work: ({ query }, { streams }) => stream(have(streams, "streams").live(Number(query.per_second))),
  },
  {
    method: "GET",
    path: "/metrics",
    name: "metrics",
    summary: "Figures for Prometheus, as OpenMetrics 1.0",
    role: "viewer",
    answers: { 200: { description: "Without labels by flow.", type: METRICS_TYPE } },
    work: (_, { control }) =>
      new Response(metricsText(control.status()), { headers: { "content-type": METRICS_TYPE } }),
  },
];
