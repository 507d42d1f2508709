/**
 * API and pages as one app: a path of the API is answered by the API, all others by the pages. Pure.
 */
import type { Answering } from "../server.ts";
import type { PageHandler } from "./means.ts";
import type { Visitor } from "./visitor.ts";

const OF_API = /^\/(api\/|healthz$|readyz$|metrics$)/;

/** @param who asks, by the request; null: nobody who is known */
export function withPages(
  api: Answering,
  pages: PageHandler,
  who: (request: Request) => Visitor | null,
): Answering {
  return {
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      return OF_API.test(pathname) ? api.fetch(request) : pages(request, who(request));
    },
  };
}
