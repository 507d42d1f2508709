/**
 * Duty: what the pages need of the world besides the node: the configuration, the doctor, a filter to explain captures
 * with, and a way to log in.
 *
 * Pure types. What is not given is not offered on any page.
 */
import type { Finding } from "../../appliance/doctor_finding.ts";
import type { Explanation } from "../../appliance/mirror_run.ts";
import type { Candidate } from "../../appliance/mirror_tune.ts";
import type { Preset } from "../../filter/rule.ts";
import type { ConfigControl } from "../../appliance/view_config.ts";
import type { LogText } from "../../appliance/support/logs.ts";
import type { Updater } from "../../appliance/update/contract.ts";
import type { AccessControl } from "../access/view.ts";
import type { AgentStatus } from "../fleet/agent.ts";
import type { AuditEntry } from "../route.ts";

export interface Outcome {
  readonly ok: boolean;
  /** One or more sentences. */
  readonly text: string;
}

/** Where the configuration is kept, and changed. Whatever is refused has changed nothing. */
export type ConfigDesk = Pick<
  ConfigControl,
  "current" | "check" | "apply" | "confirm" | "rollback" | "history" | "version"
>;

/** The way in and out, and the proof that somebody is who he was at the way in. */
export type Access = Pick<AccessControl, "fresh" | "login" | "first" | "prove" | "logout">;

/** Who may come in, for admins. */
export type People = Pick<
  AccessControl,
  "users" | "addUser" | "removeUser" | "setRole" | "setPassword" | "tokens" | "addToken" | "revokeToken"
>;

/** A line of the audit log, with its time. */
export type AuditLine = AuditEntry & { readonly at: string };

export interface PageMeans {
  /** Since the epoch. */
  readonly now: () => number;
  readonly config?: ConfigDesk;
  readonly doctor?: () => Promise<readonly Finding[]>;
  /** Why each packet of a capture would be copied; null: by the rules in force. @throws Error with one sentence */
  readonly explain?: (capture: Uint8Array<ArrayBuffer>, preset: Preset | null) => Promise<Explanation>;
  /** What each rule of a grid would cost and keep on it. @throws Error with one sentence */
  readonly tune?: (capture: Uint8Array<ArrayBuffer>) => Promise<readonly Candidate[]>;
  readonly access?: Access;
  readonly people?: People;
  /** The last ones, oldest first. */
  readonly audited?: () => readonly AuditLine[];
  /** What the agent of the fleet wrote last; null: there is none. Absent: the node belongs to no fleet. */
  readonly fleet?: () => AgentStatus | null;
  /** The last lines of the node's logs, without secrets. */
  readonly logs?: () => Promise<readonly LogText[]>;
  readonly update?: Updater;
  /** Of who asks, for the bounds of logins. */
  readonly address?: (request: Request) => string;
  /** Told of everything that was to change something. */
  readonly audit?: (entry: AuditEntry) => void;
  /** Between two updates. @default 200 */
  readonly intervalMs?: number;
}
