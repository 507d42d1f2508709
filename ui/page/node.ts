/**
 * The pages of a running node, with its configuration, its doctor and its filter. An edge: the clock.
 */
import { readAccepted } from "../../appliance/accepted.ts";
import type { Config } from "../../appliance/config.ts";
import { consult } from "../../appliance/doctor.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { explainCapture } from "./explain.ts";
import type { AuditEntry } from "../route.ts";
import type { Access, ConfigDesk } from "./means.ts";
import type { PageServer } from "../session.ts";
import { makePages } from "./pages.tsx";

/** What stands behind pages besides the node. */
export interface Behind {
  /** Null: the configuration is another stage's. */
  readonly config: ConfigDesk | null;
  /** Null: nobody can log in. */
  readonly access: Access | null;
  /** Where a request came from. */
  readonly address: (request: Request) => string;
  readonly audit: (entry: AuditEntry) => void;
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
