/**
 * Duty: the guide to a node that protects: ports, kind of box, wiring, what a standby makes of the traffic, a drill, arming.
 *
 * Pure. Each step says by itself whether it is done, from what the node sees; nothing is ticked by hand.
 */
import type { Child } from "hono/jsx";
import type { MatchReport, MatchView, NodeStatus, ProbeListing } from "../../appliance/view.ts";
import { compared, wouldLive } from "../../appliance/failover/match.ts";
import type { Preset } from "../../filter/rule.ts";
import { count, percent } from "../paint.ts";
import { FixedLight, Offer } from "./parts.tsx";
import { sparesOf } from "./state.ts";
import type { Visitor } from "../session.ts";

export interface Step {
  readonly title: string;
  readonly light: "green" | "yellow" | "red" | "off";
  /** What the node sees, in a sentence. */
  readonly text: string;
}

export interface SetupGiven {
  readonly status: NodeStatus;
  readonly probes: ProbeListing;
  readonly match: MatchReport;
  readonly preset: Preset | null;
}

const KIND = {
  nat: "address translation",
  lb: "load balancing",
  firewall: "a stateful firewall",
  ids: "intrusion detection",
  "ids-full": "intrusion detection, in full",
  none: "nothing but its own rules",
} as const;

/** Flows that make a match worth believing. */
const FLOWS_MIN = 20;

export function stepsOf(given: SetupGiven): readonly Step[] {
  return [
    portsStep(given),
    kindStep(given),
    wiringStep(given),
    observeStep(given),
    drillStep(given),
    armStep(given),
  ];
}

function portsStep({ status }: SetupGiven): Step {
  const title = "Ports";
  if (status.ports.length === 0) return { title, light: "red", text: `There is no plane: ${status.reason}` };
  const down = status.ports.filter(({ link }) => link === "down").map(({ role }) => role);
  if (down.length === 0) {
    return { title, light: "green", text: `All ${status.ports.length} ports have a link` };
  }
  return {
    title,
    light: "red",
    text: `No link at ${down.join(", ")}: look at cables and the boxes' own ports`,
  };
}

function kindStep({ preset }: SetupGiven): Step {
  const title = "Kind of box";
  if (preset === null) return { title, light: "off", text: "The configuration cannot be read here" };
  const light = preset === "none" ? "yellow" : "green";
  return { title, light, text: `Copies are chosen for ${KIND[preset]} (preset ${preset})` };
}

function wiringStep({ status, probes }: SetupGiven): Step {
  const title = "Wiring";
  const bad = probes.probes.filter(({ light }) => light === "red");
  if (bad.length > 0) {
    return {
      title,
      light: "red",
      text: bad.map(({ name, box, reason }) => `${name} through ${box}: ${reason}`).join("; "),
    };
  }
  const silent = status.boxes.filter(({ inPackets, outPackets }) => inPackets > 0 && outPackets === 0);
  if (silent.length > 0) {
    const names = silent.map(({ name }) => name).join(", ");
    return {
      title,
      light: "yellow",
      text: `Packets go into ${names} and none has come out so far: are its sides the right way round?`,
    };
  }
  const unseen = status.boxes.filter(({ outPackets }) => outPackets === 0).map(({ name }) => name);
  if (unseen.length > 0) {
    return { title, light: "off", text: `Nothing has come out of ${unseen.join(", ")} so far` };
  }
  const good = probes.probes.filter(({ light }) => light === "green").length;
  const proven = good > 0
    ? `, and ${count(good)} probes come through`
    : "; probes would prove it without traffic ([[probe]])";
  return { title, light: "green", text: `Packets come out of every box${proven}` };
}

/** By the worst of those that stand by. */
function observeStep({ status, match }: SetupGiven): Step {
  const title = "Observe";
  const spares = sparesOf(status).flatMap((box) =>
    box.match === null ? [] : [{ name: box.name, match: box.match }]
  );
  if (spares.length === 0) return { title, light: "red", text: "No box stands by" };
  const young = spares.filter((spare) => compared(spare.match) < FLOWS_MIN);
  if (young.length > 0) {
    const known = young.map((spare) => `${count(compared(spare.match))} flows compared with ${spare.name}`);
    const text = `${known.join(", ")} so far; ${FLOWS_MIN} make a judgement. Let traffic run`;
    return { title, light: "off", text };
  }
  const lights = spares.map((spare) => matchLight(spare.match, match.alarmBelow));
  return {
    title,
    light: (["red", "yellow", "green"] as const).find((light) => lights.includes(light))!,
    text: spares.map((spare) => carriedText(spare.name, spare.match)).join("; "),
  };
}

function carriedText(name: string, match: MatchView): string {
  const [live, known] = [wouldLive(match), compared(match)];
  return `${name} would carry on ${count(live)} of ${count(known)} flows, ${percent(live / known)}`;
}

function matchLight(match: MatchView, alarmBelow: number): "green" | "yellow" | "red" {
  if (match.alarm) return "red";
  return 100 * wouldLive(match) >= alarmBelow * compared(match) ? "green" : "yellow";
}

function drillStep({ match }: SetupGiven): Step {
  const title = "Prove it";
  const { drill } = match;
  if (drill === null) {
    return {
      title,
      light: "off",
      text: "No drill so far: canaries through the standby prove that it would serve",
    };
  }
  return {
    title,
    light: drill.ok ? "green" : "red",
    text: `The last drill through ${drill.box} ${drill.ok ? "was good" : "failed"}: ${drill.text}`,
  };
}

function armStep({ status: { learning } }: SetupGiven): Step {
  const title = "Arm";
  if (learning === undefined) {
    return { title, light: "green", text: "The node is armed: it moves traffic by itself when a box dies" };
  }
  const { would, times } = learning;
  if (would !== null) {
    const text =
      `It learns, and would move the traffic to ${would.path} (${would.cause}): look at the boxes first`;
    return { title, light: "red", text };
  }
  const moves = times === 0
    ? "so far nothing would have moved the traffic"
    : `${count(times)} times so far it ` +
      "would have moved the traffic: the events say why";
  return { title, light: "yellow", text: `It learns and moves nothing by itself; ${moves}` };
}

export function Setup({ given, visitor, doctor }: { given: SetupGiven; visitor: Visitor; doctor: boolean }) {
  const ways: readonly Child[] = [
    doctor ? <a class="button quiet" href="/doctor">Ask the doctor</a> : null,
    <a class="button quiet" href="/filter">To the filter</a>,
    <a class="button quiet" href="/boxes">Probes and boxes</a>,
    <a class="button quiet" href="/flows?unlike=true">What would not live on</a>,
    <Offer visitor={visitor} action="drill" />,
    <Offer visitor={visitor} action={given.status.learning === undefined ? "disarm" : "arm"} />,
  ];
  const word = { green: "done", yellow: "mind", red: "to do", off: "not yet" } as const;
  return (
    <ol class="steps" id="steps" data-part="2000">
      {stepsOf(given).map(({ title, light, text }, index) => (
        <li class="card">
          <h2>
            {index + 1}. {title} <FixedLight state={light} word={word[light]} />
          </h2>
          <p>{text}.</p>
          <p class="actions">{ways[index]}</p>
        </li>
      ))}
    </ol>
  );
}
