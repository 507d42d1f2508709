/** Streams of events and of the status, for pages and machines. Pure types. */
export interface Streams {
  /** Events above a sequence, then those that come. Null: there are too many readers. */
  events(after: number | null): ReadableStream<Uint8Array> | null;
  /** The status, so many times a second. */
  live(perSecond: number): ReadableStream<Uint8Array> | null;
}
