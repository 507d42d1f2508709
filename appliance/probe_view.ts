/** Probes and grey failure as people see them: a board and the present time go in, views come out. Pure. */
import type { Board } from "../filter/board.ts";
import { BOX, GREY_REASON, LIGHT, LIMIT, PROBE_EXPECT, PROBE_KIND, PROBE_REASON } from "../filter/names.ts";
import type { ProbeListing, ProbeView, TrafficView } from "./view.ts";

const NS_PER_MS = 1e6;
const NS_PER_US = 1e3;
const MILLION = 1e6;
const WAYS = ["up", "down"] as const;
const TRACKS_OF_A_PROBE = BOX.length * WAYS.length;
/** A histogram of delays has two places for each doubling from here on; the first is all below. */
const FIRST_NS = 1024;

type ProbeReason = (typeof PROBE_REASON)[number];
type GreyReason = (typeof GREY_REASON)[number];

const PROBE_SAYS: Readonly<Record<ProbeReason, string>> = {
  well: "comes through",
  lost: "does not come through",
  some_lost: "comes through in part",
  never: "has never come through: is it right, and meant to pass?",
  leaked: "comes through and should be blocked",
  neither: "comes through neither box: look at what they share, the host it asks first",
  no_mac: "waits until the box is heard from, to learn its MAC",
};
const WELL_BLOCKED = "is blocked, as it should be";
const NONE_SO_FAR = "has not come through so far";

const GREY_SAYS: Readonly<Record<GreyReason, string>> = {
  well: "neither loss nor delay",
  loss_low: "loses a little",
  loss: "loses packets",
  loss_high: "loses most packets",
  one_way: "loses most packets this way and none the other",
  openings: "does not let new connections through, old ones are well",
  repeats: "sees a wave of retransmissions",
  delay: "has become slow",
};
const TRAFFIC = ["traffic from the clients", "traffic from the servers"] as const;

/** Why the probes' light is not green. */
export function probeDetail(board: Board, detail: number): string {
  const reason = PROBE_REASON[detail >>> 16] ?? "well", way = WAYS[detail >>> 8 & 1];
  return `probe ${board.text("probe.name", detail & (LIMIT.probes - 1))} ${way} ${PROBE_SAYS[reason]}`;
}

/** Why the light of grey failure is not green. */
export function greyDetail(detail: number): string {
  return `${TRAFFIC[detail >>> 8 & 1]} ${GREY_SAYS[GREY_REASON[detail >>> 16] ?? "well"]}`;
}

/** The delay below which a share of those in a histogram lie, from the middle of its place. */
export function delayNs(places: readonly number[], share: number): number {
  const all = places.reduce((sum, n) => sum + n, 0);
  let sum = 0;
  const place = Math.max(0, places.findIndex((n) => (sum += n) >= share * all));
  if (place === 0) return FIRST_NS / 2;
  const low = FIRST_NS * 2 ** Math.floor((place - 1) / 2);
  return (place - 1) % 2 === 1 ? low * 1.75 : low * 1.25;
}

function readProbe(board: Board, track: number, monoNs: number): ProbeView {
  const number = (field: string) => board.number(`probed.${field}`, track);
  const probe = Math.floor(track / TRACKS_OF_A_PROBE);
  const expect = PROBE_EXPECT[board.number("probe.expect", probe)] ?? "seen";
  const light = LIGHT[number("light")] ?? "off";
  const reason = PROBE_REASON[number("reason")] ?? "well";
  const says = reason === "well" && expect === "blocked"
    ? WELL_BLOCKED
    : reason === "never" && light === "off"
    ? NONE_SO_FAR
    : PROBE_SAYS[reason];
  return {
    name: board.text("probe.name", probe),
    kind: PROBE_KIND[board.number("probe.kind", probe)] ?? "icmp",
    expect,
    box: BOX[Math.floor(track / WAYS.length) % BOX.length]!,
    direction: WAYS[track % WAYS.length]!,
    light,
    reason: says,
    sent: number("sent"),
    seen: number("seen"),
    lost: number("lost"),
    late: number("late"),
    excused: number("excused"),
    delayUs: number("seen") === 0 ? null : readDelay(board, track),
    ageMs: number("seen_ns") === 0 ? null : Math.max(0, (monoNs - number("seen_ns")) / NS_PER_MS),
  };
}

function readDelay(board: Board, track: number): NonNullable<ProbeView["delayUs"]> {
  const bytes = board.bytes("probed.delay", track);
  const places = [...new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
  const min = board.number("probed.delay_ns_min", track), max = board.number("probed.delay_ns_max", track);
  const within = (share: number) => Math.min(max, Math.max(min, delayNs(places, share))) / NS_PER_US;
  return { min: min / NS_PER_US, p50: within(0.5), p99: within(0.99), max: max / NS_PER_US };
}

const SIGHT = ["judged", "changed", "alike"] as const;

function readTraffic(board: Board, side: number): TrafficView {
  const number = (field: string) => board.number(`grey.${field}`, side);
  const share = (now: string, usual: string) => ({
    now: number(now) / MILLION,
    usual: number(usual) / MILLION,
  });
  return {
    direction: WAYS[side]!,
    state: number("learning") === 1 ? "too-little" : SIGHT[number("blind")] ?? "judged",
    sampled: number("sampled"),
    lost: number("lost"),
    loss: share("loss", "loss_usual"),
    openings: share("openings_loss", "openings_usual"),
    repeats: share("repeat", "repeat_usual"),
    delayUs: { now: number("delay_ns") / NS_PER_US, usual: number("delay_ns_usual") / NS_PER_US },
  };
}

function isUsed(board: Board, track: number): boolean {
  const probe = Math.floor(track / TRACKS_OF_A_PROBE);
  const way = track % WAYS.length, box = Math.floor(track / WAYS.length) % BOX.length;
  return (board.number("probe.ways", probe) >> way & 1) === 1 &&
    (board.number("probe.boxes", probe) >> box & 1) === 1;
}

/** All probes in the order of the configuration, and traffic where it is measured. */
export function readProbes(board: Board, now: { readonly monoNs: number }): ProbeListing {
  const tracks = board.number("command.probe_count") * TRACKS_OF_A_PROBE;
  const probes = Array.from({ length: tracks }, (_, track) => track)
    .filter((track) => isUsed(board, track))
    .map((track) => readProbe(board, track, now.monoNs));
  const isOn = board.number("command.grey.on") === 1;
  return { probes, traffic: isOn ? WAYS.map((_, side) => readTraffic(board, side)) : [] };
}
