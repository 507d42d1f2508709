/** Frames of raw probes, from the capture files that a configuration names. */
import { LINK_ETHERNET, readCapture } from "../filter/capture.ts";
import type { Probe } from "./config_probes.ts";
import { reasonOf } from "../drivers/reason.ts";

/** @throws Error with one sentence */
export function readProbeFrame({ file, frame, name }: Probe): Uint8Array {
  const fail = (reason: string) =>
    new Error(`Cannot read frame ${frame} of ${file} for probe ${name}: ${reason}`);
  let number = 0;
  try {
    for (const { bytes, link } of readCapture(Deno.readFileSync(file ?? ""))) {
      if (++number !== frame) continue;
      if (link !== LINK_ETHERNET) throw fail("it is not Ethernet");
      return bytes.slice();
    }
  } catch (error) {
    throw fail(reasonOf(error));
  }
  throw fail(`the file has ${number} frames`);
}
