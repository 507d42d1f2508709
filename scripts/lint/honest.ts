/**
 * Rules against silence: a file without a word about its duty, a swallowed error, a test left out without
 * a reason.
 *
 * The reason of a left-out test stands in its name, "... (needs root)", because the name is what the gate prints.
 */
import { fromTop } from "./place.ts";

export const HEADER_LINES_MAX = 12;

/** Problems with the comment a source file starts with; `start` is where its first statement begins. */
export function headerProblem(comment: string | undefined): string | null {
  if (comment === undefined) return "has no header comment";
  const lines = comment.split("\n").filter((line) => !/^\s*(\/\*\*?|\*\/|\*)?\s*$/.test(line)).length;
  if (lines > HEADER_LINES_MAX) {
    return `has a header comment of ${lines} lines, the limit is ${HEADER_LINES_MAX}`;
  }
  return null;
}

/** The first comment of a text, if nothing but blank lines, a shebang or lint directives stand before it. */
export function firstComment(text: string): string | undefined {
  const body = text.replace(/^#!.*\n/, "").replace(
    /^\s*(\/\/ deno-lint-ignore-file.*\n|\/\/\/ <.*\n|\s*\n)*/,
    "",
  );
  const block = /^\s*(\/\*[\s\S]*?\*\/)/.exec(body)?.[1];
  return block ?? /^\s*((?:\/\/.*\n)+)/.exec(body)?.[1];
}

export const header: Deno.lint.Rule = {
  create(context) {
    return {
      Program(program) {
        const problem = headerProblem(firstComment(context.sourceCode.text));
        if (problem === null) return;
        context.report({
          node: program,
          message: `${fromTop(context.filename)} ${problem}`,
          hint: "Start the file with its duty, then the intuition, then one surprise; at most 12 lines.",
        });
      },
    };
  },
};

export const emptyCatch: Deno.lint.Rule = {
  create(context) {
    return {
      CatchClause(node) {
        if (node.body.body.length > 0) return;
        if (/\/\/|\/\*/.test(context.sourceCode.getText(node.body))) return;
        context.report({
          node,
          message: "The error is caught and nothing is done with it",
          hint: "Handle it, pass it on with `cause`, or say in a comment why it does not matter.",
        });
      },
    };
  },
};

const REASON = /needs|without|only (on|with|where)|not (available|here)/i;

type Call = Deno.lint.CallExpression;

function isTestCall(call: Call): boolean {
  const text = call.callee.type === "MemberExpression" ? call.callee : null;
  if (text?.object.type !== "Identifier" || text.property.type !== "Identifier") return false;
  return (text.object.name === "Deno" && text.property.name === "test") || text.property.name === "step";
}

export const ignoredTest: Deno.lint.Rule = {
  create(context) {
    const source = (node: Deno.lint.Node) => context.sourceCode.getText(node);
    const report = (node: Deno.lint.Node) =>
      context.report({
        node,
        message: "A test may be left out and its name does not say why",
        hint: 'End the name with the reason: "plane() forwards LACP (needs root)". The gate prints it.',
      });
    return {
      CallExpression(node) {
        if (/^Deno\.test\.(ignore|only)$/.test(source(node.callee))) return report(node);
        if (!isTestCall(node)) return;
        const options = node.arguments.find((argument) => argument.type === "ObjectExpression");
        if (options?.type !== "ObjectExpression") return;
        const named = (name: string) =>
          options.properties.find((p) =>
            p.type === "Property" && p.key.type === "Identifier" && p.key.name === name
          );
        const first = node.arguments[0];
        const name = named("name") ?? (first?.type === "ObjectExpression" ? undefined : first);
        if (named("only") !== undefined) return report(node);
        if (named("ignore") === undefined) return;
        if (name === undefined || !REASON.test(source(name))) report(node);
      },
    };
  },
};
