/**
 * Boxes that hiccup, under traffic that pauses: what learnt silence has to live with.
 *
 * One box, the reflexes of the plane, nothing else: a life of some seconds in turns of half a millisecond, then its death. The
 * settings are the defaults of the node but for the time to learn, which is a sixtieth.
 */
import type { Random } from "../../filter/random.ts";
import type { Reflex } from "./reflex.ts";
import { MS, PLAIN, type Settings, US, writeSettings } from "./settings.ts";

export const DEFAULTS: Settings = {
  ...PLAIN,
  silenceNs: 20 * MS,
  silenceNsMin: 6 * MS,
  silenceNsMax: 20 * MS,
  learnNs: 1000 * MS,
};
export const LIFE_NS = 4000 * MS;
/** Frames each way in a turn: some ten thousand a second. */
const FRAMES = 5;

export interface Jitter {
  readonly name: string;
  /** Nothing comes out for so long, at these distances. */
  readonly pauseNs: (random: Random) => number;
  readonly everyNs: (random: Random) => number;
  /** The traffic itself stops now and then. */
  readonly bursts: boolean;
  /** The node stands still now and then, by so much. */
  readonly stallMs: readonly number[];
}

const between = (random: Random, low: number, high: number) => low + random.below(Math.round(high - low));

/** Those that are shorter than the least silence, in any pattern, and longer ones that come while it is learnt. */
export const JITTERS: readonly Jitter[] = [
  {
    name: "steady",
    pauseNs: () => 0,
    everyNs: () => 10 * MS,
    bursts: false,
    stallMs: [],
  },
  {
    name: "short pauses in bursts of traffic",
    pauseNs: (random) => random.below(5 * MS),
    everyNs: (random) => between(random, 6 * MS, 300 * MS),
    bursts: true,
    stallMs: [],
  },
  {
    name: "a node that stands still",
    pauseNs: (random) => random.below(4 * MS),
    everyNs: (random) => between(random, 6 * MS, 300 * MS),
    bursts: true,
    stallMs: [6, 15, 60],
  },
  {
    name: "long pauses that are usual",
    pauseNs: (random) => between(random, 6 * MS, 17 * MS),
    everyNs: (random) => between(random, 50 * MS, 800 * MS),
    bursts: false,
    stallMs: [],
  },
  {
    name: "many pauses of every length, and a node that stands still",
    pauseNs: (random) => between(random, MS, 17 * MS),
    everyNs: (random) => between(random, 20 * MS, 200 * MS),
    bursts: false,
    stallMs: [6, 15],
  },
];

export interface Life {
  /** When the box was judged silent while it lived, since its birth; null: never. */
  readonly falseNs: number | null;
  /** From its death to the verdict; null: none came in time. */
  readonly foundNs: number | null;
  /** The bar when it died, of the way in from the clients. */
  readonly barNs: number;
}

const START_NS = 1_000_000 * MS;

class Clock {
  nowNs = START_NS;
  constructor(readonly reflex: Reflex, readonly random: Random) {}

  step(stallMs: readonly number[]): void {
    this.nowNs += between(this.random, 400 * US, 600 * US);
    const stalls = stallMs.length > 0 && this.random.chance(0.002);
    const lostNs = stalls ? this.random.pick(stallMs) * MS : 0;
    this.nowNs += lostNs;
    this.reflex.clock(this.nowNs);
    if (lostNs > DEFAULTS.stallNs) this.reflex.stall(lostNs);
  }
}

/** Frames of two flows go in on both sides. */
function put(reflex: Reflex): void {
  for (const side of [0, 1] as const) {
    reflex.put(side, 1, Math.ceil(FRAMES / 2));
    reflex.put(side, 2, Math.floor(FRAMES / 2));
  }
}

export function live(reflex: Reflex, random: Random, jitter: Jitter): Life {
  const clock = new Clock(reflex, random);
  reflex.reset();
  writeSettings(reflex.board, DEFAULTS);
  reflex.start(clock.nowNs, [[true, true], [true, true]]);
  const moved = () => reflex.board.number("live.path") !== 0;
  let pause = { fromNs: START_NS + jitter.everyNs(random), untilNs: 0 };
  let quiet = { fromNs: START_NS + between(random, 20 * MS, 400 * MS), untilNs: 0 };
  /** Frames went in and have not come out yet. */
  let owes = false;
  while (clock.nowNs < START_NS + LIFE_NS) {
    clock.step(jitter.stallMs);
    const { nowNs } = clock;
    if (nowNs >= pause.fromNs) {
      const untilNs = pause.fromNs + jitter.pauseNs(random);
      pause = { fromNs: Math.max(nowNs, untilNs) + jitter.everyNs(random), untilNs };
    }
    if (jitter.bursts && nowNs >= quiet.fromNs) {
      const untilNs = nowNs + between(random, MS, 100 * MS);
      quiet = { fromNs: untilNs + between(random, 20 * MS, 400 * MS), untilNs };
    }
    const sends = nowNs >= quiet.untilNs;
    if (sends) put(reflex);
    owes ||= sends;
    if (owes && nowNs >= pause.untilNs) {
      for (const side of [0, 1] as const) reflex.out(side, 1);
      owes = false;
    }
    reflex.turn();
    if (moved()) return { falseNs: nowNs - START_NS, foundNs: null, barNs: 0 };
  }
  const barNs = reflex.board.number("usual.bar_ns", 0);
  const diedNs = clock.nowNs;
  while (!moved() && clock.nowNs < diedNs + 1000 * MS) {
    clock.step([]);
    put(reflex);
    reflex.turn();
  }
  return { falseNs: null, foundNs: moved() ? clock.nowNs - diedNs : null, barNs };
}
