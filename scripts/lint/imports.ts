/**
 * Rules about imports: the direction of the chain, and where code may come from.
 *
 * A wrong arrow is how a tree of parts turns into a ball; found here, it costs one line.
 */
import { allowedFor, fromTop, layerOf, mayImportFile, resolve } from "./place.ts";

type Source = { readonly node: Deno.lint.Node; readonly specifier: string };

/** Calls `check` for every specifier a file names, static or dynamic. */
function eachSource(check: (source: Source) => void): Deno.lint.LintVisitor {
  const visit = (node: { source: Deno.lint.Node | null }) => {
    if (node.source?.type !== "Literal" || typeof node.source.value !== "string") return;
    check({ node: node.source, specifier: node.source.value });
  };
  return {
    ImportDeclaration: visit,
    ExportAllDeclaration: visit,
    ExportNamedDeclaration: visit,
    ImportExpression: visit,
  };
}

export const importDirection: Deno.lint.Rule = {
  create(context) {
    const path = fromTop(context.filename);
    const from = layerOf(path);
    return eachSource(({ node, specifier }) => {
      const target = resolve(path, specifier);
      if (target === null || mayImportFile(from, target)) return;
      context.report({
        node,
        message: `${path} (layer ${from}) must not import ${target}`,
        hint:
          `The chain is filter <- drivers <- appliance <- ui <- mod.ts: ${from} may import ${
            allowedFor(from)
          }. ` +
          `Move what is shared to the left, or pass it in as a value.`,
      });
    });
  },
};

export const importSource: Deno.lint.Rule = {
  create(context) {
    return eachSource(({ node, specifier }) => {
      if (!/^(jsr|npm|https?|data|file):/.test(specifier)) return;
      context.report({
        node,
        message: `Import "${specifier}" names its source itself`,
        hint:
          `Name the package and its exact version in the imports of deno.json and import it by that name.`,
      });
    });
  },
};
