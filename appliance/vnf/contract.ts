/** Duty: VNFs as people see them and order them about. Pure types. */
import type { Box } from "../view.ts";
import type { VnfPhase } from "./life.ts";

export interface VnfView {
  readonly name: string;
  readonly box: Box;
  readonly phase: VnfPhase;
  readonly wanted: boolean;
  readonly pid: number | null;
  readonly sinceMs: number;
  readonly restarts: number;
  /** Of the next start; null: none is waited for. */
  readonly nextMs: number | null;
  /** Why it is not up; empty: it is, or is not wanted. */
  readonly reason: string;
}

export type VnfAnswer = { readonly ok: true; readonly view: VnfView } | {
  readonly ok: false;
  readonly text: string;
};

export interface VnfControl {
  list(): readonly VnfView[];
  /** Done when it is up, or why it is not. */
  start(name: string): Promise<VnfAnswer>;
  stop(name: string): Promise<VnfAnswer>;
}
