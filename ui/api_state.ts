/**
 * State drivers in the API: what runs, and state of boxes in and out as JSON lines, a record each.
 *
 * Pure. What comes in is judged whole before a driver hears of it: one bad line and nothing is put.
 */
import type { Context, Hono } from "hono";
import type { StateControl, StateQuery } from "../appliance/view.ts";
import { parseFields } from "../drivers/fields.ts";
import type { StateRecord } from "../drivers/record.ts";
import { recordFromJson, recordToJson, STATE_ROLES } from "../drivers/record_json.ts";

/** Of the lines that are put. */
export const PUT_BYTES_MAX = 16 << 20;
const RECORDS_MAX = 10_000;

export const STATE_ROUTES = {
  "/api/v1/drivers": "GET",
  "/api/v1/state": "GET",
  "/api/v1/state/put": "POST",
  "/api/v1/state/delete": "POST",
} as const;

/** What api.ts does for every route. */
export interface Means {
  readonly query: (c: Context, known: readonly string[]) => ReadonlyMap<string, string>;
  readonly bodyOf: (c: Context, known: readonly string[]) => Promise<Readonly<Record<string, unknown>>>;
  /** The body of a request, of so many bytes at most. */
  readonly textOf: (request: Request, bytesMax: number) => Promise<string>;
  /** Errors to throw: the request is wrong, or the node cannot. */
  readonly bad: (detail: string) => Error;
  readonly refused: (title: string, detail: string) => Error;
}

export function addState(app: Hono, control: StateControl, means: Means): void {
  const { query, bodyOf, textOf, bad, refused } = means;
  app.get("/api/v1/drivers", (c) => {
    query(c, []);
    return c.json(control.report());
  });
  app.get("/api/v1/state", (c) => {
    const given = query(c, ["driver", "role", "fields"]);
    const answer = control.get(queryOf(Object.fromEntries(given), bad));
    if (!answer.ok) throw refused("There is no state", answer.text);
    return new Response(linesOf(answer.value), { headers: { "content-type": "application/jsonl" } });
  });
  app.post("/api/v1/state/put", async (c) => {
    const driver = query(c, ["driver"]).get("driver");
    if (driver === undefined) throw bad('The parameter "driver" is missing');
    const records = recordsOf(await textOf(c.req.raw, PUT_BYTES_MAX), bad);
    const answer = await control.put(driver, records);
    if (!answer.ok) throw refused("The state was not put", answer.text);
    return c.json(answer.value);
  });
  app.post("/api/v1/state/delete", async (c) => {
    const answer = await control.del(queryOf(await bodyOf(c, ["driver", "role", "fields"]), bad));
    if (!answer.ok) throw refused("The state was not deleted", answer.text);
    return c.json({ gone: answer.value });
  });
}

function queryOf(given: Readonly<Record<string, unknown>>, bad: Means["bad"]): StateQuery {
  const { driver, role = null, fields = "all" } = given;
  if (typeof driver !== "string") {
    throw bad(`"driver" is ${JSON.stringify(driver)}, not the name of a driver`);
  }
  const known = role === null ? null : STATE_ROLES.find((one) => one === role);
  if (known === undefined) {
    throw bad(`"role" is ${JSON.stringify(role)}; accepted: one of ${STATE_ROLES.join(", ")}`);
  }
  if (typeof fields !== "string") throw bad(`"fields" is ${JSON.stringify(fields)}, not a text`);
  try {
    return { driver, role: known, fields: parseFields(fields) };
  } catch (error) {
    throw bad(`"fields": ${(error as Error).message}`);
  }
}

function recordsOf(text: string, bad: Means["bad"]): StateRecord[] {
  const lines = text.split("\n").map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== "");
  if (lines.length > RECORDS_MAX) {
    throw bad(`There are ${lines.length} records; accepted: up to ${RECORDS_MAX}`);
  }
  return lines.map(({ line, number }) => {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw bad(`Line ${number} is not JSON: ${(error as Error).message}`);
    }
    const record = recordFromJson(json);
    if (typeof record === "string") throw bad(`Line ${number} is no record: ${record}`);
    return record;
  });
}

/** Nothing is read from the driver before somebody reads here. */
function linesOf(records: AsyncIterable<StateRecord>): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder(), iterator = records[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(utf8.encode(`${JSON.stringify(recordToJson(value))}\n`));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
