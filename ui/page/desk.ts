/**
 * Duty: the configuration file as a desk of the pages: read it, judge a text, put one in its place.
 *
 * An edge: one small file. A text is judged before it is written, and what was there comes back if the node refuses to
 * take it over. A change is for good: nothing waits for a confirmation here.
 */
import { parseConfig } from "../../appliance/config.ts";
import { reasonOf } from "../../appliance/reason.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { tagOf } from "./assets.ts";
import { diffText } from "./diff.ts";
import type { ConfigChange, ConfigDesk, ConfigJudgement, ConfigNow, Outcome } from "./means.ts";

export interface DeskOptions {
  readonly path: string;
  readonly control: Pick<NodeControl, "reload">;
  readonly matchFault?: (expression: string) => string | null;
}

const TEXT_MAX = 128 * 1024;

export function fileDesk({ path, control, matchFault }: DeskOptions): ConfigDesk {
  const current = (): ConfigNow => {
    try {
      const text = Deno.readTextFileSync(path);
      return { file: path, text, etag: tagOf(text), pending: null };
    } catch (cause) {
      throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
    }
  };
  const check = (text: string): ConfigJudgement => {
    const { config, problems, warnings } = parseConfig(text, path, { ...(matchFault && { matchFault }) });
    return { ok: config !== undefined, problems, warnings, diff: diffText(current().text, text) };
  };
  const nothingWaits: Outcome = { ok: false, text: "No change waits to be confirmed" };
  return {
    confirms: false,
    current,
    check,
    apply: async ({ text, etag }: ConfigChange) => {
      const before = current();
      if (text.length > TEXT_MAX) return refusal(`the text is longer than ${TEXT_MAX / 1024} KiB`);
      if (etag !== null && etag !== before.etag) {
        return refusal(`${path} has been changed meanwhile: load the page anew`);
      }
      if (!check(text).ok) return refusal("it has problems; check it");
      replace(path, text);
      const result = await control.reload();
      if (result.ok) return result;
      replace(path, before.text);
      return refusal(result.text);
    },
    confirm: () => nothingWaits,
    rollback: () => Promise.resolve(nothingWaits),
  };
}

function refusal(why: string): Outcome {
  return { ok: false, text: `The old configuration stays in force: ${why}` };
}

/** Whole or not at all, with the rights it has. */
function replace(path: string, text: string): void {
  const fresh = `${path}.new`;
  try {
    const { mode } = Deno.statSync(path);
    Deno.writeTextFileSync(fresh, text, { mode: (mode ?? 0o600) & 0o777 });
    Deno.renameSync(fresh, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}
