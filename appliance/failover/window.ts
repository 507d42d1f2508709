/**
 * Duty: the hours of a day in which traffic may go back by itself, as a configuration writes them: "02:00-04:30".
 *
 * Hours are those of the machine's clock and time zone, where people plan their nights. A window may span midnight.
 */
export interface DayWindow {
  /** Minutes after midnight; the end itself is outside. */
  readonly fromMin: number;
  readonly toMin: number;
}

/** Null: the text is no window. */
export function parseWindow(text: string): DayWindow | null {
  const found = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (found === null) return null;
  const [fromHour, fromMinute, toHour, toMinute] = found.slice(1).map(Number);
  const window = { fromMin: fromHour! * 60 + fromMinute!, toMin: toHour! * 60 + toMinute! };
  return window.fromMin === window.toMin ? null : window;
}

function isOpen({ fromMin, toMin }: DayWindow, at: Date): boolean {
  const minute = at.getHours() * 60 + at.getMinutes();
  return fromMin < toMin ? minute >= fromMin && minute < toMin : minute >= fromMin || minute < toMin;
}

/** When it is open at the earliest, from a moment on: that moment, or the next beginning. Milliseconds of the epoch. */
export function opensAtMs(window: DayWindow, fromMs: number): number {
  const at = new Date(fromMs);
  if (isOpen(window, at)) return fromMs;
  at.setHours(Math.floor(window.fromMin / 60), window.fromMin % 60, 0, 0);
  if (at.getTime() < fromMs) at.setDate(at.getDate() + 1);
  return at.getTime();
}
