/**
 * Serves a running node on its socket: the API, and the pages with its configuration, its doctor and its filter. An edge:
 * the clock.
 */
import { readAccepted } from "../../appliance/accepted.ts";
import type { Config } from "../../appliance/config.ts";
import { matchFault } from "../../appliance/config_match.ts";
import { consult } from "../../appliance/doctor.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { makeApi, serveApi, type Served } from "../server.ts";
import { fileDesk } from "./desk.ts";
import { explainCapture } from "./explain.ts";
import type { Access, Audited, ConfigDesk } from "./means.ts";
import { makePages, type PageServer } from "./pages.tsx";
import { withPages } from "./serve.ts";
import { LOCAL_VISITOR } from "./visitor.ts";

/** What stands behind pages besides the node. */
export interface Behind {
  /** Null: the configuration is another stage's. */
  readonly config: ConfigDesk | null;
  /** Null: nobody can log in. */
  readonly access: Access | null;
  /** Where a request came from. */
  readonly address: (request: Request) => string;
  readonly audit: (entry: Audited) => void;
}

export function nodePages(control: NodeControl, config: Config, behind: Behind): PageServer {
  const { config: desk, access, address, audit } = behind;
  return makePages(control, {
    now: () => Date.now(),
    address,
    audit,
    ...(desk &&
      {
        config: desk,
        explain: (capture, preset) => explainCapture(capture, preset, () => desk.current().text),
      }),
    ...(access && { access }),
    doctor: () => consult(readAccepted(config) ?? config),
  });
}

export interface NodeServed {
  /** Of the configuration file. */
  readonly path: string;
  /** It began with. */
  readonly config: Config;
  /** Of a chain; the file is that of the first one, so only there it can be changed. */
  readonly stage: string | null;
}

/** API and pages on the node's socket. Who can open it is trusted, as the owner of the machine is. */
export async function serveNode(control: NodeControl, { path, config, stage }: NodeServed): Promise<Served> {
  const desk = stage === null ? fileDesk({ path, control, matchFault }) : null;
  const pages = nodePages(control, config, {
    config: desk,
    access: null,
    address: () => "",
    audit: () => {},
  });
  const app = withPages(makeApi(control), pages.handle, () => LOCAL_VISITOR);
  const served = await serveApi(app, config.api.socket);
  return {
    close: async () => {
      pages.close();
      await served.close();
    },
  };
}
