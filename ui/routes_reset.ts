/** The route back to a new node. A part of the table in routes.ts. */
import { Refused } from "./refused.ts";
import { gives, type Route, TEXT } from "./route.ts";
import { members } from "../appliance/schema.ts";

export const RESET_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/reset",
    name: "reset",
    summary: "Forget users, keys, history and records; the plane forwards on while control starts again",
    role: "admin",
    body: members({
      factory: { type: "boolean", description: "true: said once more, so that nobody does it by mistake" },
      configuration: { type: "boolean", default: false, description: "forget the configuration as well" },
    }, ["factory"]),
    answers: gives("It begins now: users and sessions are gone in a moment.", { said: TEXT }),
    work: ({ body }, { reset }) => {
      if (reset === null) throw new Refused(503, "Not here", "This listener cannot reset the node");
      if (body.factory !== true) throw new Refused(400, "Not meant", "factory is to be true");
      return { said: reset({ configuration: body.configuration === true }) };
    },
  },
];
