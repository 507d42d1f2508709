/**
 * Alerts of an IDS: read from Suricata's EVE log, and what of one set is found again in another.
 *
 * Pure. A signature counts once a capture however often it is raised, alerts count each time.
 */

export interface Alert {
  readonly sid: number;
  /** Number of the packet in the capture, from 1; null: raised without one, as when a stream is flushed. */
  readonly packet: number | null;
}

/** Alerts of an EVE log, a JSON object a line. Lines of other types and a last line that is cut are passed over. */
export function readEve(text: string): Alert[] {
  const alerts: Alert[] = [];
  const lines = text.split("\n");
  lines.forEach((line, index) => {
    if (!line.includes('"alert"')) return;
    let record: { event_type?: string; pcap_cnt?: number; alert?: { signature_id?: number } };
    try {
      record = JSON.parse(line);
    } catch (error) {
      if (index === lines.length - 1) return;
      throw new SyntaxError(`Cannot read line ${index + 1} of the IDS's log: it is no JSON`, {
        cause: error,
      });
    }
    const sid = record.alert?.signature_id;
    if (record.event_type !== "alert" || typeof sid !== "number") return;
    alerts.push({ sid, packet: record.pcap_cnt ?? null });
  });
  return alerts;
}

export function signatures(alerts: readonly Alert[]): Set<number> {
  return new Set(alerts.map(({ sid }) => sid));
}

/** Signatures raised at or after packet `first` (from 1). What has no packet comes from the end of streams. */
export function signaturesFrom(alerts: readonly Alert[], first: number): Set<number> {
  return signatures(alerts.filter(({ packet }) => packet === null || packet >= first));
}

/** How many of `whole` are also in `part`. */
export function keptOf(whole: ReadonlySet<number>, part: ReadonlySet<number>): number {
  return whole.intersection(part).size;
}

/** Part of the signatures of `whole` that `part` has; 1 where there is none to lose. */
export function keptShare(whole: readonly Alert[], part: readonly Alert[]): number {
  const all = signatures(whole);
  return all.size === 0 ? 1 : keptOf(all, signatures(part)) / all.size;
}
