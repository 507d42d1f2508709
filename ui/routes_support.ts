/** The route of the archive for whoever is to help from afar. A part of the table in routes.ts. */
import { bundleName } from "../appliance/support/bundle.ts";
import { have } from "./refused.ts";
import type { Route } from "./route.ts";

export const SUPPORT_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/support",
    name: "support",
    summary: "An archive without secrets: configuration, events, logs, views, doctor, versions",
    role: "admin",
    answers: { 200: { description: "A tar archive, as gzip.", type: "application/gzip" } },
    work: async (_, { control, support, nowMs }) => {
      const name = bundleName(control.status().name, nowMs());
      const bytes = await have(support, "archive for support")();
      return new Response(bytes, {
        headers: {
          "content-type": "application/gzip",
          "content-disposition": `attachment; filename="${name}"`,
        },
      });
    },
  },
];
