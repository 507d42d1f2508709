/**
 * Duty: how busy the machine was: the load average, and what of the processors was in use or taken by the host.
 *
 * Reads /proc. On a shared machine a number without its load says little.
 */
export interface Look {
  readonly idle: number;
  readonly stolen: number;
  readonly total: number;
  readonly average: number;
}

export interface Load {
  /** Runnable tasks, one-minute average, at the end. */
  readonly average: number;
  /** Shares of all processors, 0..1: not idle, and taken by the host for others. */
  readonly busy: number;
  readonly stolen: number;
}

/** One look at the counters. */
export function look(): Look {
  const fields = Deno.readTextFileSync("/proc/stat").split("\n")[0]!.split(/\s+/).slice(1, 9).map(Number);
  const average = Number(Deno.readTextFileSync("/proc/loadavg").split(" ")[0]);
  return {
    idle: fields[3]! + fields[4]!,
    stolen: fields[7]!,
    total: fields.reduce((sum, one) => sum + one, 0),
    average,
  };
}

/** What happened between two looks. */
export function loadBetween(before: Look, after: Look): Load {
  const total = Math.max(1, after.total - before.total);
  return {
    average: after.average,
    busy: 1 - (after.idle - before.idle) / total,
    stolen: (after.stolen - before.stolen) / total,
  };
}

export function loadText({ average, busy, stolen }: Load): string {
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  return `load average ${average.toFixed(1)}, processors ${percent(busy)} busy, ${
    percent(stolen)
  } taken by the host`;
}
