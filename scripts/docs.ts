/**
 * Writes the pages of docs/ that are generated: configuration.md from the table of configuration keys, fleet-protocol.json
 * from the table of messages.
 *
 * With `--check` it only says whether they are up to date, and ends with 1 if they are not.
 */
import { configurationPage } from "../appliance/config_text.ts";
import { jsonSchema } from "../appliance/fleet/protocol.ts";

const PAGES: readonly (readonly [string, () => string])[] = [
  ["configuration.md", configurationPage],
  ["fleet-protocol.json", () => `${JSON.stringify(jsonSchema(), null, 2)}\n`],
];

if (import.meta.main) {
  const check = Deno.args.includes("--check");
  let stale = 0;
  for (const [name, make] of PAGES) {
    const file = new URL(`../docs/${name}`, import.meta.url);
    const before = await Deno.readTextFile(file).catch(() => "");
    if (before === make()) continue;
    stale++;
    if (!check) await Deno.writeTextFile(file, make());
    console.log(check ? `docs/${name} is out of date: run scripts/docs.ts` : `docs/${name} is written`);
  }
  if (check && stale > 0) Deno.exit(1);
}
