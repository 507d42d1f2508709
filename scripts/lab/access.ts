/**
 * Duty: learn from nginx's log what happened around a failure. Pure.
 *
 * A connection that had answers before the failure and none from a moment after it on is hung or broken;
 * wrk reports the broken ones, so the rest hangs.
 */
export interface Answer {
  /** Wall clock when the last byte went to the kernel. */
  readonly wallMs: number;
  readonly connection: number;
  readonly status: number;
  readonly bytes: number;
}

export interface AfterFailure {
  readonly before: number;
  readonly after: number;
  /** Connections with an answer before the failure, and how many of them never had one again. */
  readonly active: number;
  readonly ended: number;
  /** Longest time without any finished answer after the failure. */
  readonly gapMs: number;
  /** Answers in each 100 ms from the failure on. */
  readonly per100ms: readonly number[];
}

/** Parses the log format `$msec $connection $status $body_bytes_sent`; a torn last line is left out. */
export function parseAccess(text: string): Answer[] {
  const answers: Answer[] = [];
  for (const line of text.split("\n")) {
    const [seconds, connection, status, bytes, more] = line.split(" ");
    if (bytes === undefined || bytes === "" || more !== undefined) continue;
    answers.push({
      wallMs: Math.round(Number(seconds) * 1_000),
      connection: Number(connection),
      status: Number(status),
      bytes: Number(bytes),
    });
  }
  return answers;
}

/** Later than this no answer is still on its way. */
const ON_ITS_WAY_MS = 1_000;

/** When the box failed and when the load stopped, by the wall clock. */
export interface Window {
  readonly failedMs: number;
  readonly endMs: number;
}

function longestGap(times: readonly number[], window: Window): number {
  let before = window.failedMs;
  let longest = 0;
  for (const time of [...times, window.endMs]) {
    longest = Math.max(longest, time - before);
    before = Math.max(before, time);
  }
  return longest;
}

/**
 * One answer of a connection may have been on its way when the box died, and a busy machine logs it late; the second
 * was asked for through the box that serves now.
 */
function signOfLife(failedMs: number): (answer: Answer) => boolean {
  const seen = new Set<number>();
  return ({ connection, wallMs }) => {
    const again = seen.has(connection);
    seen.add(connection);
    return again || wallMs > failedMs + ON_ITS_WAY_MS;
  };
}

/** Counts answers before and after the failure, and connections that ended with it. */
export function aroundFailure(answers: readonly Answer[], window: Window): AfterFailure {
  const good = answers.filter((answer) => answer.status < 400 && answer.wallMs <= window.endMs);
  const after = good.filter((answer) => answer.wallMs > window.failedMs);
  const active = new Set(
    good.filter((answer) => answer.wallMs <= window.failedMs).map((answer) => answer.connection),
  );
  const alive = new Set(after.filter(signOfLife(window.failedMs)).map((answer) => answer.connection));
  const per100ms = new Array<number>(Math.max(1, Math.ceil((window.endMs - window.failedMs) / 100))).fill(0);
  for (const answer of after) {
    const slot = Math.min(per100ms.length - 1, Math.floor((answer.wallMs - window.failedMs) / 100));
    per100ms[slot] = per100ms[slot]! + 1;
  }
  return {
    before: good.length - after.length,
    after: after.length,
    active: active.size,
    ended: [...active].filter((connection) => !alive.has(connection)).length,
    gapMs: longestGap(after.map((answer) => answer.wallMs).sort((a, b) => a - b), window),
    per100ms,
  };
}
