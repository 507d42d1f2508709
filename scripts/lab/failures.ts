/**
 * Duty: ways for a box to die and to come back, as data, and the commands that do it. Pure.
 *
 * A failure acts inside the box's namespace, as a fault of the box would; the node has no hand in it.
 * `silent` keeps carrier and takes away every packet, `silent-*` takes one direction, `forwarding` leaves a
 * box that still answers for itself, the case that checks of reachability never see. `grey` loses one frame in twenty.
 * What packets suffer can be prepared and begin at a full second of the wall clock: then no program has to be started
 * at the moment of the failure, and the moment is known to the nanosecond.
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
  "grey",
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
  grey: "5 % of the frames lost",
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

function silence(names: readonly string[], condition: string): Action {
  const chains = names.map((name) =>
    `chain ${name} {\ntype filter hook egress device "${name}" priority 0;\n${condition} drop\n}\n`
  );
  // One transaction: all directions fall silent together.
  return { argv: ["nft", `table netdev dead {\n${chains.join("")}}\n`] };
}

/**
 * How to make a box fail, at once or from the second `fromS` of the wall clock on. Throws RangeError for a loss of
 * link that is to begin later: links know no clock.
 */
export function failureAction(failure: Failure, box: Box, fromS?: number): Action {
  if (fromS !== undefined && (failure === "none" || failure.startsWith("link"))) {
    throw new RangeError(`Cannot prepare "${failure}" for a later moment: only what packets suffer can be`);
  }
  const begun = fromS === undefined ? [] : ["meta", "time", ">=", String(fromS)];
  const condition = begun.join(" ");
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
      return silence([box.inside, box.outside], condition);
    case "silent-in":
      return silence([box.inside], condition);
    case "silent-out":
      return silence([box.outside], condition);
    case "grey":
      return silence([box.inside, box.outside], `${condition} numgen random mod 100 < 5`);
    case "forwarding":
      return {
        argv: ["nft", "insert", "rule", "inet", "box", "forward", ...begun, "drop", "comment", '"dead"'],
      };
  }
}

/** How to make it well again. Connection state of the box is what the failure left of it. */
export function recoveryAction(failure: Failure, box: Box): Action {
  if (failure.startsWith("link")) {
    const names = { "link-in": [box.inside], "link-out": [box.outside] }[failure as string];
    return links(names ?? [box.inside, box.outside], "up");
  }
  if (failure.startsWith("silent") || failure === "grey") {
    return { argv: ["nft", "delete", "table", "netdev", "dead"] };
  }
  if (failure === "forwarding") {
    const find = "nft -a list chain inet box forward | sed -n 's/.*\"dead\" # handle //p'";
    return { argv: ["sh", "-c", `nft delete rule inet box forward handle $(${find})`] };
  }
  return { argv: ["true"] };
}
