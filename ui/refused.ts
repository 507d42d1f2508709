/** Refusals on their way to the client: problem details (RFC 9457). Pure. */

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    /** Further members of the problem. */
    readonly more: object = {},
  ) {
    super(detail);
  }

  /** Headers of the answer. */
  headers: Readonly<Record<string, string>> = {};

  with(headers: Readonly<Record<string, string>>): this {
    this.headers = headers;
    return this;
  }
}

export function bad(detail: string): Refused {
  return new Refused(400, "Bad request", detail);
}

/** A part of the node that this listener has not. */
export function have<T>(part: T | null, what: string): T {
  if (part !== null) return part;
  throw new Refused(503, "Not available", `This node has no ${what}`);
}

export function problem(path: string, refused: Refused): Response {
  const { status, title, message, more, headers } = refused;
  const body = { type: "about:blank", title, status, detail: message, instance: path, ...more };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
