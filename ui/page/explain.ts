/**
 * Explains a capture that was uploaded, and tunes a rule for it: it lies in a file of its own for that long. An edge.
 */
import { agesMs, explainFile, type Explanation, tuneFile } from "../../appliance/mirror_run.ts";
import { type Candidate, gridRules } from "../../appliance/mirror_tune.ts";
import { parseConfig } from "../../appliance/config.ts";
import { opensTunnels, type Preset, PRESETS } from "../../filter/rule.ts";

const FLOWS_MAX = 40;
const LINES_MAX = 40;
/** For each rule of the grid at a time; 192 bytes each. What is uploaded is small. */
const TUNE_FLOWS = 4096;

/** @param read the text of the configuration in force. @throws Error with one sentence */
export async function explainCapture(
  capture: Uint8Array<ArrayBuffer>,
  preset: Preset | null,
  read: () => string,
): Promise<Explanation> {
  const config = preset === null ? parseConfig(read(), "the configuration").config : undefined;
  const rules = preset === null ? config?.filter.rules : PRESETS[preset];
  if (rules === undefined) throw new Error("Cannot explain the capture: the configuration has problems");
  const options = config === undefined
    ? { inner: preset !== null && opensTunnels(preset) }
    : { budget: config.filter.budget, inner: config.filter.inner };
  const policy = { rules, ages: agesMs(config?.filter.ages), options };
  const shown = { text: null, flowsMax: FLOWS_MAX, linesMax: LINES_MAX };
  return await inFile(capture, (path) => explainFile({ read: path }, policy, shown));
}

/** What each rule of the grid costs and keeps on it, judged by turns. @throws Error with one sentence */
export async function tuneCapture(capture: Uint8Array<ArrayBuffer>): Promise<readonly Candidate[]> {
  const options = { rules: gridRules(), ages: agesMs(), judge: null, flows: TUNE_FLOWS };
  return await inFile(capture, (path) => tuneFile({ read: path }, options));
}

async function inFile<T>(capture: Uint8Array, work: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "remediate-explain-", suffix: ".pcap" });
  try {
    await Deno.writeFile(path, capture);
    return await work(path);
  } catch (error) {
    // The file's own name says nothing to who has uploaded it.
    throw new Error((error as Error).message.replaceAll(path, "the capture"), { cause: error });
  } finally {
    await Deno.remove(path);
  }
}
