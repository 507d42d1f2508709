/**
 * The table of routes of a controller: nodes, commands, tokens, events.
 *
 * As that of a node (routes.ts), with the same gates: roles, CSRF, bounds and audit are not decided here.
 */
import { argumentsFault, COMMAND_KINDS, isKind, KINDS } from "../../appliance/fleet/kinds.ts";
import type { NodeRecord } from "../../appliance/fleet/contract.ts";
import { jsonSchema } from "../../appliance/fleet/protocol.ts";
import { VERSION } from "../../appliance/version.ts";
import { openApi } from "../openapi.ts";
import { bad, have, Refused } from "../refused.ts";
import { type ApiMeans, type Asked, gives, LIST, OBJECT, type Route, TEXT, YES_NO } from "../route.ts";
import { ACCESS_ROUTES } from "../routes_access.ts";
import { members } from "../../appliance/schema.ts";
import { may } from "../session.ts";

const EXPIRES_S = 24 * 3600;
const COUNT = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const LABELS = {
  type: "object",
  additionalProperties: {
    type: "string",
    pattern: "^[A-Za-z0-9._-]{1,63}$",
    description: "1 to 63 letters, digits, dots, dashes, underscores",
  },
  maxProperties: 32,
} as const;

const fleet = (means: ApiMeans) => have(means.fleet, "fleet here");
const who = ({ visitor }: Asked) => visitor?.name ?? "";

/** By id, or by a name that only one node has. @throws Refused */
async function nodeOf({ path }: Asked, means: ApiMeans): Promise<NodeRecord> {
  const wanted = path.node ?? "", { registry } = fleet(means);
  const known = await registry.node(wanted);
  if (known !== null) return known;
  const named = (await registry.nodes({ search: wanted, limit: 1000 })).filter(({ name }) => name === wanted);
  if (named.length === 1) return named[0]!;
  const why = named.length === 0 ? "there is no node" : `${named.length} nodes are called`;
  throw new Refused(404, "Not found", `${why} ${wanted}`);
}

const VIEWS: readonly Route[] = [
  {
    method: "GET",
    path: "/healthz",
    name: "health",
    summary: "Whether the controller does its work",
    role: null,
    answers: gives("It does.", { ok: YES_NO }),
    work: async (_, means) => {
      await fleet(means).registry.size();
      return { ok: true };
    },
  },
  {
    method: "GET",
    path: "/api/v1/fleet",
    name: "fleet",
    summary: "How many nodes there are, and what this controller has counted",
    role: "viewer",
    answers: gives("Counts since the controller started.", {
      controller: TEXT,
      fleet: TEXT,
      nodes: COUNT,
      connected: COUNT,
      counters: OBJECT,
    }),
    work: async (_, means) => {
      const control = fleet(means), { registry } = control;
      return {
        controller: control.name,
        fleet: registry.fleet,
        ...await registry.size(),
        counters: control.counters(),
      };
    },
  },
  {
    method: "GET",
    path: "/api/v1/fleet/nodes",
    name: "fleetNodes",
    summary: "Nodes by id, a page at a time",
    role: "viewer",
    query: {
      after: { type: "string", maxLength: 16, description: "the id of the last one of the page before" },
      limit: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
      search: { type: "string", maxLength: 64, description: "a part of a name or an id" },
      connected: { type: "boolean" },
    },
    answers: gives("At most `limit` of them.", { nodes: LIST }),
    work: async ({ query: { after, limit, search, connected } }, means) => ({
      nodes: await fleet(means).registry.nodes({
        limit: Number(limit),
        ...(after !== undefined && { after: String(after) }),
        ...(search !== undefined && { search: String(search) }),
        ...(connected !== undefined && { connected: connected === true }),
      }),
    }),
  },
  {
    method: "GET",
    path: "/api/v1/fleet/nodes/{node}",
    name: "fleetNode",
    summary: "One node, by id or by its name, with its last commands",
    role: "viewer",
    answers: gives("The node.", { node: OBJECT, commands: LIST }),
    work: async (asked, means) => {
      const node = await nodeOf(asked, means), control = fleet(means);
      const commands = await control.registry.commands.list(node.id, 20);
      return {
        node,
        commands: commands.map((one) => ({ ...one, progress: control.progress(one.node, one.number) })),
      };
    },
  },
  {
    method: "GET",
    path: "/api/v1/fleet/events",
    name: "fleetEvents",
    summary: "What has happened in the fleet, oldest first; without `after` the youngest",
    role: "viewer",
    query: {
      after: COUNT,
      limit: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
      node: { type: "string", maxLength: 16, description: "the id of a node" },
    },
    answers: gives("At most `limit` of them.", { events: LIST }),
    work: async ({ query: { after, limit, node } }, means) => ({
      events: await fleet(means).registry.events.read({
        limit: Number(limit),
        ...(after !== undefined && { after: Number(after) }),
        ...(node !== undefined && { node: String(node) }),
      }),
    }),
  },
  {
    method: "GET",
    path: "/api/v1/fleet/protocol.json",
    name: "fleetProtocol",
    summary: "The messages between agents and controllers, as JSON Schema",
    role: "viewer",
    answers: gives("JSON Schema 2020-12.", { $defs: OBJECT }),
    work: () => jsonSchema(),
  },
];

