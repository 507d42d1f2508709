/** What the flight recorder tells and is asked for. Pure types, a part of view.ts. */
import type { CaptureAnswer } from "./view.ts";

/** The flight recorder. */
export interface RecorderStatus {
  readonly on: boolean;
  readonly directory: string;
  /** 0: there is no recorder. */
  readonly bytesMax: number;
  readonly bytes: number;
  readonly files: number;
  readonly hoursMax: number;
  /** Decisions per second at most. */
  readonly rateMax: number;
  /** When the oldest file begins; null: there is none. */
  readonly oldestMs: number | null;
  /** In files, since control started. */
  readonly decisions: number;
  /** Told by the plane and in no file: overwritten before they were looked at, or not taken by the disk. */
  readonly missed: number;
  /** Not told by the plane, since it started: there were more than the rate allows. */
  readonly shed: number;
  /** Why nothing can be written at the moment; null: it can. */
  readonly failing: string | null;
}

export interface SaveRequest {
  /** Seconds until now; null: around a moment. */
  readonly lastS: number | null;
  /** Seconds before and after it. */
  readonly aroundS: number;
  /** The moment, since the epoch. @default the last switch */
  readonly atMs?: number;
}

export interface RecorderControl {
  status(): RecorderStatus;
  /** For as long as control lives. */
  set(options: { readonly on: boolean }): { readonly ok: boolean; readonly text: string };
  /** A recording of a time, as one file. */
  save(request: SaveRequest): CaptureAnswer;
}
