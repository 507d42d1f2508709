/** State drivers of a running node, from afar. Pure: what talks to the node is handed in. */
import type { DriversReport } from "../appliance/view.ts";
import type { PutResult } from "../drivers/driver.ts";
import type { RecordJson } from "../drivers/record_json.ts";

export interface StateAsk {
  readonly driver: string;
  readonly role: string | null;
  readonly fields: string;
}

export interface RemoteState {
  report(): Promise<DriversReport>;
  get(ask: StateAsk): AsyncIterable<RecordJson>;
  /** `lines`: a record each. */
  put(driver: string, lines: string): Promise<PutResult>;
  /** How many went. */
  del(ask: StateAsk): Promise<number>;
}

export interface Wire {
  /** The body of a good answer; a refusal is thrown in the node's words. */
  readonly ask: (
    method: string,
    path: string,
    body?: object | string,
  ) => Promise<Readonly<Record<string, unknown>>>;
  readonly pieces: (path: string) => Promise<AsyncIterable<Uint8Array>>;
}

export function remoteState({ ask, pieces }: Wire): RemoteState {
  return {
    report: async () => await ask("GET", "/api/v1/drivers") as unknown as DriversReport,
    get: ({ driver, role, fields }) => {
      const query = new URLSearchParams({ driver, fields, ...(role !== null && { role }) });
      return linesOf(() => pieces(`/api/v1/state?${query}`));
    },
    put: async (driver, lines) => {
      const path = `/api/v1/state/put?${new URLSearchParams({ driver })}`;
      return await ask("POST", path, lines) as unknown as PutResult;
    },
    del: async ({ driver, role, fields }) => {
      const { gone } = await ask("POST", "/api/v1/state/delete", { driver, fields, ...(role && { role }) });
      return Number(gone);
    },
  };
}

async function* linesOf(open: () => Promise<AsyncIterable<Uint8Array>>): AsyncGenerator<RecordJson> {
  const text = new TextDecoder();
  let rest = "";
  for await (const piece of await open()) {
    const lines = (rest + text.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as RecordJson;
  }
}