const CHANGES: readonly Route[] = [
  {
    method: "PUT",
    path: "/api/v1/fleet/nodes/{node}/labels",
    name: "fleetLabels",
    summary: "Give a node labels, which go before its own",
    role: "operator",
    body: members({ labels: LABELS }, ["labels"]),
    answers: gives("It is done.", { ok: YES_NO }),
    work: async (asked, means) => {
      const { id } = await nodeOf(asked, means);
      await fleet(means).registry.setLabels(id, asked.body.labels as Readonly<Record<string, string>>);
      return { ok: true };
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/fleet/nodes/{node}",
    name: "fleetRevoke",
    summary: "Revoke a node: its key is worth nothing any more, and its connection ends",
    role: "admin",
    answers: gives("It is done.", { ok: YES_NO }),
    work: async (asked, means) => {
      const { id } = await nodeOf(asked, means);
      return { ok: await fleet(means).revoke(id, who(asked)) };
    },
  },
  {
    method: "POST",
    path: "/api/v1/fleet/nodes/{node}/commands",
    name: "fleetCommand",
    summary: "Give a node a command; it is sent when the node is connected, and done once or never",
    role: "operator",
    bytesMax: 512 * 1024,
    secret: true,
    idempotent: true,
    body: members({
      kind: { type: "string", enum: COMMAND_KINDS },
      arguments: { type: "object" },
      expires_s: { type: "integer", minimum: 1, maximum: 30 * 24 * 3600, default: EXPIRES_S },
    }, ["kind"]),
    answers: gives("The command's number.", { node: TEXT, number: COUNT }),
    work: command,
  },
  {
    method: "GET",
    path: "/api/v1/fleet/nodes/{node}/commands/{number}",
    name: "fleetCommandShow",
    summary: "A command, and what came of it",
    role: "operator",
    answers: gives("The command.", { command: OBJECT }),
    work: async (asked, means) => {
      const { id } = await nodeOf(asked, means), number = Number(asked.path.number);
      const command = await fleet(means).registry.commands.get(id, number);
      if (command === null) throw new Refused(404, "Not found", `There is no command ${asked.path.number}`);
      return { command, progress: fleet(means).progress(id, number) };
    },
  },
  {
    method: "GET",
    path: "/api/v1/fleet/nodes/{node}/commands/{number}/file",
    name: "fleetFile",
    summary: "The file that came with a result",
    role: "operator",
    answers: { 200: { description: "The file.", type: "application/octet-stream" } },
    work: async (asked, means) => {
      const { id } = await nodeOf(asked, means);
      const file = await fleet(means).file(id, Number(asked.path.number));
      if (file === null) throw new Refused(404, "Not found", "There is no file with this command");
      return new Response(file, { headers: { "content-type": "application/octet-stream" } });
    },
  },
];

async function command(asked: Asked, means: ApiMeans): Promise<object> {
  const { id } = await nodeOf(asked, means), control = fleet(means), nowMs = means.nowMs();
  const kind = String(asked.body.kind), given = asked.body.arguments ?? {};
  if (!isKind(kind)) throw bad(`There is no kind of command "${kind}"`);
  const fault = argumentsFault(kind, given), needed = KINDS[kind].role;
  if (fault !== null) throw bad(fault);
  if (asked.visitor !== null && !may(asked.visitor, needed)) {
    throw new Refused(
      403,
      "Not allowed",
      `${asked.visitor.name} is ${asked.visitor.role}; this needs ${needed}`,
    );
  }
  const expiresMs = nowMs + Number(asked.body.expires_s ?? EXPIRES_S) * 1000;
  const fresh = { kind, arguments: given as never, by: who(asked), nowMs, expiresMs };
  try {
    return { node: id, number: await control.order(id, fresh) };
  } catch (error) {
    throw new Refused(409, "Not possible", error instanceof Error ? error.message : String(error));
  }
}

const TOKENS: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/fleet/tokens",
    name: "fleetTokens",
    summary: "One-time tokens to enrol nodes with, without their secrets",
    role: "admin",
    answers: gives("All of them.", { tokens: LIST }),
    work: async (_, means) => ({ tokens: await fleet(means).registry.tokens.list() }),
  },
  {
    method: "POST",
    path: "/api/v1/fleet/tokens",
    name: "fleetTokenAdd",
    summary: "Make a one-time token; it is shown once",
    role: "admin",
    secret: true,
    body: members({
      note: { type: "string", maxLength: 100, default: "", description: "at most 100 characters" },
      labels: LABELS,
      hours: { type: "integer", minimum: 1, maximum: 24 * 365, default: 24 },
    }),
    answers: gives("The token.", { id: TEXT, token: TEXT, expiresMs: COUNT }),
    work: async ({ body: { note = "", labels = {}, hours = 24 } }, means) => {
      const nowMs = means.nowMs(), expiresMs = nowMs + Number(hours) * 3600_000;
      const given = labels as Readonly<Record<string, string>>;
      const made = await fleet(means).registry.tokens.add({
        note: String(note),
        labels: given,
        nowMs,
        expiresMs,
      });
      return { ...made, expiresMs };
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/fleet/tokens/{id}",
    name: "fleetTokenRevoke",
    summary: "Revoke a token that nobody has used",
    role: "admin",
    answers: gives("It is done.", { ok: YES_NO }),
    work: async ({ path }, means) => {
      if (await fleet(means).registry.tokens.revoke(path.id ?? "")) return { ok: true };
      throw new Refused(404, "Not found", `There is no token ${path.id} that waits to be used`);
    },
  },
];

/** All routes of a controller; `more`: of other parts of it. */
export function fleetRoutes(more: readonly Route[] = []): readonly Route[] {
  const routes: readonly Route[] = [
    ...VIEWS,
    ...CHANGES,
    ...TOKENS,
    ...ACCESS_ROUTES,
    ...more,
    {
      method: "GET",
      path: "/api/v1/openapi.json",
      name: "openapi",
      summary: "This document",
      role: "viewer",
      answers: gives("OpenAPI 3.1.", { openapi: TEXT, info: OBJECT, paths: OBJECT }),
      work: () => openApi(routes, VERSION),
    },
  ];
  return routes;
}
