/**
 * Duty: judge the syntax of a Click configuration as far as our exports use it.
 *
 * Statements end with a semicolon: `define(...)`, `name :: Class(arguments)`, chains of `name[port] -> [port]name`.
 * Every element must be declared once, be of a known class, and have each of its outputs connected once.
 */
const CLASSES: Readonly<Record<string, (args: readonly string[]) => number | null>> = {
  // Outputs by arguments; null: a sink.
  FromDevice: () => 1,
  ToDevice: () => null,
  Queue: () => 1,
  Discard: () => null,
  Tee: ([n]) => Number(n),
  Classifier: (args) => args.length,
  IPClassifier: (args) => args.length,
  CheckIPHeader: () => 1,
  AggregateIPFlows: () => 2,
  AggregateFirst: () => 2,
  PaintSwitch: () => 2,
};

interface Element {
  readonly outputs: number | null;
  readonly connected: Map<number, number>;
  inputs: number;
}

/** Arguments at the top level of a list. */
function split(list: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const letter of list) {
    if (letter === "(") depth++;
    if (letter === ")") depth--;
    if (letter === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += letter;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** What is wrong, one sentence each. */
export function clickProblems(text: string): string[] {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
  const problems: string[] = [];
  const elements = new Map<string, Element>();
  let anonymous = 0;
  if (balance(plain) !== 0) problems.push("parentheses are not balanced");
  const declare = (name: string, kind: string, args: string): string => {
    const outputs = CLASSES[kind];
    if (outputs === undefined) problems.push(`${kind} is no class that is known`);
    if (elements.has(name)) problems.push(`${name} is declared twice`);
    elements.set(name, { outputs: outputs?.(split(args)) ?? null, connected: new Map(), inputs: 0 });
    return name;
  };
  const resolve = (piece: string): { name: string; output: number } | null => {
    const made = /^(?:(\w+) :: )?([A-Z]\w*)(?:\((.*)\))?$/s.exec(piece);
    if (made) {
      return { name: declare(made[1] ?? `@${anonymous++}`, made[2]!, made[3] ?? ""), output: 0 };
    }
    const used = /^(\w+)(?:\[(\d+)\])?$/.exec(piece);
    if (used && elements.has(used[1]!)) return { name: used[1]!, output: Number(used[2] ?? 0) };
    problems.push(used ? `${used[1]} is not declared` : `"${piece}" is no element`);
    return null;
  };
  for (const statement of plain.split(";").map((one) => one.trim()).filter((one) => one !== "")) {
    if (/^define\((\$\w+ \w+(, )?)+\)$/.test(statement)) continue;
    const chain = statement.split("->").map((piece) => resolve(piece.trim()));
    chain.forEach((from, i) => {
      const to = chain[i + 1];
      if (!from || !to) return;
      const { connected } = elements.get(from.name)!;
      connected.set(from.output, (connected.get(from.output) ?? 0) + 1);
      elements.get(to.name)!.inputs++;
    });
  }
  return [...problems, ...wiring(elements)];
}

function wiring(elements: ReadonlyMap<string, Element>): string[] {
  return [...elements].flatMap(([name, { outputs, connected, inputs }]) => {
    const wrong = [...connected].filter(([port, times]) => port >= (outputs ?? 0) || times > 1);
    const missing = Array.from({ length: outputs ?? 0 }, (_, port) => port).filter((port) =>
      !connected.has(port)
    );
    return [
      ...wrong.map(([port]) => `output ${port} of ${name} is not there, or is connected twice`),
      ...missing.map((port) => `output ${port} of ${name} leads nowhere`),
      ...(inputs === 0 && !["outside", "box"].includes(name) ? [`nothing leads to ${name}`] : []),
    ];
  });
}

function balance(text: string): number {
  let depth = 0;
  for (const letter of text) {
    if (letter === "(" || letter === "[") depth++;
    if (letter === ")" || letter === "]") depth--;
    if (depth < 0) return depth;
  }
  return depth;
}
