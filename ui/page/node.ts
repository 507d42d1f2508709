/**
 * Serves a running node on its socket: the API, and the pages with its file, its doctor and its filter. An edge: the clock.
 */
import { readAccepted } from "../../appliance/accepted.ts";
import type { Config } from "../../appliance/config.ts";
import { matchFault } from "../../appliance/config_match.ts";
import { consult } from "../../appliance/doctor.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { makeApi, serveApi, type Served } from "../server.ts";
import { fileDesk } from "./desk.ts";
import { explainCapture } from "./explain.ts";
import { makePages, type PageServer } from "./pages.tsx";
import { withPages } from "./serve.ts";
import { LOCAL_VISITOR } from "./visitor.ts";

export interface NodePagesOptions {
  /** Of the configuration file. */
  readonly path: string;
  /** It began with. */
  readonly config: Config;
  /** Of a chain; the file is that of the first one, so only there it can be changed. */
  readonly stage: string | null;
}

export function nodePages(control: NodeControl, { path, config, stage }: NodePagesOptions): PageServer {
  const desk = fileDesk({ path, control, matchFault });
  return makePages(control, {
    now: () => Date.now(),
    ...(stage === null && { config: desk }),
    doctor: () => consult(readAccepted(config) ?? config),
    explain: (capture, preset) => explainCapture(capture, preset, () => desk.current().text),
  });
}

/** API and pages on the node's socket. Who can open it is trusted, as the owner of the machine is. */
export async function serveNode(control: NodeControl, options: NodePagesOptions): Promise<Served> {
  const pages = nodePages(control, options);
  const app = withPages(makeApi(control), pages.handle, () => LOCAL_VISITOR);
  const served = await serveApi(app, options.config.api.socket);
  return {
    close: async () => {
      pages.close();
      await served.close();
    },
  };
}
