/**
 * Routes of state drivers: what runs, and state of boxes in and out as JSON lines, a record each. A part of the table in
 * routes.ts.
 *
 * What comes in is judged whole before a driver hears of it: one bad line and nothing is put.
 */
import type { StateQuery } from "../appliance/view.ts";
import { parseFields } from "../drivers/fields.ts";
import type { StateRecord } from "../drivers/record.ts";
import { recordFromJson, recordToJson, STATE_ROLES } from "../drivers/record_json.ts";
import { bad, Refused } from "./refused.ts";
import { gives, OBJECT, type Route } from "./route.ts";
import { members } from "../appliance/schema.ts";

/** Of the lines that are put. */
export const PUT_BYTES_MAX = 16 << 20;
const RECORDS_MAX = 10_000;
const LINES = "application/jsonl";

const DRIVER = {
  type: "string",
  pattern: "^[A-Za-z0-9._-]{1,64}$",
  description: "the name of a driver",
} as const;
const QUERY = {
  driver: DRIVER,
  role: { type: "string", enum: STATE_ROLES },
  fields: { type: "string", default: "all", maxLength: 1024, description: "a header field list as text" },
} as const;

export const STATE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/drivers",
    name: "drivers",
    summary: "The state drivers",
    role: "viewer",
    answers: { 200: { description: "All of them.", schema: OBJECT } },
    work: (_, { control }) => control.state.report(),
  },
  {
    method: "GET",
    path: "/api/v1/state",
    name: "stateGet",
    summary: "State of a box, a record a line",
    role: "operator",
    query: QUERY,
    needs: ["driver"],
    answers: { 200: { description: "Records, as they come.", type: LINES } },
    work: ({ query }, { control }) => {
      const answer = control.state.get(queryOf(query));
      if (!answer.ok) throw new Refused(409, "There is no state", answer.text);
      return new Response(linesOf(answer.value), { headers: { "content-type": LINES } });
    },
  },
  {
    method: "POST",
    path: "/api/v1/state/put",
    name: "statePut",
    summary: "Put records into a box, all or none",
    role: "operator",
    query: { driver: DRIVER },
    needs: ["driver"],
    text: LINES,
    bytesMax: PUT_BYTES_MAX,
    answers: { 200: { description: "What came of it.", schema: OBJECT } },
    work: async ({ query, text }, { control }) => {
      const answer = await control.state.put(String(query.driver), recordsOf(text));
      if (!answer.ok) throw new Refused(409, "The state was not put", answer.text);
      return answer.value;
    },
  },
  {
    method: "POST",
    path: "/api/v1/state/delete",
    name: "stateDelete",
    summary: "Delete state of a box",
    role: "operator",
    body: members(QUERY, ["driver"]),
    idempotent: true,
    answers: gives("So many are gone.", { gone: { type: "number" } }),
    work: async ({ body }, { control }) => {
      const answer = await control.state.del(queryOf(body));
      if (!answer.ok) throw new Refused(409, "The state was not deleted", answer.text);
      return { gone: answer.value };
    },
  },
];

function queryOf({ driver, role, fields = "all" }: Readonly<Record<string, unknown>>): StateQuery {
  const known = STATE_ROLES.find((one) => one === role) ?? null;
  try {
    return { driver: String(driver), role: known, fields: parseFields(String(fields)) };
  } catch (error) {
    throw bad(`"fields": ${(error as Error).message}`);
  }
}
function recordsOf(text: string): StateRecord[] {
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
