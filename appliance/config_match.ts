/**
 * Judges the expressions of filter rules as the plane will: by compiling them.
 *
 * Kept apart from config.ts, which is pure text and values; this reaches libpcap.
 */
import { compileFilter } from "../filter/pcap_filter.ts";

/** Why an expression cannot be used, in libpcap's words; null: it can, or libpcap is not there to ask. */
export function matchFault(expression: string): string | null {
  try {
    compileFilter(expression);
    return null;
  } catch (error) {
    // Anything else is a fault of the machine, which is for the doctor to tell.
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) return null;
    return error.message.replace(/^Cannot compile filter .*?": /s, "");
  }
}
