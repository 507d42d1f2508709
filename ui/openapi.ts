/**
 * The OpenAPI 3.1 document, made of the table of routes. Pure.
 *
 * What is refused stands once, as a problem detail that every route may answer with.
 */
import type { Answer, Route } from "./route.ts";

const PROBLEM = {
  type: "object",
  description: "RFC 9457. `detail` is one sentence for people.",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    instance: { type: "string" },
  },
  required: ["type", "title", "status", "detail", "instance"],
} as const;

const REFUSAL = {
  description: "Refused; the status says how, `detail` why.",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/problem" } } },
};

export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Remediate",
      version,
      description:
        "What a node tells and takes. Sessions (cookie and `x-csrf-token`) or tokens (bearer) say " +
        "who asks; by the unix socket nothing is needed.",
    },
    servers: [{ url: "/" }],
    components: {
      schemas: { problem: PROBLEM },
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "__Host-remediate" },
      },
    },
    paths,
  };
}

function operation(route: Route): object {
  const parameters = [
    ...[...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...Object.entries(route.query ?? {}).map(([name, schema]) => ({
      name,
      in: "query",
      ...(route.needs?.includes(name) && { required: true }),
      schema,
    })),
    ...Object.entries(headersOf(route)).map(([name, description]) => ({
      name,
      in: "header",
      description,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: route.name,
    summary: route.summary,
    ...(route.role === null
      ? { security: [] }
      : { security: [{ token: [] }, { session: [] }], "x-role": route.role }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: { content: { "application/json": { schema: route.body } } } }),
    ...(route.text && { requestBody: { content: { [route.text]: { schema: { type: "string" } } } } }),
    ...(route.stream && { requestBody: { content: { [route.stream]: { schema: { type: "string" } } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, told(answer)])),
      default: REFUSAL,
    },
  };
}

function headersOf(route: Route): Readonly<Record<string, string>> {
  return {
    ...(route.idempotent && { "Idempotency-Key": "Asked again with it, the same answer comes again." }),
    ...route.headers,
  };
}

function told({ description, type = "application/json", schema }: Answer): object {
  return { description, content: { [type]: schema === undefined ? {} : { schema } } };
}
