/**
 * What comes in with a request, judged by the schemas of its route. Pure but for the reading of the body.
 *
 * An unknown parameter is refused, because a misspelt one would otherwise be obeyed as if it were not there.
 */
import { bad, Refused } from "./refused.ts";
import type { Asked, Route } from "./route.ts";
import { accepted, faultIn, fromText, NOTHING } from "../appliance/schema.ts";

export const BODY_BYTES_MAX = 4096;

type Wanted = Pick<Route, "query" | "needs">;

/** The query, with each parameter known and given once, and defaults. @throws Refused */
export function queryOf(url: string, { query: parameters = {}, needs = [] }: Wanted): Asked["query"] {
  const given: Record<string, string | number | boolean> = {};
  for (const [name, text] of new URL(url).searchParams) {
    const schema = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (schema === undefined) {
      const known = Object.keys(parameters);
      const listed = known.length === 0 ? "there are none" : `there are ${known.join(", ")}`;
      throw bad(`There is no parameter "${name}"; ${listed}`);
    }
    if (Object.hasOwn(given, name)) throw bad(`The parameter "${name}" is given twice`);
    const value = fromText(schema, text);
    if (value === undefined) {
      throw bad(`The parameter "${name}" is "${text.slice(0, 80)}"; accepted: ${accepted(schema)}`);
    }
    given[name] = value;
  }
  const missing = needs.find((name) => !Object.hasOwn(given, name));
  if (missing !== undefined) throw bad(`The parameter "${missing}" is missing`);
  for (const [name, schema] of Object.entries(parameters)) {
    if (!(name in given) && schema.default !== undefined) given[name] = schema.default;
  }
  return given;
}

/** The members of a JSON body; none if it is empty. @throws Refused */
export function bodyOf(text: string, schema: Route["body"] = NOTHING): Asked["body"] {
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw bad(`The body is not JSON: ${(error as Error).message}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw bad("The body is no JSON object");
  }
  const fault = faultIn(schema, body);
  if (fault !== null) throw bad(fault);
  return body as Record<string, unknown>;
}

/** The body as text; reading stops at the bound whatever its declared length. @throws Refused */
export async function limitedText(request: Request, bytesMax = BODY_BYTES_MAX): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new Refused(413, "Too large", `The body is larger than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks as BlobPart[]).text();
}
