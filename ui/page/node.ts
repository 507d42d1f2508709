/**
 * The pages of a running node, with its configuration, its doctor and its filter. An edge: the clock.
 */
import { readAccepted } from "../../appliance/accepted.ts";
import type { Config } from "../../appliance/config.ts";
import { consult } from "../../appliance/doctor.ts";
import { LineFile } from "../../appliance/line_file.ts";
import { auditPath } from "../../appliance/paths.ts";
import { recentLogs } from "../../appliance/support/logs.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { agentStatus } from "../fleet/agent.ts";
import { explainCapture, tuneCapture } from "./explain.ts";
import type { AuditEntry } from "../route.ts";
import type { Access, AuditLine, ConfigDesk, People } from "./means.ts";
import type { PageServer } from "../session.ts";
import type { UpdateDesk } from "../update_desk.ts";
import { makePages } from "./pages.tsx";

/** What stands behind pages besides the node. */
export interface Behind {
  /** Null: the configuration is another stage's. */
  readonly config: ConfigDesk | null;
  /** Null: nobody can log in. */
  readonly access: (Access & People) | null;
  /** Where a request came from. */
  readonly address: (request: Request) => string;
  readonly audit: (entry: AuditEntry) => void;
  /** Absent: another stage has it. */
  readonly update?: UpdateDesk;
}

export function nodePages(control: NodeControl, config: Config, behind: Behind): PageServer {
  const { config: desk, access, address, audit, update } = behind;
  return makePages(control, {
    now: () => Date.now(),
    address,
    audit,
    ...(desk &&
      {
        config: desk,
        explain: (capture, preset) => explainCapture(capture, preset, () => desk.current().text),
        tune: tuneCapture,
      }),
    ...(access && { access, people: access }),
    audited: () => readAudit(config),
    ...(config.fleet.url !== null && { fleet: () => agentStatus(config) }),
    ...(update?.present && { update: update.updater }),
    logs: () => recentLogs(readAccepted(config) ?? config, fileOf(desk)),
    doctor: () => consult(readAccepted(config) ?? config),
  });
}

/** Null: it is another stage's, or cannot be read just now. */
function fileOf(desk: ConfigDesk | null): string | null {
  try {
    return desk?.current().file ?? null;
  } catch {
    return null;
  }
}

const AUDIT_LINES_MAX = 200;

function readAudit(config: Config): AuditLine[] {
  const file = new LineFile({ path: auditPath(config), bytesMax: 0, complain: () => {} });
  return file.load().slice(-AUDIT_LINES_MAX).filter((line): line is AuditLine =>
    "at" in line && "who" in line
  );
}
