/**
 * The rules of this house as a plugin of `deno lint`.
 *
 * Each rule says what is wrong and, in its hint, what to do instead. An exception is a `deno-lint-ignore` with
 * a reason on the spot, or a line in edges.json.
 */
import { emptyCatch, header, ignoredTest } from "./honest.ts";
import { importDirection, importSource } from "./imports.ts";
import { pure } from "./pure.ts";
import { fileLines, functionLines, parameters } from "./sizes.ts";

export default {
  name: "remediate",
  rules: {
    "import-direction": importDirection,
    "import-source": importSource,
    "function-lines": functionLines,
    "file-lines": fileLines,
    "parameters": parameters,
    "pure": pure,
    "header": header,
    "empty-catch": emptyCatch,
    "ignored-test": ignoredTest,
  },
} satisfies Deno.lint.Plugin;
