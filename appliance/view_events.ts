/** What happened, as people and programs see it. */
import type { Cause, EventKind } from "../filter/names.ts";

export interface EventView {
  readonly sequence: number;
  /** Random id of the plane that wrote it, hexadecimal. */
  readonly boot: string;
  readonly wallMs: number;
  readonly monoUs: number;
  readonly kind:
    | EventKind
    | "plane"
    | "drill"
    | "external"
    | "match"
    | "seed"
    | "layer"
    | "vnf"
    | "mode"
    | "update"
    | "journal"
    | "state";
  readonly cause:
    | Cause
    | "died"
    | "attached"
    | "damping"
    | "unlike"
    | "alike"
    | "resync"
    | "resynced"
    | "waits"
    | "overdue"
    // Of the spares' line:
    | "preferred"
    | "proof"
    // Of the layer:
    | "step"
    | "moved"
    | "back"
    | "copied"
    // Of VNFs, besides start and died:
    | "stopped"
    // Of the mode, besides order:
    | "over"
    // Of updates, besides refused:
    | "installed"
    | "good"
    | "fell-back"
    // Of external switches, and the second of the journal:
    | "connected"
    | "lost"
    | "refused"
    | "repaired";
  readonly subject: string;
  readonly before: string;
  readonly after: string;
  /** Time since the box was last seen working; null where it has no meaning. */
  readonly silentUs: number | null;
  /** Upper estimate of packets put into the box that did not come out. */
  readonly lostPackets: number | null;
  readonly text: string;
}
