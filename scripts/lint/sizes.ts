/**
 * Rules about size: lines of a function, lines of a file, number of parameters.
 *
 * A limit that is a test needs no preaching. Lines are lines as an editor counts them, comments and blank ones
 * included. A function that only groups tests (`describe`, or a test made of steps) is not counted; what it
 * groups is.
 */
import { fromTop } from "./place.ts";

export const FUNCTION_LINES_MAX = 60;
export const FILE_LINES_MAX = 400;
export const PARAMETERS_MAX = 4;

type Fn =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

/** Number of lines of a text; a final newline does not start another one. */
export function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

function nameOf(fn: Fn): string {
  if (fn.type !== "ArrowFunctionExpression" && fn.id) return fn.id.name;
  const parent = fn.parent;
  if (parent.type === "VariableDeclarator" && parent.id.type === "Identifier") return parent.id.name;
  const keyed = parent.type === "MethodDefinition" || parent.type === "Property" ||
    parent.type === "PropertyDefinition";
  return keyed && parent.key.type === "Identifier" ? parent.key.name : "a function";
}

/** The name of the function called: `describe` of `describe()`, `step` of `t.step()`. */
function calleeName(call: Deno.lint.Expression): string {
  if (call.type === "AwaitExpression") return calleeName(call.argument);
  if (call.type !== "CallExpression") return "";
  if (call.callee.type === "Identifier") return call.callee.name;
  const member = call.callee.type === "MemberExpression" ? call.callee.property : null;
  return member?.type === "Identifier" ? member.name : "";
}

/** Does the function only group tests? */
function isContainer(fn: Fn): boolean {
  if (fn.parent.type === "CallExpression" && calleeName(fn.parent) === "describe") return true;
  if (fn.body?.type !== "BlockStatement" || fn.body.body.length === 0) return false;
  return fn.body.body.every((statement) =>
    statement.type === "ExpressionStatement" && calleeName(statement.expression) === "step"
  );
}

function eachFunction(check: (fn: Fn) => void): Deno.lint.LintVisitor {
  return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
}

export const functionLines: Deno.lint.Rule = {
  create(context) {
    return eachFunction((fn) => {
      const lines = lineCount(context.sourceCode.getText(fn));
      if (lines <= FUNCTION_LINES_MAX || isContainer(fn)) return;
      context.report({
        node: fn,
        message: `${nameOf(fn)} has ${lines} lines, the limit is ${FUNCTION_LINES_MAX}`,
        hint: `Give a part of it a name: what is decided, what is read, what is written are three functions.`,
      });
    });
  },
};

export const fileLines: Deno.lint.Rule = {
  create(context) {
    return {
      Program(program) {
        const lines = lineCount(context.sourceCode.text);
        if (lines <= FILE_LINES_MAX) return;
        context.report({
          node: program,
          message: `${fromTop(context.filename)} has ${lines} lines, the limit is ${FILE_LINES_MAX}`,
          hint: `One file, one thing: split it where the header comment would need an "and". Aim for 150.`,
        });
      },
    };
  },
};

export const parameters: Deno.lint.Rule = {
  create(context) {
    return eachFunction((fn) => {
      if (fn.params.length <= PARAMETERS_MAX) return;
      context.report({
        node: fn,
        message: `${nameOf(fn)} has ${fn.params.length} parameters, the limit is ${PARAMETERS_MAX}`,
        hint: `Pass what belongs together as one value, or the rare ones as an options object.`,
      });
    });
  },
};
