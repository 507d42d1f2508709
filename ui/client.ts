/**
 * Talks to a running node over its socket.
 *
 * What goes wrong comes back as one sentence that names the socket and the next step; what the node refuses
 * comes back as its own words.
 */
import { reasonOf } from "../drivers/reason.ts";
import type { LayerAnswer, MoveView } from "../appliance/layer/contract.ts";
import type { VnfAnswer, VnfView } from "../appliance/vnf/contract.ts";
import type { SignedReport } from "../appliance/drill_report.ts";
import type {
  CaptureListing,
  DrillAnswer,
  DrillSummary,
  EventView,
  FlowView,
  MatchReport,
  NodeStatus,
  OrderResult,
  ProbeListing,
  RecorderStatus,
} from "../appliance/view.ts";
import { type RemoteState, remoteState } from "./client_state.ts";

export type OrderName = "switchover" | "failback" | "arm" | "disarm";

/** `NodeControl`, from afar. */
export interface RemoteNode {
  status(): Promise<NodeStatus>;
  flows(
    options: { limit: number; side?: string; text?: string; unlike?: boolean },
  ): Promise<readonly FlowView[]>;
  events(options: { after: number; limit: number }): Promise<readonly EventView[]>;
  /** Tell it of the last event that somebody knows of it, who hears what comes after. */
  eventsKnown(sequence: number): Promise<void>;
  match(options: { history: boolean }): Promise<MatchReport>;
  probes(): Promise<ProbeListing>;
  /** A refusal of the node is a result that is not ok, never an error. */
  order(name: OrderName, options: { force: boolean; box?: string }): Promise<OrderResult>;
  member(change: "join" | "leave", box: string): Promise<OrderResult>;
  maintain(box: string, on: boolean): Promise<OrderResult>;
  resync(options: { box?: string; stop: boolean }): Promise<OrderResult>;
  reload(): Promise<{ ok: boolean; text: string }>;
  /** A refusal is an answer that is not ok. `box`: null for the one that would take over. */
  drill(box: string | null): Promise<DrillAnswer>;
  drills(): Promise<readonly DrillSummary[]>;
  /** An order to the layer, by its path below /api/v1. A refusal is an answer that is not ok. */
  layer(path: string, body: object): Promise<LayerAnswer<object>>;
  moves(): Promise<readonly MoveView[]>;
  vnfs(): Promise<readonly VnfView[]>;
  vnf(verb: "start" | "stop", name: string): Promise<VnfAnswer>;
  /** The ring of captured frames. */
  captureFiles(): Promise<CaptureListing>;
  recorder(): Promise<RecorderStatus>;
  setRecorder(on: boolean): Promise<{ ok: boolean; text: string }>;
  /** A pcapng file in pieces; it ends when the node or `stop` ends it. `query` as in the API. */
  capture(
    what: "live" | "kept" | "recorded",
    query: URLSearchParams,
    stop: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;
  /** Any request, and its answer whatever its status; an empty body of an answer is {}. */
  ask(
    method: string,
    path: string,
    how?: { readonly body?: object; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answer>;
  readonly state: RemoteState;
  close(): void;
}

/** No answer, or none that can be understood. */
export class NodeSilentError extends Error {
  override readonly name = "NodeSilentError";
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const CAPTURE_PATH = { live: "capture", kept: "capture/kept", recorded: "recorder/saved" } as const;

/** A client of the node whose API is at `socket`. Nothing is connected before the first question. */
export function connectNode(socket: string): RemoteNode {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const ask: Ask = (method, path, body) => askNode({ client, socket, method, path, body });
  const pieces = async (path: string, stop: AbortSignal) => {
    const response = await reach({ client, socket, method: "GET", path, body: undefined }, stop);
    if (!response.ok) told(await answerOf(response, socket), socket);
    return piecesOf(response, socket, stop);
  };
  return {
    ...layerOf(ask, socket),
    status: async () => told(await ask("GET", "/api/v1/status"), socket) as unknown as NodeStatus,
    flows: async ({ limit, side, text, unlike }) => {
      const query = new URLSearchParams({
        limit: String(limit),
        ...(side && { side }),
        ...(text && { search: text }),
        ...(unlike && { unlike: "true" }),
      });
      return told(await ask("GET", `/api/v1/flows?${query}`), socket).flows as FlowView[];
    },
    events: async ({ after, limit }) => {
      const answer = await ask("GET", `/api/v1/events?after=${after}&limit=${limit}`);
      return told(answer, socket).events as EventView[];
    },
    eventsKnown: async (sequence) =>
      void told(await ask("POST", "/api/v1/events/known", { sequence }), socket),
    order: async (name, options) =>
      carriedOut(await ask("POST", `/api/v1/${name}`, name === "disarm" ? {} : options), socket),
    member: async (change, box) => carriedOut(await ask("POST", `/api/v1/boxes/${change}`, { box }), socket),
    maintain: async (box, on) => carriedOut(await ask("POST", "/api/v1/boxes/maintain", { box, on }), socket),
    resync: async (options) => carriedOut(await ask("POST", "/api/v1/boxes/resync", options), socket),
    match: async ({ history }) => {
      const path = `/api/v1/match${history ? "?history=true" : ""}`;
      return told(await ask("GET", path), socket) as unknown as MatchReport;
    },
    probes: async () => told(await ask("GET", "/api/v1/probes"), socket) as unknown as ProbeListing,
    reload: async () => {
      const answer = await ask("POST", "/api/v1/reload");
      if (answer.status === 422) return { ok: false, text: String(answer.body.detail) };
      return told(answer, socket) as unknown as { ok: boolean; text: string };
    },
    drill: async (box) => {
      const answer = await ask("POST", "/api/v1/drill", box === null ? {} : { box });
      if (answer.status === 409) return { ok: false, text: String(answer.body.detail) };
      return { ok: true, signed: told(answer, socket) as unknown as SignedReport };
    },
    drills: async () => told(await ask("GET", "/api/v1/drills"), socket).drills as DrillSummary[],
    captureFiles: async () =>
      told(await ask("GET", "/api/v1/capture/files"), socket) as unknown as CaptureListing,
    ...recorderOf(ask, socket),
    capture: (what, query, stop) => pieces(`/api/v1/${CAPTURE_PATH[what]}?${query}`, stop),
    ask: (method, path, { body, headers } = {}) =>
      askNode({ client, socket, method, path, body, ...(headers && { headers }) }),
    state: remoteState({
      ask: async (method, path, body) => told(await ask(method, path, body), socket),
      pieces: (path) => pieces(path, new AbortController().signal),
    }),
    close: () => client.close(),
  };
}

type Ask = (method: string, path: string, body?: object | string) => Promise<Answer>;

function recorderOf(ask: Ask, socket: string): Pick<RemoteNode, "recorder" | "setRecorder"> {
  return {
    recorder: async () => told(await ask("GET", "/api/v1/recorder"), socket) as unknown as RecorderStatus,
    setRecorder: async (on) => {
      const answer = await ask("POST", "/api/v1/recorder", { on });
      if (answer.status === 409) return { ok: false, text: String(answer.body.detail) };
      return told(answer, socket) as unknown as { ok: boolean; text: string };
    },
  };
}

function layerOf(ask: Ask, socket: string): Pick<RemoteNode, "layer" | "moves" | "vnfs" | "vnf"> {
  return {
    layer: async (path, body) => {
      const answer = await ask("POST", `/api/v1/${path}`, body);
      if (answer.status === 409) return { ok: false, text: String(answer.body.detail) };
      return { ok: true, view: told(answer, socket) };
    },
    moves: async () => told(await ask("GET", "/api/v1/state/moves"), socket).moves as MoveView[],
    vnfs: async () => told(await ask("GET", "/api/v1/vnfs"), socket).vnfs as VnfView[],
    vnf: async (verb, name) => {
      const answer = await ask("POST", `/api/v1/vnfs/${verb}`, { name });
      if (answer.status === 409) return { ok: false, text: String(answer.body.detail) };
      return { ok: true, view: told(answer, socket) as unknown as VnfView };
    },
  };
}

interface Question {
  readonly client: Deno.HttpClient;
  readonly socket: string;
  readonly method: string;
  readonly path: string;
  /** JSON, or a text as it is. */
  readonly body: object | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

async function askNode(question: Question): Promise<Answer> {
  return await answerOf(await reach(question), question.socket);
}

async function reach(
  { client, socket, method, path, body, headers }: Question,
  signal?: AbortSignal,
): Promise<Response> {
  try {
    // The host is only a name: the client goes to the socket whatever it says.
    return await fetch(`http://node${path}`, {
      client,
      method,
      ...(signal && { signal }),
      headers: {
        ...headers,
        ...(body !== undefined && {
          "content-type": typeof body === "string" ? "application/jsonl" : "application/json",
        }),
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  } catch (error) {
    throw new NodeSilentError(`Cannot reach a node at ${socket}: ${await whyUnreachable(socket, error)}`);
  }
}

async function answerOf(response: Response, socket: string): Promise<Answer> {
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch (cause) {
    throw new NodeSilentError(`Cannot understand the node at ${socket}: it answered no JSON`, { cause });
  }
}

/** The body as it comes. That the reader has stopped is its end. */
async function* piecesOf(
  response: Response,
  socket: string,
  stop: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of response.body ?? []) yield piece;
  } catch (error) {
    if (stop.aborted) return;
    throw new NodeSilentError(`Cannot read on from the node at ${socket}: the connection broke`, {
      cause: error,
    });
  }
}

/** A refusal of the node is a result too. */
function carriedOut(answer: Answer, socket: string): OrderResult {
  if (answer.status === 409) return answer.body.result as OrderResult;
  return told(answer, socket) as unknown as OrderResult;
}

/** The body of a good answer; a refusal is thrown in the node's words. */
function told({ status, body }: Answer, socket: string): Answer["body"] {
  if (status < 400) return body;
  throw new NodeSilentError(
    `Cannot get an answer from the node at ${socket}: ${body.detail ?? `HTTP ${status}`}`,
  );
}

/** The client's own error is deep in its cause and names no reason that helps; the socket itself does. */
async function whyUnreachable(socket: string, error: unknown): Promise<string> {
  try {
    const connection = await Deno.connect({ transport: "unix", path: socket });
    connection.close();
    return reasonOf(error);
  } catch (reason) {
    if (reason instanceof Deno.errors.NotFound) {
      return "none is running there; start one with `remediate run`, or name its socket with --socket";
    }
    if (reason instanceof Deno.errors.ConnectionRefused) {
      return "it has ended without removing its socket; start one with `remediate run`";
    }
    if (reason instanceof Deno.errors.PermissionDenied) return "its socket is not yours to use; try as root";
    return reasonOf(reason);
  }
}
