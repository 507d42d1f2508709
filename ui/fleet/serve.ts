/**
 * Duty: a controller that runs: the listener for agents and people, the socket for this machine, the registry.
 *
 * An edge. One port for both: what wants to become a WebSocket at /fleet is an agent, everything else a person or a
 * program. Who may come in is kept as on a node.
 */
import { makeDirectory } from "../../appliance/directories.ts";
import type { Config } from "../../appliance/config.ts";
import { endpointOf } from "../../appliance/config_keys_api.ts";
import type { FleetControl, Registry } from "../../appliance/fleet/contract.ts";
import { Controller } from "../../appliance/fleet/controller.ts";
import { fleetFiles } from "../../appliance/fleet/files.ts";
import { isSigned, makeNonce } from "../../appliance/fleet/keys.ts";
import { openRegistry } from "../../appliance/fleet/registry.ts";
import { FleetSockets } from "../../appliance/fleet/sockets.ts";
import { FleetStore } from "../../appliance/fleet/store.ts";
import type { NodeControl } from "../../appliance/view.ts";
import type { AccessControl } from "../access/view.ts";
import { makeApi } from "../api.ts";
import { listen } from "../network.ts";
import { Refused } from "../refused.ts";
import type { ApiMeans, AuditEntry, Route } from "../route.ts";
import { answering, openAccess, openAudit } from "../serve.ts";
import { serveApi } from "../server.ts";
import { LOCAL, type PageServer, type Visitor } from "../session.ts";
import { fleetRoutes } from "./routes.ts";

export interface FleetOptions {
  /** Of this controller; others that share the load have others. */
  readonly name: string;
  /** "192.0.2.1:8444" */
  readonly listen: string;
  /** What must survive a restart. */
  readonly stateDirectory: string;
  /** For the socket, `control.sock`. */
  readonly runtimeDirectory: string;
  /** PEM files of the operator; null: the controller makes its own. */
  readonly certificate: string | null;
  readonly key: string | null;
  readonly heartbeatS: number;
  /** Connections at most. */
  readonly connectionsMax: number;
  /** Where several controllers share a registry. @default a file in the state directory */
  readonly registry?: Registry;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
  /** Parts beside the registry: roll-outs, pages. Opened before anybody is listened to. */
  readonly parts?: (given: FleetGiven) => FleetParts;
}

export interface FleetGiven {
  readonly control: FleetControl;
  readonly access: AccessControl | null;
  readonly audit: (entry: AuditEntry) => void;
  /** Where a request came from; "" for the socket. */
  readonly address: (request: Request) => string;
}

export interface FleetParts {
  readonly routes?: readonly Route[];
  readonly pages?: PageServer;
  /** Ends what is under way; before the registry closes. */
  readonly close?: () => Promise<void> | void;
}

export interface RunningFleet {
  readonly control: FleetControl;
  readonly fingerprint: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A controller has no plane: no route of its table asks for one. */
const NO_NODE = new Proxy({}, {
  get: () => {
    throw new Refused(404, "Not found", "A controller has no plane of its own: ask a node");
  },
}) as NodeControl;

/** @throws Error with one sentence: a file cannot be used, or the address cannot be listened on */
export async function serveFleet(options: FleetOptions): Promise<RunningFleet> {
  const { name, stateDirectory, runtimeDirectory, heartbeatS, say } = options;
  const endpoint = endpointOf(options.listen);
  if (endpoint === null) throw new Error(`Cannot listen on ${options.listen}: it is no address with a port`);
  makeDirectory(stateDirectory);
  makeDirectory(runtimeDirectory);
  const config = asConfig(options), audit = openAudit(config, say);
  const opened = openAccess(config, { audit, say });
  if (opened === null || opened.identity === null) {
    throw new Error("Cannot serve a fleet without a certificate");
  }
  const { access, identity } = opened;
  const registry = options.registry ?? openRegistry(new FleetStore(`${stateDirectory}/fleet.db`));
  const controller = new Controller({
    ...{ name, registry, heartbeatS, say, nonce: makeNonce, verify: isSigned },
    certificate: identity.fingerprint,
    nowMs: () => Date.now(),
    files: fleetFiles(`${stateDirectory}/files`),
  });
  const sockets = new FleetSockets(controller, heartbeatS);
  const addresses = new WeakMap<Request, string>();
  const address = (request: Request) => addresses.get(request) ?? "";
  const parts = options.parts?.({ control: controller, access, audit, address }) ?? {};
  const means = { access, audit, fleet: controller, nowMs: () => Date.now() } satisfies Partial<ApiMeans>;
  const front = (who: (headers: Headers) => Visitor | null) => {
    const app = makeApi(NO_NODE, { ...means, who: ({ headers }) => who(headers) }, fleetRoutes(parts.routes));
    return answering({ app, who, pages: parts.pages?.handle, addresses });
  };
  const local = front(() => LOCAL);
  const served = await serveApi({ fetch: (request) => local(request, "") }, config.api.socket);
  const listener = await listen({
    ...endpoint,
    identity,
    answer: front((headers) => access.visitorOf(headers)),
    upgrade: (request, socket, head) => sockets.upgrade(request, socket, head),
    bounds: { connections: options.connectionsMax, connectionsByAddress: options.connectionsMax },
  }).catch(async (error) => {
    await served.close();
    throw error;
  });
  say("info", `listening on ${options.listen}, certificate SHA-256 ${identity.fingerprint}`);
  return {
    control: controller,
    fingerprint: identity.fingerprint,
    port: listener.port,
    close: async () => {
      parts.pages?.close();
      await parts.close?.();
      await sockets.close();
      await listener.close();
      await served.close();
      controller.close();
      await registry.close();
    },
  };
}

/** What those parts of a node's configuration are that its listeners stand on. */
function asConfig(options: FleetOptions): Config {
  const { name, stateDirectory, runtimeDirectory, listen, certificate, key } = options;
  return {
    node: { name, stateDirectory, runtimeDirectory },
    api: { listen, tls: true, certificate, key, socket: `${runtimeDirectory}/control.sock` },
  } as Config;
}
