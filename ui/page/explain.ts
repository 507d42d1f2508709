/**
 * Explains a capture that was uploaded: it lies in a file of its own for that long. An edge.
 */
import { agesMs, explainFile, type Explanation } from "../../appliance/mirror_run.ts";
import { parseConfig } from "../../appliance/config.ts";
import { opensTunnels, type Preset, PRESETS } from "../../filter/rule.ts";

const FLOWS_MAX = 40;
const LINES_MAX = 40;

/** @param read the text of the configuration in force. @throws Error with one sentence */
export async function explainCapture(
  capture: Uint8Array<ArrayBuffer>,
  preset: Preset | null,
  read: () => string,
): Promise<Explanation> {
  const config = preset === null ? parseConfig(read(), "the configuration").config : undefined;
  const rules = preset === null ? config?.filter.rules : PRESETS[preset];
  if (rules === undefined) throw new Error("Cannot explain the capture: the configuration has problems");
  const path = await Deno.makeTempFile({ prefix: "remediate-explain-", suffix: ".pcap" });
  try {
    await Deno.writeFile(path, capture);
    const options = config === undefined
      ? { inner: preset !== null && opensTunnels(preset) }
      : { budget: config.filter.budget, inner: config.filter.inner };
    const policy = { rules, ages: agesMs(config?.filter.ages), options };
    return await explainFile({ read: path }, policy, {
      text: null,
      flowsMax: FLOWS_MAX,
      linesMax: LINES_MAX,
    });
  } catch (error) {
    // The file's own name says nothing to who has uploaded it.
    throw new Error((error as Error).message.replaceAll(path, "the capture"), { cause: error });
  } finally {
    await Deno.remove(path);
  }
}
