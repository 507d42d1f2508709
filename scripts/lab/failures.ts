/**
 * Duty: ways for a box to die and to come back, as data, and the commands that do it. Pure.
 *
 * A failure acts inside the box's namespace, as a fault of the box would; the node has no hand in it.
 * `silent` keeps carrier and takes away every packet, `silent-*` takes one direction, `forwarding` leaves a
 * box that still answers for itself, the case that checks of reachability never see.
 */
import type { Box } from "./boxes.ts";

export const FAILURES = [
  "none",
  "link-in",
  "link-out",
  "link-both",
  "silent",
  "silent-in",
  "silent-out",
  "forwarding",
] as const;
export type Failure = (typeof FAILURES)[number];

/** What a table row calls it. */
export const FAILURE_TEXT: Readonly<Record<Failure, string>> = {
  none: "no failure",
  "link-in": "link loss, client side",
  "link-out": "link loss, server side",
  "link-both": "link loss",
  silent: "silent death",
  "silent-in": "silent towards clients",
  "silent-out": "silent towards servers",
  forwarding: "forwarding dead, box answers",
};

/** A command to run inside the box's namespace. */
export interface Action {
  readonly argv: readonly string[];
}

function links(names: readonly string[], state: "up" | "down"): Action {
  // One shell, two kernel calls: a box that loses power takes both links with it.
  const commands = names.map((name) => `link set dev ${name} ${state}`).join("\\n");
  return { argv: ["sh", "-c", `printf '${commands}\\n' | exec ip -batch -`] };
}

function silence(names: readonly string[]): Action {
  const chains = names.map((name) =>
    `chain ${name} {\ntype filter hook egress device "${name}" priority 0; policy drop;\n}\n`
  );
  // One transaction: all directions fall silent together.
  return { argv: ["nft", `table netdev dead {\n${chains.join("")}}\n`] };
}

/** How to make a box fail. */
export function failureAction(failure: Failure, box: Box): Action {
  switch (failure) {
    case "none":
      return { argv: ["true"] };
    case "link-in":
      return links([box.inside], "down");
    case "link-out":
      return links([box.outside], "down");
    case "link-both":
      return links([box.inside, box.outside], "down");
    case "silent":
      return silence([box.inside, box.outside]);
    case "silent-in":
      return silence([box.inside]);
    case "silent-out":
      return silence([box.outside]);
    case "forwarding":
      return { argv: ["nft", "insert", "rule", "inet", "box", "forward", "drop", "comment", '"dead"'] };
  }
}

/** How to make it well again. Connection state of the box is what the failure left of it. */
export function recoveryAction(failure: Failure, box: Box): Action {
  if (failure.startsWith("link")) {
    const names = { "link-in": [box.inside], "link-out": [box.outside] }[failure as string];
    return links(names ?? [box.inside, box.outside], "up");
  }
  if (failure.startsWith("silent")) return { argv: ["nft", "delete", "table", "netdev", "dead"] };
  if (failure === "forwarding") {
    const find = "nft -a list chain inet box forward | sed -n 's/.*\"dead\" # handle //p'";
    return { argv: ["sh", "-c", `nft delete rule inet box forward handle $(${find})`] };
  }
  return { argv: ["true"] };
}
