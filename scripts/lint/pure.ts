/**
 * The rule that keeps the core pure: no clock, timer, chance, file, socket or process in files that are not
 * named in edges.json.
 *
 * State machines, codecs and rules are given `now` and values, so that a test can put them into any moment. Types
 * may name `Deno`; only values count. Surprise: `new Date()` reads the clock, `new Date(ms)` does not.
 */
import { fromTop, isPure } from "./place.ts";

/** Globals that touch the world whatever is done with them. */
const GLOBALS = new Set(["Deno", "performance", "localStorage", "sessionStorage"]);
/** Globals that touch the world when called or constructed. */
const CALLS = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "fetch",
  "WebSocket",
  "EventSource",
  "Worker",
  "BroadcastChannel",
]);
const MEMBERS = new Map([
  ["Date.now", "the clock"],
  ["Math.random", "chance"],
  ["crypto.getRandomValues", "chance"],
  ["crypto.randomUUID", "chance"],
]);
/** The built-in modules that only compute. */
const MODULES = /^node:(assert|buffer|path|util|url|querystring|string_decoder)(\/|$)/;

const HINT =
  "Pass it in (`now`, a value, a function), or, if this file is meant to be an edge, name it with its " +
  "reason in scripts/lint/edges.json.";

function isLocal(name: string, text: string): boolean {
  // A declaration or a typed parameter of the same name hides the global. Coarse on purpose.
  const declared = `\\b(const|let|function|import)\\s+(\\{[^}]*\\b)?${name}\\b`;
  return new RegExp(`${declared}|\\b${name}\\??: `).test(text);
}

export const pure: Deno.lint.Rule = {
  create(context) {
    const path = fromTop(context.filename);
    if (!isPure(path)) return {};
    const text = context.sourceCode.text;
    const report = (node: Deno.lint.Node, what: string) =>
      context.report({ node, message: `${path} is pure and must not use ${what}`, hint: HINT });
    const called = (callee: Deno.lint.Node) => {
      if (callee.type !== "Identifier" || !CALLS.has(callee.name) || isLocal(callee.name, text)) return;
      report(callee, callee.name);
    };
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier") return;
        const name = node.object.name;
        if (GLOBALS.has(name) && !isLocal(name, text)) return report(node, context.sourceCode.getText(node));
        if (node.property.type !== "Identifier") return;
        const member = `${name}.${node.property.name}`;
        const why = MEMBERS.get(member);
        if (why !== undefined) report(node, `${member} (${why})`);
      },
      CallExpression: (node) => called(node.callee),
      NewExpression(node) {
        const clock = node.callee.type === "Identifier" && node.callee.name === "Date" &&
          node.arguments.length === 0;
        if (clock) report(node, "new Date() (the clock)");
        called(node.callee);
      },
      ImportDeclaration(node) {
        const name = node.source.value;
        const typesOnly = node.importKind === "type";
        if (typesOnly || !name.startsWith("node:") || MODULES.test(name)) return;
        report(node, name);
      },
    };
  },
};
