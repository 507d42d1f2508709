/**
 * Silent canaries of a drill beside those that went through the box that serves at the same time. Pure.
 *
 * Each box forgets some day. A standby differs only where it has forgotten what the serving box still keeps.
 */
import type { CanaryResult } from "./drill.ts";

/** @param twins of the box that serves. @returns those of the standby, judged by them */
export function besideTwins(
  canaries: readonly CanaryResult[],
  twins: readonly CanaryResult[],
): readonly CanaryResult[] {
  return canaries.map((one) => {
    if (one.forgotMs === undefined) return one;
    const twin = twins.find(({ silent }) => silent === one.silent);
    if (twin?.ok === true) return { ...one, text: `${one.text}, and through the box that serves it did` };
    const { forgotMs, ...rest } = one;
    if (twin?.forgotMs === forgotMs) {
      return { ...rest, ok: true, text: "forgotten after its silence, as by the box that serves" };
    }
    const why = twin === undefined ? "no verdict in time" : twin.text;
    return { ...rest, text: `${one.text}; of the box that serves nothing can be told: ${why}` };
  });
}
