/** The product's version, from the one place that holds it. */
import manifest from "../deno.json" with { type: "json" };

export const VERSION: string = manifest.version;
