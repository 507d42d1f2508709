/**
 * Duty: what an updater of this machine shows and does, whoever installs bundles into slots.
 *
 * The machine has two slots and starts from one. A bundle goes into the other, which is then on trial: it has a few
 * starts to prove itself, and only the system that started from it may call it good. One that does not gives way to the
 * last good slot, and its version is remembered as bad.
 */

export const SLOT_NAMES = ["A", "B"] as const;
export type SlotName = (typeof SLOT_NAMES)[number];

/** good: proved itself. trial: installed and not proved yet. bad: its trial failed. empty: nothing whole is in it. */
export type SlotState = "good" | "trial" | "bad" | "empty";

export interface SlotView {
  readonly name: SlotName;
  readonly state: SlotState;
  readonly version: string | null;
  /** SHA-256 of the bundle it came from, in hexadecimal; null where it came with the disk. */
  readonly digest: string | null;
  /** Starts that are left while on trial. */
  readonly triesLeft: number;
  readonly booted: boolean;
}

/** installed: written, waits for a restart. good: proved itself. fell-back: the trial failed. refused: what runs was not changed. */
export type UpdateOutcome = "installed" | "good" | "fell-back" | "refused";

export interface UpdateReport {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly version: string | null;
  readonly digest: string | null;
  readonly outcome: UpdateOutcome;
  /** A sentence for people. */
  readonly reason: string;
}

export interface UpdateView {
  readonly slots: readonly SlotView[];
  readonly installing:
    | { readonly version: string | null; readonly digest: string; readonly percent: number }
    | null;
  /** The youngest last. */
  readonly reports: readonly UpdateReport[];
  /** Versions that are not installed again unless a person asks for it. */
  readonly badVersions: readonly string[];
}

export interface InstallOptions {
  /** SHA-256 of the bundle, in hexadecimal; another content is refused. */
  readonly digest: string;
  /** A version that is older than the running one, or known as bad, is taken too. */
  readonly force: boolean;
}

/** Every refusal throws with a sentence that names the bundle and the reason, and leaves both slots as they were. */
export interface Updater {
  view(): Promise<UpdateView>;
  /** Writes the bundle at a path into the slot that is not booted. */
  install(path: string, options: InstallOptions): Promise<UpdateReport>;
  /** Restarts into the slot on trial; it does not return where that succeeds. */
  restart(): Promise<void>;
  /** The other slot, if it was good once, is started next. */
  rollBack(): Promise<void>;
}
